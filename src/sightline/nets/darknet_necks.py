"""What YOLO v2 and v3 have behind a backbone: passthrough, top-down path; the encoder of both.

Every part tells its layers to a `Plan` in the order of Darknet's files, the predictions of each
level at their place among them.

Keys of shape: B images, C D channels, H W pixels of a map.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.blocks import ready
from sightline.nets.darknet import Darknet19, Darknet53, Maps, TinyDarknet, leaky
from sightline.nets.darknet_plan import Plan


def reorganise(x: Float[Tensor, "B C H W"], stride: int = 2) -> Float[Tensor, "B D h w"]:
    """Darknet's [reorg]: space into channels, H W → H/s W/s, C → C·s², in its own order.

    Darknet takes the numbers of the map for one of C/s² channels and H·s × W·s pixels, gathers
    every s-th of these, and takes the answer for one of C·s² channels: not the plain
    space-to-depth, but what the published weights were trained with. C is a multiple of s², H and
    W of s.
    """
    batch, channels, height, width = x.shape
    split = x.reshape(batch, channels // stride**2, height, stride, width, stride)
    gathered = split.permute(0, 3, 5, 1, 2, 4)
    return gathered.reshape(batch, channels * stride**2, height // stride, width // stride)


class Passthrough(nn.Module):
    """The last map, two convolutions deeper, beside the finer one before it (YOLO9000, section 2,
    "Fine-Grained Features"); one convolution over both. `channels` come out, at the last stride.
    """

    def __init__(
        self, channels_in: Sequence[int], channels: int = 1024, squeezed: int = 64
    ) -> None:
        super().__init__()
        self.channels = (channels,)
        self.deep = nn.Sequential(leaky(channels_in[-1], channels), leaky(channels, channels))
        self.squeeze = leaky(channels_in[-2], squeezed, 1)
        self.fuse = leaky(4 * squeezed + channels, channels)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> Maps:
        """One map."""
        fine = reorganise(self.squeeze(maps[-2]))
        return (self.fuse(torch.cat([fine, self.deep(maps[-1])], dim=1)),)

    def tell(self, plan: Plan, maps: Sequence[int], predict: Callable[[int], None]) -> None:
        """Add the layers behind a backbone with these maps; `predict(level)` adds its own."""
        deep = plan.convolutions(self.deep)
        plan.route(maps[-2])
        plan.convolution(self.squeeze)
        fine = plan.reorganise(2)
        plan.route(fine, deep)
        plan.convolution(self.fuse)
        predict(0)


class Deeper(nn.Module):
    """One more convolution on the last map: all that tiny YOLO v2 has behind its backbone."""

    def __init__(self, channels_in: Sequence[int], channels: int = 1024) -> None:
        super().__init__()
        self.channels = (channels,)
        self.conv = leaky(channels_in[-1], channels)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> Maps:
        """One map."""
        return (self.conv(maps[-1]),)

    def tell(self, plan: Plan, maps: Sequence[int], predict: Callable[[int], None]) -> None:
        """Add the layer; `predict(level)` adds its own."""
        plan.convolution(self.conv)
        predict(0)


class TopDown(nn.Module):
    """YOLO v3's path from the coarsest map to finer ones (section 2.3).

    A level of width w: a trunk of `depth` convolutions, 1×1 to w and 3×3 to 2w in turn; from its
    end a 3×3 convolution to 2w, which is what comes out, and, for the next finer level, a 1×1 to
    w/2, doubled, in front of the backbone's map. `widths` and `depths` are by level, finest first.
    """

    def __init__(
        self, channels_in: Sequence[int], widths: Sequence[int], depths: Sequence[int]
    ) -> None:
        super().__init__()
        self.trunks, self.outputs, self.reductions = (nn.ModuleList() for _ in range(3))
        used, above = channels_in[-len(widths) :], 0
        for own, width, depth in reversed(list(zip(used, widths, depths, strict=True))):
            if len(self.trunks):
                self.reductions.append(leaky(above, above // 2, 1))
            channels = own + above // 2
            trunk = nn.Sequential()
            for row in range(depth):
                out, kernel = (width, 1) if row % 2 == 0 else (2 * width, 3)
                trunk.append(leaky(channels, out, kernel))
                channels = out
            self.trunks.append(trunk)
            self.outputs.append(leaky(channels, 2 * width))
            above = channels
        self.channels = tuple(2 * width for width in widths)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> Maps:
        """One map a level, finest first."""
        levels: list[Tensor] = []
        x: Tensor | None = None
        for row, (trunk, output) in enumerate(zip(self.trunks, self.outputs, strict=True)):
            own = maps[-1 - row]
            if x is not None:
                up = self.reductions[row - 1](x)
                up = F.interpolate(up, size=own.shape[-2:], mode="nearest")
                own = torch.cat([up, own], dim=1)
            x = trunk(own)
            levels.append(output(x))
        return tuple(reversed(levels))

    def tell(self, plan: Plan, maps: Sequence[int], predict: Callable[[int], None]) -> None:
        """Add the layers, coarsest level first; `predict(level)` adds those of a level's output."""
        count, end = len(self.trunks), plan.last
        for row, (trunk, output) in enumerate(zip(self.trunks, self.outputs, strict=True)):
            if row:
                plan.route(end)
                plan.convolution(self.reductions[row - 1])
                up = plan.upsample(2)
                plan.route(up, maps[-1 - row])
            end = plan.convolutions(trunk)
            plan.convolution(output)
            predict(count - 1 - row)


class DarknetEncoder(nn.Module):
    """A backbone and what stands behind it: pixels to the maps that are predicted from."""

    def __init__(self, backbone: nn.Module, neck: Passthrough | Deeper | TopDown) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck
        self.channels = neck.channels
        strides: tuple[int, ...] = backbone.strides  # type: ignore[assignment]
        self.strides = strides[-len(neck.channels) :]

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Maps:
        """The maps, in the weights' own precision, finest first."""
        answer: Maps = self.neck(self.backbone(ready(pixels, self.neck)))
        return answer

    def tell(self, plan: Plan, predict: Callable[[int], None]) -> bool:
        """Add all layers; False, and nothing, where the backbone is none of Darknet's."""
        if not isinstance(self.backbone, Darknet19 | Darknet53 | TinyDarknet):
            return False
        self.neck.tell(plan, self.backbone.tell(plan), predict)
        return True
