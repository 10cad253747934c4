"""Keypoints by Mask R-CNN (He 2017, section 5): a pose is a mask of one cell a point.

The branch gives each keypoint a map of 56 × 56 cells within the person's box; a softmax over its
cells says where the point is.

Departures. `keypoint_rcnn_resnet50_fpn` follows the published torchvision network to the number.
A point's score is the sigmoid of its map's highest value.

Key of shapes: B images, R regions, P keypoints, C channels, m cells of a map.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.detectors.faster_rcnn import (
    FasterRCNN,
    faster_rcnn_mobilenet_v2,
    faster_rcnn_resnet50_fpn,
)
from sightline.detectors.losses import normaliser
from sightline.detectors.mask_rcnn import MaskRCNN, convolutions, initialise
from sightline.detectors.region_head import Pooling, RegionPooling
from sightline.ops.heatmaps import peaks
from sightline.skeletons import PERSON, Skeleton
from sightline.types import Batch, Detections, Features, Regions, Size, Targets


class KeypointHead(nn.Module):
    """`depth` 3×3 convolutions, a 4×4 deconvolution to one map a point, and twice its size."""

    def __init__(
        self, channels: int, points: int, pooling: RegionPooling, hidden: int = 512, depth: int = 8
    ) -> None:
        super().__init__()
        self.pooling, self.convs = pooling, convolutions(channels, hidden, depth)
        self.maps = nn.ConvTranspose2d(hidden, points, 4, 2, 1)
        initialise(self)

    def forward(
        self, features: Features, regions: Regions, image: Size
    ) -> Float[Tensor, "R P m m"]:
        """Logits of every point at every cell of every region."""
        x = self.convs(self.pooling(features, regions, image).to(features[0].dtype))
        maps = self.maps(x).float()
        return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def cells_of(
    points: Float[Tensor, "R P 3"], boxes: Float[Tensor, "R 4"], size: Size
) -> tuple[Int[Tensor, "R P"], Bool[Tensor, "R P"]]:
    """Which of a map's cells each point lies in, counted row by row, and whether it can be learnt.

    It can if it has a label and lies within its box.
    """
    rows, columns = size
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
    within = (points[..., :2] - boxes[:, None, :2]) / sides[:, None]
    grid = within.new_tensor([columns, rows])
    place = (within * grid).floor()
    place = torch.where(within == 1, grid - 1, place)  # on the far border
    inside = ((place >= 0) & (place < grid)).all(dim=2) & (points[..., 2] > 0)
    cell = (place[..., 1] * columns + place[..., 0]).clamp(0, rows * columns - 1)
    return torch.where(inside, cell, 0).long(), inside


class KeypointBranch(nn.Module):
    """Poses of what was kept, and what their head learns; `skeleton` names the head's points."""

    def __init__(self, head: KeypointHead, skeleton: Skeleton) -> None:
        super().__init__()
        self.head, self.skeleton = head, skeleton

    def look(
        self, batch: Batch, features: Features, regions: Regions, found: Sequence[Detections]
    ) -> list[Detections]:
        """The detections with their keypoints, in original pixels."""
        maps = self.head(features, regions, batch.size).cpu()
        places, values = peaks(maps, regions.boxes.cpu())
        answers, counts = [], [len(one) for one in found]
        parts = torch.split(places, counts), torch.split(values, counts)
        for one, frame, xy, value in zip(found, batch.frames, *parts, strict=True):
            points = torch.cat([frame.to_original(xy), value.sigmoid()[..., None]], dim=-1)
            answers.append(replace(one, keypoints=points, skeleton=self.skeleton))
        return answers

    def loss(
        self,
        batch: Batch,
        features: Features,
        regions: Regions,
        owner: Int[Tensor, "S"],
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """Cross-entropy over the cells of each labelled point's map, by the number of such points.

        Images whose objects have no keypoints teach all but this.
        """
        rows, truth = [], []
        for index, target in enumerate(targets):
            own = ((regions.image == index) & (owner >= 0)).nonzero()[:, 0]
            if target.keypoints is None or not len(own):
                continue
            points = target.keypoints[owner[own]]
            some = (points[..., 2] > 0).any(dim=1)
            rows.append(own[some])
            truth.append(points[some])
        chosen = torch.cat(rows) if rows else owner[:0]
        if not len(chosen):
            normaliser(owner.new_tensor(0))  # other processes may have some
            return {"keypoints": features[0].sum() * 0}
        learnt = regions[chosen]
        maps = self.head(features, learnt, batch.size)
        size = (maps.shape[2], maps.shape[3])
        cell, inside = cells_of(torch.cat(truth), learnt.boxes, size)
        total = normaliser(inside.sum())
        entropy = F.cross_entropy(maps.flatten(2)[inside], cell[inside], reduction="sum")
        return {"keypoints": entropy / total}


class KeypointRCNN(MaskRCNN):
    """Faster R-CNN, and a branch that finds the points of a skeleton on what it found."""

    branch: KeypointBranch

    def __init__(self, detector: FasterRCNN, head: KeypointHead, skeleton: Skeleton) -> None:
        super().__init__(detector, KeypointBranch(head, skeleton))

    @property
    def skeleton(self) -> Skeleton:
        """What its keypoints mean."""
        return self.branch.skeleton


def keypoint_rcnn_resnet50_fpn(
    classes: Sequence[str], skeleton: Skeleton = PERSON, pooling: Pooling = "align"
) -> KeypointRCNN:
    """The published network: Faster R-CNN on ResNet-50 and eight convolutions of 512 channels."""
    head = KeypointHead(256, len(skeleton.points), RegionPooling(size=(14, 14), method=pooling))
    return KeypointRCNN(faster_rcnn_resnet50_fpn(classes, pooling), head, skeleton)


def keypoint_rcnn_mobilenet_v2(
    classes: Sequence[str], skeleton: Skeleton = PERSON, pooling: Pooling = "align"
) -> KeypointRCNN:
    """The light one, for CPUs: three convolutions of 64 channels, true to the half pixel."""
    cells = RegionPooling(size=(14, 14), method=pooling, aligned=True, levels=3)
    head = KeypointHead(96, len(skeleton.points), cells, hidden=64, depth=3)
    return KeypointRCNN(faster_rcnn_mobilenet_v2(classes, pooling), head, skeleton)
