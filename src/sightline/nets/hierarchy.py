"""The pyramidal feature hierarchy: maps of several depths, each used as it is (SSD, Liu 2016).

Unlike a feature pyramid network nothing leads back from the coarse maps to the fine ones: small
objects are looked for in what the early layers know. Keys of shape: B images, C channels, H W
pixels of a map.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import ConvNorm, maps_at, ready
from sightline.nets.vgg import VGG16

SCALE = 20.0
"""What normalised features are first multiplied with, channel by channel (ParseNet, Liu 2015)."""


def further(channels_in: int, thin: int, channels: int, shrink: bool = True) -> nn.Sequential:
    """The next coarser map: 1×1 to `thin` channels, 3×3 to `channels`.

    `shrink` halves the map; without it the border alone is lost (5 → 3 → 1).
    """
    stride, padding = (2, 1) if shrink else (1, 0)
    return nn.Sequential(
        nn.Conv2d(channels_in, thin, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(thin, channels, 3, stride, padding),
        nn.ReLU(inplace=True),
    )


def xavier(module: nn.Module) -> None:
    """Begin every convolution inside `module` as the paper does (section 3; Glorot 2010)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class VGG16Hierarchy(nn.Module):
    """SSD300's six maps: conv4_3, fc7, conv8_2, conv9_2, conv10_2, conv11_2 (figure 2).

    At 300 pixels they have 38, 19, 10, 5, 3 and 1 cells a side. The fifth pooling is 3×3 at stride
    1, and fc6 is a dilated convolution, so that fc7 stays at stride 16; conv4_3 is normalised to
    length 1 at each cell and scaled (section 3.1).
    """

    channels = (512, 1024, 512, 256, 256, 256)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VGG16(stages=(4, 5), round_up=True)
        self.scale_weight = nn.Parameter(torch.full((512,), SCALE))
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=6, dilation=6)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.further = nn.ModuleList(
            [
                further(1024, 256, 512),
                further(512, 128, 256),
                further(256, 128, 256, shrink=False),
                further(256, 128, 256, shrink=False),
            ]
        )
        for part in (self.fc6, self.fc7, self.further):
            xavier(part)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The six maps, in the weights' own precision."""
        conv4, conv5 = self.backbone(ready(pixels, self.fc6))
        unit = F.normalize(conv4.float(), dim=1) * self.scale_weight.view(1, -1, 1, 1)
        x = F.relu(self.fc6(F.max_pool2d(conv5, 3, 1, 1)), inplace=True)
        maps = [unit.to(conv4.dtype), F.relu(self.fc7(x), inplace=True)]
        for block in self.further:
            maps.append(block(maps[-1]))
        return tuple(maps)


class LongHierarchy(nn.Module):
    """The last maps of a `backbone`, each brought to one width by 1×1, and coarser ones after them.

    The maps with `strides` get `channels` each; `extra` more follow, each of half the size, also of
    `channels`. Every convolution has its batch norm, as in SSDLite (Sandler 2018): the maps of a
    backbone have features of as many sizes as depths. Raises ValueError where it has no such maps.
    """

    def __init__(
        self,
        backbone: nn.Module,
        strides: Sequence[int] = (8, 16, 32),
        channels: int = 256,
        extra: int = 3,
    ) -> None:
        super().__init__()
        self.taken, channels_in = maps_at(backbone, strides)
        self.backbone = backbone
        self.channels = (channels,) * (len(strides) + extra)
        self.widen = nn.ModuleList(ConvNorm(own, channels, 1) for own in channels_in)
        self.further = nn.ModuleList(
            nn.Sequential(
                ConvNorm(channels, channels // 2, 1), ConvNorm(channels // 2, channels, 3, stride=2)
            )
            for _ in range(extra)
        )

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """All maps, finest first, in the weights' own precision."""
        found = self.backbone(ready(pixels, self.widen))
        maps = [widen(found[row]) for widen, row in zip(self.widen, self.taken, strict=True)]
        for block in self.further:
            maps.append(block(maps[-1]))
        return tuple(maps)
