"""What a detector makes of a backbone's maps: the feature pyramid network and its encoder.

Feature Pyramid Networks for Object Detection (Lin 2017): 1×1 lateral convolutions, nearest
upsampling from the top, 3×3 output convolutions. Maps are (B, C, H, W), finest first.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class FPN(nn.Module):
    """A top-down path with lateral connections over the last `len(channels_in)` maps.

    `extra`: "p6p7" adds two strided 3×3 convolutions after P5 (RetinaNet; P6 from P5, as the
    published networks do it), "pool" a P6 of every second pixel of P5 (Faster R-CNN), None nothing.
    """

    def __init__(
        self,
        channels_in: Sequence[int],
        channels: int = 256,
        extra: Literal["p6p7", "pool"] | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.extra = channels, extra
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in channels_in)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1) for _ in channels_in)
        if extra == "p6p7":
            self.p6 = nn.Conv2d(channels, channels, 3, 2, 1)
            self.p7 = nn.Conv2d(channels, channels, 3, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    @property
    def levels(self) -> int:
        """How many maps come out."""
        return len(self.lateral) + {"p6p7": 2, "pool": 1, None: 0}[self.extra]

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> tuple[Tensor, ...]:
        """P-levels of `channels` channels each, at the resolutions of `maps`, then the extras."""
        used = maps[-len(self.lateral) :]
        merged: list[Tensor] = []
        for conv, x in zip(reversed(self.lateral), reversed(used), strict=True):
            y = conv(x)
            if merged:
                y += F.interpolate(merged[-1], size=y.shape[-2:], mode="nearest")
            merged.append(y)
        levels = [conv(y) for conv, y in zip(self.output, reversed(merged), strict=True)]
        if self.extra == "p6p7":
            levels.append(self.p6(levels[-1]))
            levels.append(self.p7(F.relu(levels[-1])))
        elif self.extra == "pool":
            levels.append(levels[-1][:, :, ::2, ::2])
        return tuple(levels)


class Encoder(nn.Module):
    """A backbone and its pyramid: pixels to feature maps."""

    def __init__(self, backbone: nn.Module, pyramid: FPN) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, pyramid

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The maps that heads look at, in the weights' own precision."""
        dtype = self.pyramid.lateral[0].weight.dtype
        assert isinstance(dtype, torch.dtype)
        x = pixels.to(dtype=dtype, memory_format=torch.channels_last)
        answer: tuple[Tensor, ...] = self.pyramid(self.backbone(x))
        return answer


class OneMap(nn.Module):
    """A backbone alone, its last map: the single feature map of Fast and Faster R-CNN."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The one map, in the weights' own precision."""
        dtype = next(self.backbone.parameters()).dtype
        x = pixels.to(dtype=dtype, memory_format=torch.channels_last)
        return (self.backbone(x)[-1],)


class Stack(nn.Module):
    """A backbone's maps as one, at the stride of the finest that is taken: ReLU(Σ up(lateral(C))).

    The maps with `strides` go through a 1×1 convolution to `channels` each, the coarser ones are
    repeated to the cells of the first, and all are summed: one 1×1 convolution over the stack of
    the maps (hypercolumns, Hariharan 2015). `stride` is that of the result, `coarsest` that of the
    last: images have sides that are multiples of it. Raises ValueError where the backbone has no
    such maps.
    """

    def __init__(
        self, backbone: nn.Module, strides: Sequence[int] = (8, 16), channels: int = 128
    ) -> None:
        super().__init__()
        own = dict(zip(backbone.strides, backbone.channels, strict=True))  # type: ignore[arg-type]
        if not set(strides) <= set(own):
            raise ValueError(f"{type(backbone).__name__} has maps of strides {sorted(own)}")
        self.backbone, self.channels = backbone, channels
        self.stride, self.coarsest = min(strides), max(strides)
        self.taken = [list(own).index(stride) for stride in sorted(strides)]
        self.lateral = nn.ModuleList(nn.Conv2d(own[s], channels, 1) for s in sorted(strides))
        for module in self.lateral:
            assert isinstance(module, nn.Conv2d) and module.bias is not None
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.zeros_(module.bias)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The one map, in the weights' own precision."""
        dtype = self.lateral[0].weight.dtype
        assert isinstance(dtype, torch.dtype)
        maps = self.backbone(pixels.to(dtype=dtype, memory_format=torch.channels_last))
        total: Tensor | None = None
        for conv, row in zip(self.lateral, self.taken, strict=True):
            part = conv(maps[row])
            if total is not None:
                part = total + F.interpolate(part, size=total.shape[-2:], mode="nearest")
            total = part
        assert total is not None
        return (F.relu(total, inplace=True),)
