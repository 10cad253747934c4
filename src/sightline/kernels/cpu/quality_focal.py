"""Loss and gradient in one pass: a dense detector has millions of scores, and each of a dozen
element-wise operations would go through all of them, forward and back.

log1p is written out as `exponential` is, without a branch, so that the compiler works on eight
scores at once: log(1 + e) = 2 artanh(e / (2 + e)), by its series in a number of at most ⅓, within
2e-7 of the truth, relatively.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.exponentials import exponential
from sightline.ops import quality_focal as definition

BLOCK = 1024

Array = np.ndarray[Any, Any]


@compiled
def _block(logits: Array, targets: Array, loss: Array, gradient: Array) -> None:
    """Loss and derivative of each score, by e = exp(−|x|)."""
    one, two, none = np.float32(1), np.float32(2), np.float32(0)
    for i in range(logits.size):
        x, y = logits[i], targets[i]
        e = exponential(-min(abs(x), np.float32(87)))
        z = e / (two + e)
        q = z * z
        s = np.float32(1 / 13) * q + np.float32(1 / 11)
        s = s * q + np.float32(1 / 9)
        s = s * q + np.float32(1 / 7)
        s = s * q + np.float32(1 / 5)
        s = s * q + np.float32(1 / 3)
        soft = two * z * (s * q + one)
        entropy = (x if x > none else none) - x * y + soft
        share = one / (one + e)
        score = share if x >= none else e * share
        gap = y - score
        loss[i] = gap * gap * entropy
        gradient[i] = -gap * (gap * gap + two * entropy * score * (one - score))


@compiled
def _both(logits: Array, targets: Array, weights: Array, gradient: Array) -> float:
    """The loss; its derivative goes to `gradient`. Summed in one order, in double precision.

    `weights` are as many as the scores, or none.
    """
    loss, total = np.empty(BLOCK, np.float32), 0.0
    for start in range(0, logits.size, BLOCK):
        end = min(start + BLOCK, logits.size)
        x, count = logits[start:end], end - start
        _block(x, targets[start:end], loss, gradient[start:end])
        if weights.size:
            for i in range(count):
                loss[i] *= weights[start + i]
                gradient[start + i] *= weights[start + i]
        for i in range(count):
            total += loss[i]
    return total


class _QualityFocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        x, y, w = (v.detach().contiguous().view(-1).numpy() for v in (logits, targets, weight))
        gradient = torch.empty(logits.shape)
        total = _both(x, y, w, gradient.view(-1).numpy())
        ctx.save_for_backward(gradient)
        return logits.new_tensor(total)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None


def quality_focal(logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """The kernel of `ops.quality_focal`, in float32; the definition in any other precision."""
    if logits.shape != targets.shape:
        shapes = f"{tuple(logits.shape)} and {tuple(targets.shape)}"
        raise UsageError(f"one shape is wanted, not {shapes}", code="usage.shape")
    single = logits.dtype == targets.dtype == torch.float32
    if not single or targets.requires_grad or (weight is not None and weight.requires_grad):
        return definition.quality_focal.reference(logits, targets, weight)
    each = torch.empty(0) if weight is None else weight.float().expand(logits.shape)
    answer: Tensor = _QualityFocal.apply(logits, targets, each)
    return answer
