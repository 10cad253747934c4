"""ResNet: Deep Residual Learning for Image Recognition (He, Zhang, Ren, Sun 2016).

A block learns what to add to its input; where shapes differ, a 1×1 convolution carries the input
over. The stride of a bottleneck lies in its 3×3 convolution, as in the published networks ("v1.5");
the paper has it in the first 1×1.

Keys of shape: B images, C D channels, H W pixels of a map.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import ConvNorm

BLOCKS: dict[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}
"""Depth → blocks of each of the four stages (table 1 of the paper)."""

BOTTLENECK_FROM = 50
"""The depth from which blocks are bottlenecks: 1×1, 3×3, 1×1 to four times the width."""


class Residual(nn.Module):
    """`path` of two or three convolutions, added to the input or to its 1×1 `shortcut`."""

    def __init__(self, path: Sequence[ConvNorm], shortcut: nn.Module) -> None:
        super().__init__()
        self.path = nn.Sequential(*path)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """One map to the next."""
        y: Tensor = self.path(x)
        y += self.shortcut(x)  # in place: nobody else has it, and the maps are large
        return F.relu(y, inplace=True)


def _block(channels_in: int, width: int, stride: int, bottleneck: bool) -> Residual:
    path: tuple[ConvNorm, ...]
    if bottleneck:
        path = (
            ConvNorm(channels_in, width, 1),
            ConvNorm(width, width, 3, stride),
            ConvNorm(width, 4 * width, 1, activation=None),
        )
    else:
        path = (
            ConvNorm(channels_in, width, 3, stride),
            ConvNorm(width, width, 3, activation=None),
        )
    channels_out = path[-1].conv.out_channels
    same = stride == 1 and channels_in == channels_out
    shortcut = (
        nn.Identity() if same else ConvNorm(channels_in, channels_out, 1, stride, activation=None)
    )
    return Residual(path, shortcut)


class ResNet(nn.Module):
    """The feature extractor of depth 18, 34, 50 or 101; `forward` gives C2, C3, C4, C5."""

    strides = (4, 8, 16, 32)

    def __init__(self, depth: int) -> None:
        super().__init__()
        bottleneck = depth >= BOTTLENECK_FROM
        self.stem = ConvNorm(3, 64, 7, 2)
        self.stages = nn.ModuleList()
        channels = 64
        ends = []
        for stage, count in enumerate(BLOCKS[depth]):
            width, blocks = 64 * 2**stage, nn.Sequential()
            for row in range(count):
                stride = 2 if row == 0 and stage > 0 else 1
                blocks.append(_block(channels, width, stride, bottleneck))
                channels = 4 * width if bottleneck else width
            self.stages.append(blocks)
            ends.append(channels)
        self.channels = tuple(ends)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The last map of each stage, finest first: 1/4, 1/8, 1/16, 1/32 of the input."""
        x = F.max_pool2d(self.stem(pixels), 3, 2, 1)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return tuple(levels)

    def freeze(self, stages: int) -> None:
        """No gradient for the stem and the first stages: 1 is the stem, 2 up to C2, 3 up to C3,
        and so on; 0 leaves all trainable.
        """
        for module in (self.stem, *self.stages)[:stages]:
            module.requires_grad_(False)


def resnet18() -> ResNet:
    """18 layers of basic blocks: 64, 128, 256, 512 channels."""
    return ResNet(18)


def resnet34() -> ResNet:
    """34 layers of basic blocks: 64, 128, 256, 512 channels."""
    return ResNet(34)


def resnet50() -> ResNet:
    """50 layers of bottlenecks: 256, 512, 1024, 2048 channels."""
    return ResNet(50)


def resnet101() -> ResNet:
    """101 layers of bottlenecks: 256, 512, 1024, 2048 channels."""
    return ResNet(101)
