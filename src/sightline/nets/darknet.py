"""Darknet's backbones: Darknet-19 (YOLO9000, Redmon 2017), Darknet-53 (YOLOv3, Redmon 2018), and
that of both tiny YOLOs.

All convolutions have batch norm and a leaky ReLU of slope 0.1. Every network tells its layers to a
`Plan` in the order of Darknet's files. ε = 1e-5 stands inside the root, as where the published
networks were trained (Darknet on a GPU; on a CPU it adds 1e-6 outside).

Keys of shape: B images, C channels, H W pixels of a map.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import ConvNorm
from sightline.nets.darknet_plan import Plan

Maps = tuple[Tensor, ...]


def leaky(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> ConvNorm:
    """Darknet's usual convolution."""
    return ConvNorm(channels_in, channels_out, kernel, stride, activation="leaky")


class Darknet19(nn.Module):
    """Six stages with pooling between them; `forward` gives C2, C3, C4, C5 (strides 4 to 32).

    A stage is 3×3 convolutions of one width, with 1×1 convolutions of half of it between them
    (YOLO9000, table 6, without the classifier).
    """

    channels = (128, 256, 512, 1024)
    strides = (4, 8, 16, 32)
    _stages = ((32, 1), (64, 1), (128, 3), (256, 3), (512, 5), (1024, 5))  # width, convolutions

    def __init__(self) -> None:
        super().__init__()
        self.stages, channels = nn.ModuleList(), 3
        for width, count in self._stages:
            stage = nn.Sequential()
            for row in range(count):
                narrow = row % 2 == 1
                out = width // 2 if narrow else width
                stage.append(leaky(channels, out, 1 if narrow else 3))
                channels = out
            self.stages.append(stage)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Maps:
        """The last map of each stage from 1/4 on, finest first."""
        x, levels = pixels, []
        for number, stage in enumerate(self.stages):
            x = stage(x if number == 0 else F.max_pool2d(x, 2))
            levels.append(x)
        return tuple(levels[2:])

    def tell(self, plan: Plan) -> tuple[int, ...]:
        """Add the layers; the numbers of those whose maps `forward` gives."""
        ends = []
        for number, stage in enumerate(self.stages):
            if number:
                plan.pool(2, 2)
            ends.append(plan.convolutions(stage))
        return tuple(ends[2:])

    def freeze(self, stages: int) -> None:
        """No gradient for the first stages: 1 is the first convolution; 0 leaves all trainable."""
        for stage in self.stages[:stages]:
            stage.requires_grad_(False)


class TinyDarknet(nn.Module):
    """Seven 3×3 convolutions, each twice as wide; `forward` gives C2, C3, C4, C5.

    Pooling between them; the sixth keeps its resolution, a window of 2×2 at every pixel.
    """

    channels = (64, 128, 256, 1024)
    strides = (4, 8, 16, 32)
    _widths = (16, 32, 64, 128, 256, 512, 1024)

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((3, *self._widths[:-1]), self._widths, strict=True)
        self.convs = nn.ModuleList(leaky(a, b) for a, b in pairs)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Maps:
        """The maps of 64, 128, 256 and 1,024 channels, finest first."""
        x, levels = pixels, []
        for row, conv in enumerate(self.convs):
            if row == len(self.convs) - 1:
                x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)
            elif row:
                x = F.max_pool2d(x, 2)
            x = conv(x)
            levels.append(x)
        return (*levels[2:5], levels[-1])

    def tell(self, plan: Plan) -> tuple[int, ...]:
        """Add the layers; the numbers of those whose maps `forward` gives."""
        ends = []
        for row, conv in enumerate(self.convs):
            if row:
                plan.pool(2, 1 if row == len(self.convs) - 1 else 2)
            ends.append(plan.convolution(conv))
        return (*ends[2:5], ends[-1])

    def freeze(self, stages: int) -> None:
        """No gradient for the first `stages` convolutions."""
        for conv in self.convs[:stages]:
            conv.requires_grad_(False)


class DarknetResidual(nn.Module):
    """1×1 to half the channels, 3×3 back, added to the input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(leaky(channels, channels // 2, 1), leaky(channels // 2, channels))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """One map to the next."""
        y: Tensor = self.path(x)
        # in place where nobody else has it: the activation's gradient needs what it gave
        return y + x if y.requires_grad else y.add_(x)

    def tell(self, plan: Plan) -> int:
        """Add the three layers."""
        before = plan.last
        plan.convolutions(self.path)
        return plan.shortcut(before)


class Darknet53(nn.Module):
    """A stem and five stages of residuals, each begun by a strided 3×3 convolution; `forward` gives
    C2, C3, C4, C5 (YOLOv3, table 1, without the classifier).
    """

    channels = (128, 256, 512, 1024)
    strides = (4, 8, 16, 32)
    _blocks = (1, 2, 8, 8, 4)

    def __init__(self) -> None:
        super().__init__()
        self.stem, channels = leaky(3, 32), 32
        self.stages = nn.ModuleList()
        for count in self._blocks:
            down = leaky(channels, 2 * channels, 3, 2)
            channels *= 2
            residuals = (DarknetResidual(channels) for _ in range(count))
            self.stages.append(nn.Sequential(down, *residuals))

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Maps:
        """The last map of each stage from 1/4 on, finest first."""
        x, levels = self.stem(pixels), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return tuple(levels[1:])

    def tell(self, plan: Plan) -> tuple[int, ...]:
        """Add the layers; the numbers of those whose maps `forward` gives."""
        plan.convolution(self.stem)
        ends = []
        for stage in self.stages:
            for block in stage.children():
                if isinstance(block, DarknetResidual):
                    block.tell(plan)
                else:
                    plan.convolution(block)
            ends.append(plan.last)
        return tuple(ends[1:])

    def freeze(self, stages: int) -> None:
        """No gradient for the stem and the first stages: 1 is the stem, 2 with the stage of stride
        2, 3 up to C2, and so on; 0 leaves all trainable.
        """
        for module in (self.stem, *self.stages)[:stages]:
            module.requires_grad_(False)
