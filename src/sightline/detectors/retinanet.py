"""RetinaNet: Focal Loss for Dense Object Detection (Lin, Goyal, Girshick, He, Dollár 2017).

A dense one-stage detector is as accurate as a two-stage one once its loss stops being swamped by
easy background: FL(p_t) = −α_t (1 − p_t)^γ log(p_t).

Departures. `retinanet_resnet50_fpn` follows the published torchvision network to the number: P6
comes from P5, anchors are rounded and centred on cells' corners, the box loss is L1. The light
`retinanet_mobilenet_v2` keeps the pyramid, the two shared towers and the focal idea, with one
square anchor a cell, ATSS (Zhang 2020) to match and the quality focal loss (Li 2020) to learn:
score and localisation become one number. Both are parts to be handed to the same class.

Key of shapes: B images, A anchors an image, K classes, C channels, H W cells of a level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.anchors import AnchorGrid, octaves
from sightline.detectors.anchored import Anchored
from sightline.detectors.losses import focal, normaliser, row_weights
from sightline.matching import BACKGROUND, AtssMatcher, IouMatcher, objects_of
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder
from sightline.nets.resnet import resnet50
from sightline.ops.quality_focal import quality_focal
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Targets

PRIOR = 0.01
"""π: the score every anchor starts from, so that background does not drown the first steps."""


class Towers(nn.Module):
    """Two small networks shared by all levels: `depth` 3×3 convolutions each, then classes and
    offsets for every anchor of a cell (section 4, figure 3).
    """

    def __init__(self, channels: int, anchors: int, classes: int, depth: int = 4) -> None:
        super().__init__()
        self.classes = classes
        self.class_tower = self._tower(channels, depth)
        self.box_tower = self._tower(channels, depth)
        self.class_logits = nn.Conv2d(channels, anchors * classes, 3, 1, 1)
        self.box_offsets = nn.Conv2d(channels, anchors * 4, 3, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.class_logits.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    @staticmethod
    def _tower(channels: int, depth: int) -> nn.Sequential:
        tower = nn.Sequential()
        for _ in range(depth):
            conv = nn.Conv2d(channels, channels, 3, 1, 1)
            tower.extend([conv, nn.ReLU(inplace=True)])
        return tower

    def forward(self, features: Features) -> tuple[Float[Tensor, "B A K"], Float[Tensor, "B A 4"]]:
        """Class logits and box offsets of all anchors, level by level, row by row."""

        def rows(maps: Tensor, width: int) -> Tensor:
            return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, width)

        logits = [rows(self.class_logits(self.class_tower(x)), self.classes) for x in features]
        offsets = [rows(self.box_offsets(self.box_tower(x)), 4) for x in features]
        return torch.cat(logits, dim=1).float(), torch.cat(offsets, dim=1).float()


@dataclass(frozen=True)
class Answers:
    """What the towers said of a batch, with the anchors they said it of."""

    logits: Float[Tensor, "B A K"]
    offsets: Float[Tensor, "B A 4"]
    anchors: Float[Tensor, "A 4"]
    level: Int[Tensor, "A"]


@runtime_checkable
class Criterion(Protocol):
    """What the towers should have said: losses by part."""

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None
    ) -> dict[str, Tensor]:
        """Losses of a batch, each normalised."""
        ...


@dataclass(frozen=True)
class FocalCriterion:
    """The paper's: IoU matching, focal loss, L1 on the offsets, over the number of positives.

    `weights` is what an anchor counts that answers for an object of each class; None is 1.
    """

    matcher: IouMatcher = IouMatcher()
    alpha: float | None = 0.25
    gamma: float = 2.0
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """Sums over the batch by its positive anchors."""
        logits = answers.logits
        matched = torch.stack([self.matcher(answers.anchors, answers.level, t) for t in targets])
        image, anchor = (matched >= 0).nonzero(as_tuple=True)
        positives = normaliser((matched >= 0).sum())
        wanted = torch.zeros_like(logits)
        goals, labels = objects_of(targets, image, matched[image, anchor])
        wanted[image, anchor, labels] = 1.0
        counted = matched >= -1
        offsets = bx.encode(goals, answers.anchors[anchor])
        weight = row_weights(self.weights, labels, (image, anchor), tuple(matched.shape))
        weight = None if weight is None else weight[counted]
        return {
            "classification": focal(
                logits[counted], wanted[counted], self.alpha, self.gamma, weight
            )
            / positives,
            "box": F.l1_loss(answers.offsets[image, anchor], offsets, reduction="sum") / positives,
        }


@dataclass(frozen=True)
class QualityCriterion:
    """ATSS, quality focal loss, and GIoU weighted by each box's own IoU.

    The class target of a positive anchor is the IoU that its predicted box reaches. With a
    teacher, its scores are a second target of weight `trust` wherever its regions are the
    student's own cells, and its boxes a second goal in proportion to its scores. `weights` is what
    an anchor counts that answers for an object of each class (None: 1), not in a lesson.
    """

    matcher: AtssMatcher = AtssMatcher()
    box_weight: float = 2.0
    trust: float = 0.7
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """Sums over the batch by its positive anchors."""
        logits, anchors = answers.logits, answers.anchors
        matched = torch.stack([self.matcher(anchors, answers.level, t) for t in targets])
        image, anchor = (matched >= 0).nonzero(as_tuple=True)
        goals, labels = objects_of(targets, image, matched[image, anchor])
        found = bx.decode(answers.offsets[image, anchor], anchors[anchor])
        overlap = bx.giou(found, goals)
        with torch.no_grad():
            quality = bx.iou_pairs(found, goals)
            wanted = torch.zeros_like(logits)
            wanted[image, anchor, labels] = quality
            positives, total = normaliser((matched >= 0).sum()), normaliser(quality.sum())
            ignored = matched < BACKGROUND
            if bool(ignored.any()):  # a target that is the score itself asks for nothing
                wanted[ignored] = logits[ignored].sigmoid()
        weight = row_weights(self.weights, labels, (image, anchor), tuple(matched.shape))
        losses = {
            "classification": quality_focal(logits, wanted, weight) / positives,
            "box": self.box_weight * ((1 - overlap) * quality.clamp(min=0.1)).sum() / total,
        }
        if teacher is None:
            return losses
        lesson = self._lesson(answers, teacher)
        return {
            **{name: (1 - self.trust) * loss for name, loss in losses.items()},
            **{name: self.trust * loss for name, loss in lesson.items()},
        }

    def _lesson(self, answers: Answers, teacher: Scored) -> dict[str, Tensor]:
        """The same two losses against the teacher's answers on the cells that both have."""
        images = len(answers.logits)
        cells = bx.centres(teacher.regions.boxes).view(images, -1, 2)
        shared = cells.shape[1]
        if not torch.equal(cells[0], bx.centres(answers.anchors[:shared])):
            raise ValueError("the teacher's cells are not the first levels of the student's")
        wanted = teacher.scores.view(images, shared, -1)
        weight = wanted.amax(dim=2)
        image, anchor = (weight > 0.1).nonzero(as_tuple=True)
        weight = weight[image, anchor]
        found = bx.decode(answers.offsets[image, anchor], answers.anchors[anchor])
        goals = teacher.boxes.view(images, shared, 4)[image, anchor]
        total = normaliser(weight.sum())
        distance = ((1 - bx.giou(found, goals)) * weight).sum()
        return {
            "lesson": quality_focal(answers.logits[:, :shared], wanted) / total,
            "lesson_box": self.box_weight * distance / total,
        }


