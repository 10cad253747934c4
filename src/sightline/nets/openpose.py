"""The networks of OpenPose (Cao 2017 and 2019): features, then stages that correct each other.

A stage sees the features F and what the stages before it answered. Published widths throughout; the
light one keeps the order of the second paper, fields before maps.

Keys of shape: B images, C channels of F, f channels of the fields, m of the part maps, h w cells.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import ready

Stages = tuple[list[Tensor], list[Tensor]]
"""Fields (B, f, h, w) and part maps (B, m, h, w) of every stage that answers them, last best."""

FRONT = ((64, 2), (128, 2), (256, 4), (512, 2))
"""VGG-19's first ten convolutions: channels and how many, a pooling between."""


def convolution(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size, its weights from a narrow Gaussian as the authors'."""
    layer = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class VGG19(nn.Module):
    """The first ten convolutions; `forward` gives conv4_2 at stride 8 as the only map."""

    channels, strides = (512,), (8,)

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for width, count in FRONT:
            stage = nn.Sequential()
            for _ in range(count):
                layer = nn.Conv2d(channels, width, 3, padding=1)
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
                stage.extend([layer, nn.ReLU(inplace=True)])
                channels = width
            self.stages.append(stage)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """conv4_2, 512 channels."""
        x = self.stages[0](pixels)
        for stage in list(self.stages)[1:]:
            x = stage(F.max_pool2d(x, 2, 2))
        return (x,)

    def freeze(self, stages: int) -> None:
        """No gradient for the first stages: 1 is conv1_1 and conv1_2; 0 leaves all trainable."""
        for stage in list(self.stages)[:stages]:
            stage.requires_grad_(False)


class Features(nn.Module):
    """VGG-19's front, and two convolutions that make it 128 channels (conv4_3, conv4_4)."""

    channels, stride, coarsest = 128, 8, 8

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VGG19()
        self.narrow = nn.Sequential(convolution(512, 256), convolution(256, 128))

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """F, in the weights' own precision."""
        x = self.backbone(ready(pixels, self.narrow))[0]
        for layer in self.narrow:
            x = F.relu(layer(x), inplace=True)
        return (x,)


def branch(widths: Sequence[int], kernels: Sequence[int]) -> nn.Sequential:
    """Convolutions with ReLU between; `widths` starts with the input's channels."""
    layers = nn.Sequential()
    for row, kernel in enumerate(kernels):
        if row > 0:
            layers.append(nn.ReLU(inplace=True))
        layers.append(convolution(widths[row], widths[row + 1], kernel))
    return layers


class TwoBranches(nn.Module):
    """2017: at each of six stages one branch for fields and one for maps (figure 3).

    Stage 1 has three 3×3 and two 1×1 convolutions a branch; the others have five 7×7 and two 1×1
    and see F beside both answers of the stage before.
    """

    def __init__(self, channels: int, fields: int, maps: int, stages: int = 6) -> None:
        super().__init__()
        self.fields, self.maps = nn.ModuleList(), nn.ModuleList()
        for stage in range(stages):
            seen = channels if stage == 0 else channels + fields + maps
            for branches, out in ((self.fields, fields), (self.maps, maps)):
                if stage == 0:
                    branches.append(branch([seen, 128, 128, 128, 512, out], [3, 3, 3, 1, 1]))
                else:
                    branches.append(branch([seen, *[128] * 6, out], [*[7] * 5, 1, 1]))

    def forward(self, x: Float[Tensor, "B C h w"]) -> Stages:
        """The answers of every stage."""
        fields: list[Tensor] = []
        maps: list[Tensor] = []
        seen = x
        for one, other in zip(self.fields, self.maps, strict=True):
            fields.append(one(seen))
            maps.append(other(seen))
            seen = torch.cat([x, fields[-1], maps[-1]], dim=1)
        return fields, maps


class Triplet(nn.Module):
    """2019: three 3×3 convolutions that see as far as one 7×7; all three answers are joined."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        widths = (channels_in, width, width)
        self.convs = nn.ModuleList(convolution(one, width) for one in widths)
        self.slopes = nn.ModuleList(nn.PReLU(width) for _ in widths)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        """(B, 3 · width, h, w)."""
        answers = []
        for conv, slope in zip(self.convs, self.slopes, strict=True):
            x = slope(conv(x))
            answers.append(x)
        return torch.cat(answers, dim=1)


def triplets(channels_in: int, width: int, between: int, out: int) -> nn.Sequential:
    """A stage of 2019: five triplets and two 1×1 convolutions."""
    layers = nn.Sequential(Triplet(channels_in, width))
    layers.extend(Triplet(3 * width, width) for _ in range(4))
    layers.extend([convolution(3 * width, between, 1), nn.PReLU(between)])
    layers.append(convolution(between, out, 1))
    return layers


class InTurn(nn.Module):
    """2019: `fields` are the stages that answer fields, then come `maps`, those of part maps.

    A stage of fields sees F and the fields before it, one of maps F, the last fields, and the maps
    before it (figure 3 of the second paper).
    """

    def __init__(self, fields: Sequence[nn.Module], maps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.fields, self.maps = nn.ModuleList(fields), nn.ModuleList(maps)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Stages:
        """The answers of every stage."""
        fields: list[Tensor] = []
        maps: list[Tensor] = []
        for stage in self.fields:
            fields.append(stage(torch.cat([x, *fields[-1:]], dim=1)))
        for stage in self.maps:
            maps.append(stage(torch.cat([x, fields[-1], *maps[-1:]], dim=1)))
        return fields, maps


def in_turn(channels: int, fields: int, maps: int) -> InTurn:
    """The second paper's: four stages of fields, two of maps; the first of each is narrower."""
    before = [channels] + [channels + fields] * 3
    sizes = [(96, 256)] + [(128, 512)] * 3
    first = [triplets(seen, *size, fields) for seen, size in zip(before, sizes, strict=True)]
    shown = channels + fields
    last = [triplets(shown, 96, 256, maps), triplets(shown + maps, 128, 512, maps)]
    return InTurn(first, last)


class Residual(nn.Module):
    """x + conv(ReLU(conv(x))), 3×3 and with ReLU after; the second conv may be dilated."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.second.weight)  # the block begins as x

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """One map to the next."""
        return F.relu(x + self.second(F.relu(self.first(x), inplace=True)), inplace=True)


def light_stage(channels_in: int, width: int, out: int, dilation: int) -> nn.Sequential:
    """1×1 to `width`, a residual block, 1×1 to the answers."""
    enter = nn.Conv2d(channels_in, width, 1)
    nn.init.kaiming_normal_(enter.weight, nonlinearity="relu")
    assert enter.bias is not None
    nn.init.zeros_(enter.bias)
    last = convolution(width, out, 1)
    return nn.Sequential(enter, nn.ReLU(inplace=True), Residual(width, dilation), last)


def light(channels: int, fields: int, maps: int, width: int = 96) -> InTurn:
    """For CPUs: two stages of fields and one of maps, a residual block each."""
    first = [
        light_stage(channels, width, fields, 1),
        light_stage(channels + fields, width, fields, 2),
    ]
    return InTurn(first, [light_stage(channels + fields, width, maps, 2)])
