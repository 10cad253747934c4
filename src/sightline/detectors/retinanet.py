"""RetinaNet: Focal Loss for Dense Object Detection (Lin, Goyal, Girshick, He, Dollár 2017).

A dense one-stage detector is as accurate as a two-stage one once its loss stops being swamped by
easy background: FL(p_t) = −α_t (1 − p_t)^γ log(p_t).

Departures. `retinanet_resnet50_fpn` follows the published torchvision network to the number: P6
comes from P5, anchors are rounded and centred on cells' corners, the box loss is L1. The light
`retinanet_mobilenet_v2` keeps the pyramid, the two shared towers and the focal idea, with one
square anchor a cell, ATSS (Zhang 2020) to match and the quality focal loss (Li 2020) to learn:
score and localisation become one number. Both are parts to be handed to the same class; so are the
other three pyramids, and the losses that the paper compares.

Key of shapes: B images, A anchors an image, K classes, C channels, H W cells of a level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline import boxes as bx
from sightline.anchors import AnchorGrid, octaves
from sightline.detectors.anchored import Anchored
from sightline.detectors.dense import (
    Answers,
    BoxLoss,
    Criterion,
    assign,
    box_loss,
    refuse_teacher,
)
from sightline.detectors.hard_examples import HardExamples
from sightline.detectors.losses import focal, normaliser
from sightline.detectors.quality import QualityCriterion
from sightline.matching import IGNORED, AtssMatcher, IouMatcher, Match
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, Hierarchy, ImagePyramid
from sightline.nets.resnet import resnet50
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
class FocalCriterion:
    """The paper's: IoU matching, focal loss, L1 on the offsets, over the number of positives.

    `gamma` = 0 without `alpha` is plain cross-entropy. `weights` is what an anchor counts that
    answers for an object of each class; None is 1.
    """

    matcher: Match = IouMatcher()
    alpha: float | None = 0.25
    gamma: float = 2.0
    box: BoxLoss = "l1"
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """Sums over the batch by its positive anchors."""
        refuse_teacher(teacher, self)
        logits, assigned = answers.logits, assign(answers, targets, self.matcher)
        positives = normaliser((assigned.matched >= 0).sum())
        counted, weight = assigned.matched > IGNORED, assigned.weights(self.weights)
        entropy = focal(
            logits[counted],
            assigned.one_hot(logits)[counted],
            self.alpha,
            self.gamma,
            None if weight is None else weight[counted],
        )
        return {
            "classification": entropy / positives,
            "box": box_loss(answers, assigned, self.box) / positives,
        }


class RetinaNet(Anchored):
    """Pyramid, towers, anchors: every anchor of every level is a region, all classified at once."""

    def __init__(
        self,
        classes: Sequence[str],
        encoder: Encoder | ImagePyramid,
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


Pyramid = Literal["fpn", "image", "single", "hierarchy"]
"""Figure 1 of the FPN paper: (d), (a), (b), (c); see `nets.pyramids`."""

Loss = Literal[
    "quality",
    "focal_0",
    "focal_0.5",
    "focal_1",
    "focal_2",
    "focal_5",
    "cross_entropy",
    "ohem",
    "ohem_1_3",
]
"""How classes are learnt: focal_γ with the α that suits it, cross-entropy without α, OHEM."""

ALPHA = {0.0: 0.75, 0.5: 0.5, 1.0: 0.25, 2.0: 0.25, 5.0: 0.25}
"""γ → the paper's best α beside it (table 1b)."""


def retinanet_mobilenet_v2(
    classes: Sequence[str], pyramid: Pyramid = "fpn", loss: Loss = "quality"
) -> RetinaNet:
    """The light one, for CPUs: MobileNetV2, 96 channels, two convolutions a tower, 416 pixels.

    Square anchors of 40 to 640 pixels: one a cell, a size a level, but all five in each cell of the
    single map.
    """
    encoder = light_encoder(pyramid, 96)
    sizes = tuple(5.0 * stride for stride in (8, 16, 32, 64, 128))
    by_level = (sizes,) if pyramid == "single" else tuple((size,) for size in sizes)
    anchors = AnchorGrid(by_level, ratios=(1.0,), strides=encoder.strides)
    return RetinaNet(
        classes,
        encoder,
        Towers(96, anchors.per_cell, len(classes), depth=2),
        anchors,
        light_criterion(loss, AtssMatcher(per_cell=anchors.per_cell)),
        Preparation(shorter=None, longer=416),
        Selection(score=0.05, iou=0.6, limit=100, per_level=1000),
    )


def light_encoder(pyramid: Pyramid, channels: int) -> Encoder | ImagePyramid:
    """MobileNetV2 with one of the four pyramids.

    Of five sizes of the image, from twice to an eighth, the map of stride 16 is taken: the last
    one, of stride 32, would need the image at four times its size.
    """
    if pyramid == "image":
        return ImagePyramid(MobileNetV2(maps=3), channels, (2, 1, 0.5, 0.25, 0.125))
    backbone = MobileNetV2()
    if pyramid == "single":
        return Encoder(backbone, Hierarchy(backbone.channels[-1:], channels))
    kind = FPN if pyramid == "fpn" else Hierarchy
    return Encoder(backbone, kind(backbone.channels[1:], channels, extra="p6p7"))


def light_criterion(loss: Loss, matcher: AtssMatcher) -> Criterion:
    """The losses to be compared: all with the same matcher, and boxes by GIoU."""
    if loss == "quality":
        return QualityCriterion(matcher)
    if loss == "cross_entropy":
        return FocalCriterion(matcher, alpha=None, gamma=0.0, box="giou")
    if loss == "ohem":
        return HardExamples(matcher)
    if loss == "ohem_1_3":
        return HardExamples(matcher, negatives=3)
    gamma = float(loss.removeprefix("focal_"))
    return FocalCriterion(matcher, ALPHA[gamma], gamma, box="giou")
