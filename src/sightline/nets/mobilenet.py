"""MobileNetV2 (Sandler 2018): inverted residuals with linear bottlenecks.

A block widens its input by 1×1, filters each channel by 3×3, and narrows again without an
activation. Keys of shape: B images, C channels, H W pixels of a map.
"""

import itertools

from jaxtyping import Float
from torch import Tensor, nn

from sightline.nets.blocks import ConvNorm

# (expansion, channels out, repeats, stride of the first), table 2 of the paper
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1×1 widen → 3×3 depthwise → 1×1 narrow, added to the input where the shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.widen = (
            ConvNorm(channels_in, wide, 1, activation="relu6") if expansion > 1 else nn.Identity()
        )
        self.depthwise = ConvNorm(wide, wide, 3, stride, groups=wide, activation="relu6")
        self.narrow = ConvNorm(wide, channels_out, 1, activation=None)
        self.adds = stride == 1 and channels_in == channels_out

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """One map to the next."""
        y: Tensor = self.narrow(self.depthwise(self.widen(x)))
        if self.adds:
            y += x  # in place: nobody else has it
        return y


class MobileNetV2(nn.Module):
    """The feature extractor, width 1.0; `forward` gives C2, C3, C4, C5 (strides 4 to 32).

    `maps` is how many of the four: the blocks after the last of these are `absent`.
    """

    _last_of_level = (2, 5, 12, 16)  # rows of `blocks`

    def __init__(self, maps: int = 4) -> None:
        super().__init__()
        self.channels, self.strides = (24, 32, 96, 320)[:maps], (4, 8, 16, 32)[:maps]
        self.stem = ConvNorm(3, 32, 3, 2, activation="relu6")
        self.blocks = nn.ModuleList()
        channels = 32
        for expansion, width, repeats, stride in _STAGES:
            for repeat in range(repeats):
                first = stride if repeat == 0 else 1
                if len(self.blocks) <= self._last_of_level[maps - 1]:
                    self.blocks.append(InvertedResidual(channels, width, first, expansion))
                channels = width
        missing = range(len(self.blocks), self._last_of_level[-1] + 1)
        self.absent = tuple(f"blocks.{row}." for row in missing)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The last map of each resolution from 1/4 to 1/32, finest first."""
        x, levels = self.stem(pixels), []
        for row, block in enumerate(self.blocks):
            x = block(x)
            if row in self._last_of_level:
                levels.append(x)
        return tuple(levels)

    def freeze(self, stages: int) -> None:
        """No gradient for the stem and the first resolutions: 1 is the stem with the stride-2
        blocks, 2 up to C2, 3 up to C3, and so on; 0 leaves all trainable.
        """
        ends = (0, 1, *(last + 1 for last in self._last_of_level))
        frozen = itertools.islice(self.blocks, ends[stages])
        for module in (self.stem, *frozen) if stages else ():
            module.requires_grad_(False)
