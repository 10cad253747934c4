"""The networks of YOLO v1 (Redmon 2016, figure 3): convolutions, and what answers for the cells.

No batch norm, leaky ReLUs (section 2.2, eq. 2). `DARKNET` are the 24 convolutions of the paper,
whose 1×1 reductions before 3×3 stand for GoogLeNet's inception; `FAST` the 9 of Fast YOLO. The
paper does not tell the widths of these, nor that 256 units come before the 4,096: both are those of
the published configuration.

Keys of shape: I images, C channels, H W pixels of a map, S rows and columns of cells, O outputs.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.nets.blocks import LEAK

Stage = tuple[tuple[int, int, int], ...]
"""(kernel, channels out, stride) of each convolution between two poolings."""

_REDUCED: Stage = ((1, 256, 1), (3, 512, 1))
_WIDE: Stage = ((1, 512, 1), (3, 1024, 1))

DARKNET: tuple[Stage, ...] = (
    ((7, 64, 2),),
    ((3, 192, 1),),
    ((1, 128, 1), (3, 256, 1), *_REDUCED),
    (*_REDUCED * 4, *_WIDE),
    (*_WIDE * 2, (3, 1024, 1), (3, 1024, 2), (3, 1024, 1), (3, 1024, 1)),
)

FAST: tuple[Stage, ...] = (
    *(((3, width, 1),) for width in (16, 32, 64, 128, 256, 512)),
    ((3, 1024, 1),) * 3,
)


class Convolutions(nn.Module):
    """Stages of convolutions with a pooling between; `forward` gives the last map alone.

    Both of the paper's come to a stride of 64: 448 pixels become 7 × 7 cells.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels, stride = 3, 2 ** (len(stages) - 1)
        for layers in stages:
            stage = nn.Sequential()
            for kernel, width, step in layers:
                conv = nn.Conv2d(channels, width, kernel, step, kernel // 2)
                stage.extend([_calm(conv), nn.LeakyReLU(LEAK, inplace=True)])
                channels, stride = width, stride * step
            self.stages.append(stage)
        self.channels, self.strides = (channels,), (stride,)

    def forward(self, pixels: Float[Tensor, "I 3 H W"]) -> tuple[Tensor, ...]:
        """The map whose cells are answered for."""
        x = pixels
        for number, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if number else x)
        return (x,)

    def freeze(self, stages: int) -> None:
        """No gradient for the first stages: 1 is all before the first pooling; 0 leaves all."""
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)


class FullyConnected(nn.Module):
    """The paper's: every cell is answered for by layers that see the whole map.

    `hidden` units a layer, dropout after the last of them, then S · S · O linear outputs. `mapped`
    are the rows and columns of the map, which is of this one size.
    """

    def __init__(
        self,
        channels: int,
        mapped: int,
        side: int,
        outputs: int,
        hidden: Sequence[int] = (4096,),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.mapped, self.side = mapped, side
        widths = (channels * mapped**2, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(widths[-1], side**2 * outputs)

    def forward(self, x: Float[Tensor, "I C H W"]) -> Float[Tensor, "I S S O"]:
        """What is said of each cell; UsageError for a map of another size."""
        if x.shape[-2:] != (self.mapped, self.mapped):
            raise UsageError(
                f"fully connected layers take {self.mapped} × {self.mapped} cells, "
                f"not {x.shape[-2]} × {x.shape[-1]}",
                code="usage.shape",
                hint="this network has one size of images: leave --size out",
            )
        x = x.flatten(1).to(self.output.weight.dtype)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAK)
        x = self.output(self.dropout(x))
        return x.view(len(x), self.side, self.side, -1).float()


class CellConvolutions(nn.Module):
    """The light one's: all cells share two 3×3 convolutions, as each looks at what is around it.

    Whatever the size of the image, its map is averaged to 2S × 2S (which changes nothing where it
    has 2S rows and columns: 224 pixels at a stride of 16, for 7 cells). The first convolution takes
    every second place, as the paper's 22nd of 24 does.
    """

    def __init__(self, channels: int, side: int, outputs: int, width: int = 256) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(2 * side)
        self.layers = nn.Sequential()
        for conv in (nn.Conv2d(channels, width, 3, 2, 1), nn.Conv2d(width, width, 3, 1, 1)):
            self.layers.extend([_calm(conv), nn.LeakyReLU(LEAK, inplace=True)])
        self.output = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Float[Tensor, "I C H W"]) -> Float[Tensor, "I S S O"]:
        """What is said of each cell."""
        y: Tensor = self.output(self.layers(self.pool(x)))
        return y.permute(0, 2, 3, 1).float()


def _calm(conv: nn.Conv2d) -> nn.Conv2d:
    """Weights that keep the size of what passes, no bias."""
    nn.init.kaiming_normal_(conv.weight, a=LEAK, mode="fan_in", nonlinearity="leaky_relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


@torch.no_grad()
def start_from(output: nn.Linear | nn.Conv2d, first: Float[Tensor, "O"]) -> None:
    """Make a last layer say nearly the same of every cell, whatever it sees."""
    nn.init.normal_(output.weight, std=0.01)
    assert output.bias is not None
    output.bias.copy_(first.repeat(len(output.bias) // len(first)))
