"""SSD: Single Shot MultiBox Detector (Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016).

No proposals and no pooling of features: small convolutions on maps of several depths say for a
fixed set of default boxes, in all sizes and shapes, which class each is and how it has to be moved.
As accurate as Faster R-CNN, and three times as fast.

Departures. `ssd300_vgg16` follows the published torchvision network to the number. Each object's
own default box is found greedily over all pairs, as in MultiBox, so two objects never share one. An
image without objects still teaches the few boxes that it is most wrong about; the paper learns
nothing from it. The light `ssd_mobilenet_v2` reads MobileNetV2, and its predictors are depthwise
and 1×1 convolutions (SSDLite, Sandler 2018).

Key of shapes: B images, A default boxes an image, K classes, L = K + 1 with the background last,
C channels, H W cells of a map, P positive boxes.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.anchored import Anchored
from sightline.detectors.losses import normaliser
from sightline.matching import BACKGROUND, MultiBoxMatcher, objects_of
from sightline.nets.blocks import ConvNorm
from sightline.nets.hierarchy import LongHierarchy, VGG16Hierarchy, xavier
from sightline.nets.mobilenet import MobileNetV2
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Size, Targets

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""What offsets are multiplied with, so that they have about unit variance."""

SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
"""s_k of the six maps, and what would come next: shares of the image's side."""

SHAPES = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))
"""Aspect ratios beside 1 of each map; each comes lying and standing."""

ANSWERS = Selection(score=0.01, iou=0.45, limit=200, per_level=None, per_class=400)
"""Section 3.1's threshold, overlap and limit."""


@dataclass(frozen=True)
class DefaultBoxes:
    """The default boxes of each cell of each map (section 2.2, "choosing scales …").

    Map k has squares of s_k and √(s_k s_{k+1}), and for each ratio a of `shapes[k]` boxes of
    s_k √a × s_k / √a, lying and standing, all shares of the image, no side above 1. A cell is
    `strides[k]` pixels; None divides the image into as many cells as the map has. Boxes may leave
    the image.
    """

    scales: tuple[float, ...] = SCALES
    shapes: tuple[tuple[float, ...], ...] = SHAPES
    strides: tuple[int, ...] | None = None

    @property
    def per_cell(self) -> tuple[int, ...]:
        """How many boxes a cell of each map has."""
        return tuple(2 + 2 * len(ratios) for ratios in self.shapes)

    def sides(self, level: int) -> Float[Tensor, "a 2"]:
        """(width, height) of the boxes of a cell, as shares of the image."""
        scale, following = self.scales[level : level + 2]
        found = [(scale, scale), (math.sqrt(scale * following),) * 2]
        for ratio in self.shapes[level]:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            found += [(long, short), (short, long)]
        return torch.tensor(found).clamp(max=1.0)

    def boxes(
        self, grids: Sequence[Size], image: Size
    ) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
        """All boxes of maps of these sizes over an image of size `image`, and their levels.

        Ordered by level, then row, column, and shape, as the predictors order their outputs.
        """
        return _boxes(self, tuple(grids), image)


@functools.lru_cache(maxsize=32)
def _boxes(
    default: DefaultBoxes, grids: tuple[Size, ...], image: Size
) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
    whole, parts, levels = torch.tensor([image[1], image[0]]), [], []
    for level, (rows, columns) in enumerate(grids):
        step = None if default.strides is None else default.strides[level]
        y = (torch.arange(rows) + 0.5) / (rows if step is None else image[0] / step)
        x = (torch.arange(columns) + 0.5) / (columns if step is None else image[1] / step)
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 1, 2)
        half = default.sides(level) / 2
        part = torch.cat([(centre - half) * whole, (centre + half) * whole], dim=2).reshape(-1, 4)
        parts.append(part)
        levels.append(torch.full((len(part),), level))
    return torch.cat(parts), torch.cat(levels)


class Predictors(nn.Module):
    """For each map a convolution to L class logits, and one to 4 offsets, for each default box.

    Plain ones are 3×3 (section 2.1); `light` ones filter each channel by 3×3, with a batch norm,
    before 1×1.
    """

    def __init__(
        self, channels: Sequence[int], per_cell: Sequence[int], classes: int, light: bool = False
    ) -> None:
        super().__init__()
        self.columns = classes + 1

        def convolution(inputs: int, outputs: int) -> nn.Module:
            if not light:
                return nn.Conv2d(inputs, outputs, 3, padding=1)
            depthwise = ConvNorm(inputs, inputs, 3, groups=inputs)
            return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1))

        pairs = list(zip(channels, per_cell, strict=True))
        self.class_logits = nn.ModuleList(convolution(c, a * self.columns) for c, a in pairs)
        self.box_offsets = nn.ModuleList(convolution(c, a * 4) for c, a in pairs)
        xavier(self)

    def forward(self, features: Features) -> tuple[Float[Tensor, "B A L"], Float[Tensor, "B A 4"]]:
        """Class logits and box offsets of all default boxes, level by level, row by row."""

        def rows(layers: nn.ModuleList, width: int) -> Tensor:
            maps = [layer(x) for layer, x in zip(layers, features, strict=True)]
            flat = [x.permute(0, 2, 3, 1).reshape(len(x), -1, width) for x in maps]
            return torch.cat(flat, dim=1).float()

        return rows(self.class_logits, self.columns), rows(self.box_offsets, 4)


