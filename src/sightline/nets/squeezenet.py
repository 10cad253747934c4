"""SqueezeNet 1.1: AlexNet-level accuracy with 50 times fewer parameters (Iandola 2016).

A fire module squeezes its input by 1×1 and expands it by 1×1 and 3×3 side by side. Version 1.1
pools earlier than the paper's and needs 2.4 times less arithmetic. Keys of shape: B images,
C channels, H W pixels of a map.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)
"""Of each resolution the fire modules: channels after squeezing, and of each of the two halves."""


class Fire(nn.Module):
    """1×1 squeeze → 1×1 and 3×3 expand, joined; ReLU after each."""

    def __init__(self, channels: int, squeezed: int, half: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, half, 1)
        self.expand3x3 = nn.Conv2d(squeezed, half, 3, padding=1)
        for layer in (self.squeeze, self.expand1x1, self.expand3x3):
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """One map to the next."""
        x = F.relu(self.squeeze(x), inplace=True)
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1), inplace=True)


class SqueezeNet(nn.Module):
    """The feature extractor; `forward` gives the last map at strides 4, 8 and 16, finest first.

    The first convolution is not padded and poolings keep an odd last row, so that maps are a cell
    smaller than image / stride: 63, 31 and 15 cells for 256 pixels. A side below 11 pixels leaves
    nothing.
    """

    channels = (128, 256, 512)
    strides = (4, 8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, 2)
        nn.init.kaiming_uniform_(self.stem.weight)
        nn.init.zeros_(self.stem.bias)  # type: ignore[arg-type]
        self.stages = nn.ModuleList()
        channels = 64
        for modules in STAGES:
            stage = nn.Sequential()
            for squeezed, half in modules:
                stage.append(Fire(channels, squeezed, half))
                channels = 2 * half
            self.stages.append(stage)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The last map of each resolution."""
        x, levels = F.relu(self.stem(pixels), inplace=True), []
        for stage in self.stages:
            x = stage(F.max_pool2d(x, 3, 2, ceil_mode=True))
            levels.append(x)
        return tuple(levels)

    def freeze(self, stages: int) -> None:
        """No gradient for the first stages: 1 is the stem, 2 the fire modules of stride 4 too, and
        so on; 0 leaves all trainable.
        """
        for module in [self.stem, *self.stages][:stages]:
            module.requires_grad_(False)
