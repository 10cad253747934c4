"""VGG-16: Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan 2015).

Configuration D: thirteen 3×3 convolutions in five stages with pooling between, then two layers of
4,096 units. No batch norm, as in the paper. Fast R-CNN takes conv5_3 and both layers, SSD conv4_3
and conv5_3.

Keys of shape: B images, R regions, C channels, H W pixels of a map.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of convolutions of each stage."""

_ROUNDED_UP = 3  # the pooling that SSD rounds up, before conv4_1


class VGG16(nn.Module):
    """The convolutions; `forward` gives the last map of each of the `stages` asked for (1 to 5).

    The default is conv5_3 at stride 16, before its pooling. `round_up` makes the third pooling keep
    an odd last row and column, as SSD does (75 → 38 at 300 pixels).
    """

    def __init__(self, stages: Sequence[int] = (5,), round_up: bool = False) -> None:
        super().__init__()
        self.taken, self.round_up = tuple(sorted(stages)), round_up
        self.channels = tuple(WIDTHS[stage - 1][0] for stage in self.taken)
        self.strides = tuple(2 ** (stage - 1) for stage in self.taken)
        self.stages = nn.ModuleList()
        channels = 3
        for width, count in WIDTHS[: self.taken[-1]]:
            stage = nn.Sequential()
            for _ in range(count):
                conv = nn.Conv2d(channels, width, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
                stage.extend([conv, nn.ReLU(inplace=True)])
                channels = width
            self.stages.append(stage)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The maps asked for, finest first."""
        x, levels = pixels, []
        for number, stage in enumerate(self.stages, start=1):
            if number > 1:
                up = self.round_up and number == _ROUNDED_UP + 1
                x = F.max_pool2d(x, 2, 2, ceil_mode=up)
            x = stage(x)
            if number in self.taken:
                levels.append(x)
        return tuple(levels)

    def freeze(self, stages: int) -> None:
        """No gradient for the first stages: 1 is conv1_1 and conv1_2; 0 leaves all trainable."""
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)


class VGG16Layers(nn.Module):
    """fc6 and fc7, with dropout in training: a 7×7 map of a region to 4,096 features."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.fc6 = nn.Linear(512 * 7 * 7, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "R 512 7 7"]) -> Float[Tensor, "R 4096"]:
        """Features of each region."""
        x = self.dropout(F.relu(self.fc6(x.flatten(1))))
        y: Tensor = self.dropout(F.relu(self.fc7(x)))
        return y
