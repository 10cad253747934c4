"""Batch norm of a batch that several processes hold in parts (Ioffe & Szegedy 2015, algorithm 1).

Each of them would else normalise by its own part, and two halves would not learn as the whole does.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import processes


class _Total(torch.autograd.Function):
    """The sum over all processes; so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return processes.total(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return processes.total(gradient.contiguous())


def trained_norm(norm: nn.Module, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """`norm(x)`; in training among several processes by mean and variance of all their images.

    One cell of one image has no variance: it is taken as the running statistics have it.
    """
    if not (isinstance(norm, nn.BatchNorm2d) and norm.training and processes.joined()):
        if isinstance(norm, nn.BatchNorm2d) and norm.training and x.numel() == x.shape[1]:
            still = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
            return F.batch_norm(x, *still, training=False, eps=norm.eps)
        y: Tensor = norm(x)
        return y
    wide = x if x.dtype == torch.float64 else x.float()
    count = wide.new_tensor(wide.numel() / wide.shape[1])
    own = torch.cat([wide.sum((0, 2, 3)), count[None]])
    sums = _total(own)
    count = sums[-1]
    mean = (sums[:-1] / count)[:, None, None]
    variance = _total((wide - mean).square().sum((0, 2, 3))) / count
    _remember(norm, mean.detach().flatten(), variance.detach(), count.detach())
    scale = (variance + norm.eps).rsqrt() * norm.weight
    return ((wide - mean) * scale[:, None, None] + norm.bias[:, None, None]).to(x.dtype)


def _total(value: Tensor) -> Tensor:
    answer: Tensor = _Total.apply(value)  # type: ignore[no-untyped-call]
    return answer


@torch.no_grad()
def _remember(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    """The running statistics, with the variance free of bias, as `nn.BatchNorm2d` keeps them."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance * count / (count - 1), share)
