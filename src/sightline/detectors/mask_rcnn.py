"""Mask R-CNN (He 2017): what was found is looked at once more, pixel by pixel.

Beside the box head a small convolutional branch answers for each class "which of these cells belong
to the object?". Classes do not compete (a sigmoid a cell), regions are read by RoIAlign, and only
what survived suppression is looked at. With one map a keypoint instead of a class, the same branch
finds poses (section 5).

Departures. `mask_rcnn_resnet50_fpn` follows the published torchvision network to the number, the
pasting of masks to whole pixels included; the light builder has one map for all classes (the
paper's class-agnostic masks, section 4.1).

Key of shapes: B images, R regions, K classes, P keypoints, C channels, m cells of a mask.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.detectors.faster_rcnn import (
    FasterRCNN,
    faster_rcnn_mobilenet_v2,
    faster_rcnn_resnet50_fpn,
)
from sightline.detectors.losses import normaliser
from sightline.detectors.region_head import Pooling, RegionPooling
from sightline.masks import BoxMasks
from sightline.ops.roi_align import roi_align
from sightline.types import Batch, Detections, Features, Regions, Scored, Size, Targets


def convolutions(channels: int, hidden: int, depth: int) -> nn.Sequential:
    """`depth` 3×3 convolutions of `hidden` channels, each with its ReLU: the trunk of a branch."""
    trunk = nn.Sequential()
    for row in range(depth):
        conv = nn.Conv2d(hidden if row else channels, hidden, 3, 1, 1)
        trunk.extend([conv, nn.ReLU(inplace=True)])
    return trunk


def initialise(head: nn.Module) -> None:
    """Random weights for the convolutions of a branch (He 2015), no bias."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class MaskHead(nn.Module):
    """`depth` 3×3 convolutions, a 2×2 deconvolution, and one map a class: 14 × 14 to 28 × 28.

    With `classes=1` all classes share one map.
    """

    def __init__(
        self, channels: int, classes: int, pooling: RegionPooling, hidden: int = 256, depth: int = 4
    ) -> None:
        super().__init__()
        self.pooling, self.convs = pooling, convolutions(channels, hidden, depth)
        self.upsample = nn.ConvTranspose2d(hidden, hidden, 2, 2)
        self.logits = nn.Conv2d(hidden, classes, 1)
        initialise(self)
        nn.init.normal_(self.logits.weight, std=0.001)  # at first every cell is as likely as not

    def forward(
        self, features: Features, regions: Regions, image: Size
    ) -> Float[Tensor, "R K m m"]:
        """Logits of every class at every cell of every region."""
        x = self.convs(self.pooling(features, regions, image).to(features[0].dtype))
        y: Tensor = self.logits(F.relu(self.upsample(x)))
        return y.float()

    @staticmethod
    def of_class(
        logits: Float[Tensor, "R K m m"], labels: Int[Tensor, "R"]
    ) -> Float[Tensor, "R m m"]:
        """The map of each region's own class, or the one that all classes share."""
        column = labels if logits.shape[1] > 1 else torch.zeros_like(labels)
        return logits[torch.arange(len(logits), device=logits.device), column]


