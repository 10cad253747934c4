"""Convolution, batch norm and activation as one block, and how it is made fast.

Three ways to run the same block: trained batch norm (statistics of the batch), *frozen* batch norm
(its fixed scale belongs in the weights, so no activation passes through it: the gradient still
reaches the convolution), and *folded* (the scale multiplied into the weights for good, to detect).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.shared_norm import trained_norm

LEAK = 0.1
"""The slope of "leaky" below zero (YOLO, Redmon 2016, eq. 2)."""

BRIEF = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.PReLU)
"""The layers that take their numbers in as few bits as they are given, weights and inputs alike."""


class ConvNorm(nn.Module):
    """k×k convolution without bias, batch norm, activation ("relu", "relu6", "leaky" or None).

    "leaky" is Darknet's: a tenth of what is below zero passes.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = "relu",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(channels_out)
        self.activation = activation
        self.frozen = False
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def merged(self) -> tuple[Tensor, Tensor]:
        """The weight and bias of the one convolution that equals convolution + frozen norm."""
        norm = self.norm
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = self.conv.weight * scale[:, None, None, None]
        return weight, norm.bias - norm.running_mean * scale

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv = self.conv
        slow = conv.groups > 1 and conv.stride[0] > 1 and torch.is_grad_enabled()
        if slow and torch.is_autocast_enabled("cpu") and not x.is_cuda:
            # The bf16 backward of a strided depthwise convolution is 10–20 times slower than
            # the fp32 one on a CPU.
            with torch.autocast("cpu", enabled=False):
                y = F.conv2d(
                    x.float(), weight.float(), bias, conv.stride, conv.padding, 1, conv.groups
                )
            return y.to(x.dtype)
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, 1, conv.groups)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """One map to the next."""
        if isinstance(self.norm, nn.Identity):
            y = self._convolve(x, self.conv.weight, self.conv.bias)
        elif self.frozen:
            y = self._convolve(x, *self.merged())
        else:
            y = trained_norm(self.norm, self._convolve(x, self.conv.weight, None))
        if self.activation == "relu":
            return F.relu(y, inplace=True)
        if self.activation == "relu6":
            return F.relu6(y, inplace=True)
        if self.activation == "leaky":
            return F.leaky_relu(y, LEAK, inplace=True)
        return y

    def fold(self) -> None:
        """Multiply the norm into the convolution for good; the block can then only detect."""
        if isinstance(self.norm, nn.Identity):
            return
        weight, bias = self.merged()
        self.conv.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.conv.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.norm = nn.Identity()


def freeze_norms(module: nn.Module) -> None:
    """Fix every batch norm inside `module`: statistics, scale and shift."""
    for block in module.modules():
        if isinstance(block, ConvNorm) and not isinstance(block.norm, nn.Identity):
            block.frozen = True
            block.norm.requires_grad_(False)


def ready(pixels: Float[Tensor, "*any"], layers: nn.Module) -> Float[Tensor, "*any"]:
    """Pixels (B, C, H, W) as a network runs best on them: in the precision of the first weights of
    `layers`, channels last.
    """
    dtype = next(layers.parameters()).dtype
    return pixels.to(dtype=dtype, memory_format=torch.channels_last)


def maps_at(backbone: nn.Module, strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which of a backbone's maps have these strides, finest first, and their channels.

    Raises ValueError where the backbone has no such maps.
    """
    own: Sequence[int] = backbone.strides  # type: ignore[assignment]
    channels: Sequence[int] = backbone.channels  # type: ignore[assignment]
    if not set(strides) <= set(own):
        raise ValueError(f"{type(backbone).__name__} has maps of strides {sorted(own)}")
    rows = [own.index(stride) for stride in sorted(strides)]
    return rows, [channels[row] for row in rows]


def fold(module: nn.Module) -> nn.Module:
    """Fold every block inside `module`, in place; the outputs stay the same."""
    for block in module.modules():
        if isinstance(block, ConvNorm):
            block.fold()
    return module


def optimise(module: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """Make `module` ready to detect on a CPU, in place: folded, channels last, perhaps bf16."""
    module.eval().requires_grad_(False)
    fold(module)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if dtype is not None and isinstance(layer, BRIEF):
            layer.to(dtype)
    return module