def hardest(
    loss: Float[Tensor, "B A"], matched: Int[Tensor, "B A"], ratio: int, least: int
) -> Bool[Tensor, "B A"]:
    """The background boxes with the highest loss, `ratio` for each positive one of their image and
    at least `least` (section 2.2, "hard negative mining"). Of equal losses the first boxes.
    """
    background = matched == BACKGROUND
    count = (ratio * (matched >= 0).sum(dim=1, keepdim=True)).clamp(min=least)
    order = loss.masked_fill(~background, -math.inf).argsort(dim=1, descending=True, stable=True)
    place = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return background & (torch.empty_like(order).scatter_(1, order, place) < count)


@dataclass(frozen=True)
class MultiBoxCriterion:
    """L = (L_conf + L_loc) / N over the N matched boxes of a batch (equations 1 to 3).

    L_conf is the softmax cross-entropy of the matched boxes and of the hardest background, `ratio`
    boxes of it for each matched one of the image, at least `least` an image; L_loc is smooth L1 on
    the offsets. `weights` is what a box counts in the first that answers for an object of each
    class (None: 1).
    """

    matcher: MultiBoxMatcher = MultiBoxMatcher()
    ratio: int = 3
    least: int = 3
    weights: tuple[float, ...] | None = None

    def __call__(
        self,
        logits: Float[Tensor, "B A L"],
        offsets: Float[Tensor, "B A 4"],
        boxes: Float[Tensor, "A 4"],
        level: Int[Tensor, "A"],
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """Losses of a batch by part."""
        matched = torch.stack([self.matcher(boxes, level, truth) for truth in targets])
        image, box = (matched >= 0).nonzero(as_tuple=True)
        positives = normaliser((matched >= 0).sum())
        goals, labels = objects_of(targets, image, matched[image, box])
        wanted = torch.full_like(matched, logits.shape[2] - 1)  # background
        wanted[image, box] = labels
        entropy = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        entropy = entropy.view_as(wanted)
        hard = hardest(entropy.detach(), matched, self.ratio, self.least)
        right = entropy[image, box]
        if self.weights is not None:
            right = right * torch.tensor(self.weights, device=labels.device)[labels]
        true = bx.encode(goals, boxes[box], WEIGHTS)
        distance = F.smooth_l1_loss(offsets[image, box], true, reduction="sum")
        return {
            "classification": (right.sum() + entropy[hard].sum()) / positives,
            "box": distance / positives,
        }


class SSD(Anchored):
    """A hierarchy of maps, and predictors for the default boxes of each.

    Nothing but its own map tells a predictor what an object looks like at its size, so all sizes
    have to be shown: it learns from patches and from pictures zoomed out.
    """

    takes_patches = True

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        predictors: Predictors,
        anchors: DefaultBoxes,
        preparation: Preparation,
        criterion: MultiBoxCriterion = MultiBoxCriterion(),
        selection: Selection = ANSWERS,
    ) -> None:
        super().__init__(classes, encoder, anchors, preparation, selection)
        self.predictors, self.criterion = predictors, criterion

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Softmax over classes and background, and each default box moved by its offsets."""
        logits, offsets = self.predictors(features)
        boxes = bx.decode(offsets.flatten(0, 1), regions.boxes, WEIGHTS)
        return Scored(regions, logits.flatten(0, 1).softmax(dim=1)[:, :-1], boxes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by part; their sum is to be minimised. Images without objects are welcome."""
        features = self.encode(batch)
        grids = [(x.shape[-2], x.shape[-1]) for x in features]
        boxes, level = (x.to(batch.pixels.device) for x in self.anchors.boxes(grids, batch.size))
        logits, offsets = self.predictors(features)
        return self.criterion(logits, offsets, boxes, level, targets)


def ssd300_vgg16(classes: Sequence[str]) -> SSD:
    """The published network: VGG-16, six maps, 8,732 default boxes, 300 × 300 pixels."""
    encoder, anchors = VGG16Hierarchy(), DefaultBoxes(strides=(8, 16, 32, 64, 100, 300))
    return SSD(
        classes,
        encoder,
        Predictors(encoder.channels, anchors.per_cell, len(classes)),
        anchors,
        Preparation(
            shorter=None,
            longer=300,
            divisor=1,
            mean=(0.48235, 0.45882, 0.40784),
            std=(1 / 255, 1 / 255, 1 / 255),
            fit="stretch",
            fixed=True,
        ),
    )


def ssd_mobilenet_v2(classes: Sequence[str]) -> SSD:
    """The light one, for CPUs: MobileNetV2, C3 to C5 and three more maps, 320 × 320 pixels."""
    encoder, anchors = LongHierarchy(MobileNetV2(), channels=128), DefaultBoxes()
    return SSD(
        classes,
        encoder,
        Predictors(encoder.channels, anchors.per_cell, len(classes), light=True),
        anchors,
        Preparation(shorter=None, longer=320, fit="stretch"),
    )