@runtime_checkable
class Branch(Protocol):
    """What looks once more at what was found."""

    def look(
        self, batch: Batch, features: Features, regions: Regions, found: Sequence[Detections]
    ) -> list[Detections]:
        """The detections with what the branch sees; `regions` are their boxes, in their order."""
        ...

    def loss(
        self,
        batch: Batch,
        features: Features,
        regions: Regions,
        owner: Int[Tensor, "S"],
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """Losses over the regions that answer for an object, by part."""
        ...


class MaskBranch(nn.Module):
    """Masks of what was kept, and what their head learns."""

    def __init__(self, head: MaskHead, published: bool = False) -> None:
        super().__init__()
        self.head, self.published = head, published

    def look(
        self, batch: Batch, features: Features, regions: Regions, found: Sequence[Detections]
    ) -> list[Detections]:
        """The detections with the mask of each one's class, pasted only when asked for."""
        logits = self.head(features, regions, batch.size)
        labels = torch.cat([one.labels for one in found]).to(logits.device)
        cells = self.head.of_class(logits, labels).sigmoid().cpu()
        parts = torch.split(cells, [len(one) for one in found])
        return [
            replace(one, masks=BoxMasks(part, one.boxes, one.size, published=self.published))
            for one, part in zip(found, parts, strict=True)
        ]

    def loss(
        self,
        batch: Batch,
        features: Features,
        regions: Regions,
        owner: Int[Tensor, "S"],
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """Binary cross-entropy at every cell of the true class's mask, and of no other (section 3).

        The goal is the object's mask, read by RoIAlign within its region and rounded. Images
        without masks and objects whose mask is not known (no pixel of it is set) teach all but
        this.
        """
        goals, rows, labels = [], [], []
        for index, truth in enumerate(targets):
            if truth.masks is None:
                continue
            own = ((regions.image == index) & (owner >= 0)).nonzero()[:, 0]
            own = own[truth.masks.flatten(1).any(dim=1)[owner[own]]]
            if not len(own):
                continue
            pixels, which = truth.masks[:, None].float(), owner[own]
            cells = self.cells
            goals.append(roi_align(pixels, regions.boxes[own], which, cells, 1.0, 2, True)[:, 0])
            rows.append(own)
            labels.append(truth.labels[which])
        count = sum(map(len, rows))
        total = normaliser(owner.new_tensor(count * self.cells[0] * self.cells[1]))
        if not count:
            return {"mask": features[0].sum() * 0}
        chosen = torch.cat(rows)
        logits = self.head(features, regions[chosen], batch.size)
        own_class = self.head.of_class(logits, torch.cat(labels))
        wanted = (torch.cat(goals) > 0.5).float()
        entropy = F.binary_cross_entropy_with_logits(own_class, wanted, reduction="sum")
        return {"mask": entropy / total}

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of a mask: twice those of a pooled region."""
        rows, columns = self.head.pooling.size
        return 2 * rows, 2 * columns


class MaskRCNN(FasterRCNN):
    """Faster R-CNN, and a branch that looks once more at what it found."""

    branch: Branch

    def __init__(self, detector: FasterRCNN, branch: Branch) -> None:
        stages = (detector.proposer, detector.head)
        super().__init__(detector.classes, *stages, detector.criterion, detector.selection)
        self.to_train, self.branch = detector.to_train, branch

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """Threshold and NMS; then the branch looks at the refined boxes that are left."""
        found = super().postprocess(batch, features, scored)
        boxes = [f.to_prepared(one.boxes) for f, one in zip(batch.frames, found, strict=True)]
        count = torch.tensor([len(one) for one in found])
        image = torch.arange(len(found)).repeat_interleave(count)
        regions = Regions(torch.cat(boxes), image, torch.zeros_like(image))
        return self.branch.look(batch, features, regions.to(batch.pixels.device), found)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by part; their sum is to be minimised."""
        features = self.encode(batch)
        losses, regions, owner = self.learn(batch, features, targets)
        return {**losses, **self.branch.loss(batch, features, regions, owner, targets)}


def mask_rcnn_resnet50_fpn(classes: Sequence[str], pooling: Pooling = "align") -> MaskRCNN:
    """The published network: Faster R-CNN on ResNet-50 and four convolutions of 256 channels."""
    head = MaskHead(256, len(classes), RegionPooling(size=(14, 14), method=pooling))
    return MaskRCNN(faster_rcnn_resnet50_fpn(classes, pooling), MaskBranch(head, published=True))


def mask_rcnn_mobilenet_v2(classes: Sequence[str], pooling: Pooling = "align") -> MaskRCNN:
    """The light one, for CPUs: two convolutions of 96 channels, true to the half pixel.

    All classes share one map, which is nearly as good (section 4.1) and lets the classes of which a
    data set has few masks learn from the others.
    """
    cells = RegionPooling(size=(14, 14), method=pooling, aligned=True, levels=3)
    head = MaskHead(96, 1, cells, hidden=96, depth=2)
    return MaskRCNN(faster_rcnn_mobilenet_v2(classes, pooling), MaskBranch(head))
