"""What a detector makes of a backbone's maps: the four pyramids, and the maps of two stages.

The four of Feature Pyramid Networks for Object Detection (Lin 2017, figure 1), all with the same
number of channels on every level, finest first, so that one detector can have any of them:

(a) featurized image pyramid: `ImagePyramid`, the backbone run anew on every size of the image;
(b) single feature map: `Hierarchy` of the last map alone;
(c) pyramidal feature hierarchy: `Hierarchy` of maps of several depths, each used as it is;
(d) feature pyramid network: `FPN`, a hierarchy whose deep maps are added to the finer ones.

Maps are (B, C, H, W).
"""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import maps_at, ready


class Hierarchy(nn.Module):
    """A 1×1 convolution to `channels` on each of the last `len(channels_in)` maps, no more.

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
        self._add_layers()
        if extra == "p6p7":
            self.p6 = nn.Conv2d(channels, channels, 3, 2, 1)
            self.p7 = nn.Conv2d(channels, channels, 3, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def _add_layers(self) -> None:
        """What comes between the lateral convolutions and the extra levels."""

    @property
    def levels(self) -> int:
        """How many maps come out."""
        return len(self.lateral) + {"p6p7": 2, "pool": 1, None: 0}[self.extra]

    def merge(self, maps: list[Tensor]) -> list[Tensor]:
        """What the levels tell each other: here nothing."""
        return maps

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> tuple[Tensor, ...]:
        """Levels of `channels` channels each, at the resolutions of `maps`, then the extras."""
        used = maps[-len(self.lateral) :]
        levels = self.merge([conv(x) for conv, x in zip(self.lateral, used, strict=True)])
        if self.extra == "p6p7":
            levels.append(self.p6(levels[-1]))
            levels.append(self.p7(F.relu(levels[-1])))
        elif self.extra == "pool":
            levels.append(levels[-1][:, :, ::2, ::2])
        return tuple(levels)


class FPN(Hierarchy):
    """A hierarchy with a top-down path: every map is repeated to the cells of the next finer one
    (nearest) and added to it, from the last to the first; then a 3×3 convolution a level.
    """

    def _add_layers(self) -> None:
        channels = self.channels
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1) for _ in self.lateral)

    def merge(self, maps: list[Tensor]) -> list[Tensor]:
        """From the top down, then smoothed."""
        for row in range(len(maps) - 1, 0, -1):
            finer = maps[row - 1]
            finer += F.interpolate(maps[row], size=finer.shape[-2:], mode="nearest")
        return [conv(y) for conv, y in zip(self.output, maps, strict=True)]


class Encoder(nn.Module):
    """A backbone and its pyramid: pixels to feature maps."""

    def __init__(self, backbone: nn.Module, pyramid: Hierarchy) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, pyramid

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell of every level: those of the backbone's maps, then twice as many each."""
        own: tuple[int, ...] = self.backbone.strides  # type: ignore[assignment]
        taken = len(self.pyramid.lateral)
        more = range(1, self.pyramid.levels - taken + 1)
        return (*own[-taken:], *(own[-1] * 2**step for step in more))

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The maps that heads look at, in the weights' own precision."""
        answer: tuple[Tensor, ...] = self.pyramid(self.backbone(ready(pixels, self.pyramid)))
        return answer


class ImagePyramid(nn.Module):
    """A featurized image pyramid: every level is the backbone's last map of the image at a scale.

    Level i is that of the image resized by `scales[i]` (bilinear, averaged where it shrinks),
    after a 1×1 convolution to `channels`, the same for all: a thing of half the size on one level
    is what it is on the next finer one. `scales` fall; a power of two each, so that the levels of
    images with sides of multiples of 32 fit those of the other pyramids.
    """

    def __init__(self, backbone: nn.Module, channels: int, scales: Sequence[float]) -> None:
        super().__init__()
        self.backbone, self.scales = backbone, tuple(scales)
        own: tuple[int, ...] = backbone.channels  # type: ignore[assignment]
        self.lateral = nn.Conv2d(own[-1], channels, 1)
        nn.init.kaiming_uniform_(self.lateral.weight, a=1)
        assert self.lateral.bias is not None
        nn.init.zeros_(self.lateral.bias)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels of the image as it is given, a cell of every level."""
        own: tuple[int, ...] = self.backbone.strides  # type: ignore[assignment]
        return tuple(round(own[-1] / scale) for scale in self.scales)

    def resized(self, pixels: Float[Tensor, "B 3 H W"], scale: float) -> Float[Tensor, "B 3 h w"]:
        """The image at one scale, no side below a pixel."""
        if scale == 1:
            return pixels
        size = [max(1, round(side * scale)) for side in pixels.shape[-2:]]
        return F.interpolate(
            pixels.float(), size, mode="bilinear", align_corners=False, antialias=scale < 1
        )

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The maps that heads look at, in the weights' own precision."""
        sizes = (self.resized(pixels, scale) for scale in self.scales)
        answer = (self.lateral(self.backbone(ready(one, self.lateral))[-1]) for one in sizes)
        return tuple(answer)


class OneMap(nn.Module):
    """A backbone alone, its last map: the single feature map of Fast and Faster R-CNN."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The one map, in the weights' own precision."""
        return (self.backbone(ready(pixels, self.backbone))[-1],)


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
        self.taken, channels_in = maps_at(backbone, strides)
        self.backbone, self.channels = backbone, channels
        self.stride, self.coarsest = min(strides), max(strides)
        self.lateral = nn.ModuleList(nn.Conv2d(own, channels, 1) for own in channels_in)
        for module in self.lateral:
            assert isinstance(module, nn.Conv2d) and module.bias is not None
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.zeros_(module.bias)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The one map, in the weights' own precision."""
        maps = self.backbone(ready(pixels, self.lateral))
        total: Tensor | None = None
        for conv, row in zip(self.lateral, self.taken, strict=True):
            part = conv(maps[row])
            if total is not None:
                part = total + F.interpolate(part, size=total.shape[-2:], mode="nearest")
            total = part
        assert total is not None
        return (F.relu(total, inplace=True),)