class RetinaNet(Anchored):
    """Pyramid, towers, anchors: every anchor of every level is a region, all classified at once."""

    def __init__(
        self,
        classes: Sequence[str],
        encoder: Encoder,
        towers: Towers,
        anchors: AnchorGrid,
        criterion: Criterion,
        preparation: Preparation,
        selection: Selection,
    ) -> None:
        super().__init__(classes, encoder, anchors, preparation, selection)
        self.towers, self.criterion = towers, criterion

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """A sigmoid a class, and each anchor moved by its offsets."""
        logits, offsets = self.towers(features)
        boxes = bx.decode(offsets.flatten(0, 1), regions.boxes)
        return Scored(regions, logits.flatten(0, 1).sigmoid(), boxes)

    def loss(
        self, batch: Batch, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """Losses by part; their sum is to be minimised. Images without objects are welcome."""
        features = self.encode(batch)
        grids = [(x.shape[-2], x.shape[-1]) for x in features]
        anchors, level = (x.to(batch.pixels.device) for x in self.anchors.boxes(grids, batch.size))
        logits, offsets = self.towers(features)
        return self.criterion(Answers(logits, offsets, anchors, level), targets, teacher)


def retinanet_resnet50_fpn(classes: Sequence[str]) -> RetinaNet:
    """The published network: ResNet-50, P3–P7 of 256 channels, nine anchors a cell, 800 pixels."""
    backbone = resnet50()
    return RetinaNet(
        classes,
        Encoder(backbone, FPN(backbone.channels[1:], 256, extra="p6p7")),
        Towers(256, 9, len(classes), depth=4),
        AnchorGrid(octaves((32, 64, 128, 256, 512)), offset=0.0, rounded=True),
        FocalCriterion(),
        Preparation(shorter=800, longer=1333),
        Selection(score=0.05, iou=0.5, limit=300, per_level=1000),
    )


def retinanet_mobilenet_v2(classes: Sequence[str]) -> RetinaNet:
    """The light one, for CPUs: MobileNetV2, 96 channels, two convolutions a tower, 416 pixels."""
    backbone, strides = MobileNetV2(), (8, 16, 32, 64, 128)
    return RetinaNet(
        classes,
        Encoder(backbone, FPN(backbone.channels[1:], 96, extra="p6p7")),
        Towers(96, 1, len(classes), depth=2),
        AnchorGrid(tuple((5.0 * s,) for s in strides), ratios=(1.0,), strides=strides),
        QualityCriterion(),
        Preparation(shorter=None, longer=416),
        Selection(score=0.05, iou=0.6, limit=100, per_level=1000),
    )
