"""YOLO v2: YOLO9000: Better, Faster, Stronger (Redmon & Farhadi 2017), section 2.

A one-stage detector keeps its speed and gains accuracy by batch norm everywhere, priors found in
the data, centres that are predicted inside their cell, and a finer map handed past the last one.

Departures. The loss is Darknet's, which the paper does not print: squares on σ(t_x), σ(t_y), t_w,
t_h and on objectness, whose target is the IoU reached, cross-entropy on classes. Its sum over an
image is divided by the images of the batch. t_w and t_h are bounded before exp. The head's weights
begin near zero, its objectness at 0.1. `yolo_v2_mobilenet_v2` puts the same head behind another
backbone, with a narrower passthrough. Multi-scale training is the recipe's `size_jitter`.

Key of shapes: B images, A priors of an image, K classes, L levels, P priors a cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline import processes
from sightline.anchors import every_region
from sightline.detectors.anchored import OnePass
from sightline.detectors.prior_cells import Answers, Cells, Criterion, Shapes
from sightline.errors import UsageError
from sightline.fitting import Desk, Samples
from sightline.matching import BACKGROUND
from sightline.nets.darknet import Darknet19, TinyDarknet
from sightline.nets.darknet_necks import DarknetEncoder, Deeper, Passthrough
from sightline.nets.darknet_plan import Plan
from sightline.nets.mobilenet import MobileNetV2
from sightline.ops.prior_answers import located
from sightline.preparation import Preparation
from sightline.priors import fit
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Targets

STRIDE = 32
VOC = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))  # fmt: skip  # noqa: E501
TINY_VOC = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))
"""The published priors for VOC, in cells of 32 pixels."""

LOOKED_AT = 1000
"""Images of a data set whose boxes tell its shapes."""

BATCH_SEEN = 12800
"""So many images long all priors are drawn to their own place (Darknet's region layer)."""


@dataclass(frozen=True)
class RegionCriterion:
    """Darknet's region layer.

    Objectness of the prior that answers for an object is drawn to the IoU of its box, times
    `object_scale`; all others to 0, but those whose box reaches the IoU `ignore` with an object.
    While fewer than `warm_up` images were seen, the boxes of all others are drawn to their priors,
    times `warm_up_scale`. `weights` is what an object of each class counts among the classes (None:
    1).
    """

    object_scale: float = 5.0
    ignore: float = 0.6
    warm_up: int = BATCH_SEEN
    warm_up_scale: float = 0.01
    weights: tuple[float, ...] | None = None

    def __call__(self, answers: Answers, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Sums of halved squares, so that gradients are Darknet's."""
        raw, images = answers.raw, len(answers.raw)
        owner = answers.owners(targets, self.ignore)
        rows, objects, labels = answers.goals(targets, owner)
        centre, side, weight = answers.place(rows, objects)
        confidence = raw[..., 4].sigmoid()
        overlap = bx.iou_pairs(answers.boxes[rows].detach(), objects)
        near = (raw[rows][:, :2].sigmoid() - centre).square() + (raw[rows][:, 2:4] - side).square()
        own = None if self.weights is None else raw.new_tensor(self.weights)[labels]
        named = F.cross_entropy(raw[rows][:, 5:], labels, reduction="none")
        losses = {
            "object": self.object_scale * (confidence[rows] - overlap).square().sum() / 2,
            "background": confidence[owner == BACKGROUND].square().sum() / 2,
            "box": (weight * near).sum() / 2,
            "classification": (named if own is None else named * own).sum(),
        }
        if answers.seen < self.warm_up:
            others = raw[owner < 0]
            drift = (others[:, :2].sigmoid() - 0.5).square() + others[:, 2:4].square()
            losses["warm_up"] = self.warm_up_scale * drift.sum() / 2
        return {name: loss / images for name, loss in losses.items()}


class YoloV2(OnePass):
    """Every prior of every cell is a region; one 1×1 convolution says all of it at once.

    `priors` are (width, height) in pixels, by level, finest first; they are a buffer, so that a
    checkpoint keeps them, and `set_priors` changes them. `seen` counts the images of its training.
    """

    encoder: DarknetEncoder

    start = 0.1
    """The objectness that an untrained head begins with."""

    clusters = True
    """Whether a training that begins anew takes its priors from the data."""

    def __init__(
        self,
        classes: Sequence[str],
        encoder: DarknetEncoder,
        priors: Shapes,
        criterion: Criterion,
        preparation: Preparation,
        selection: Selection,
    ) -> None:
        super().__init__(classes, encoder, preparation, selection)
        self.criterion = criterion
        self.register_buffer("priors", torch.tensor(priors, device="cpu"))  # never meta
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        outputs = len(priors[0]) * (5 + len(self.classes))
        self.heads = nn.ModuleList(nn.Conv2d(c, outputs, 1) for c in encoder.channels)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            with torch.no_grad():
                head.bias.view(len(priors[0]), -1)[:, 4] = -math.log(1 / self.start - 1)

    def set_priors(self, priors: Float[Tensor, "L P 2"]) -> None:
        """Take other priors, as many; ValueError for another number of levels or priors."""
        assert isinstance(self.priors, Tensor)
        if priors.shape != self.priors.shape:
            raise ValueError(f"priors {tuple(priors.shape)} for {tuple(self.priors.shape)}")
        self.priors.copy_(priors)

    def prime(self, samples: Samples, desk: Desk) -> None:
        """Priors of the data's own shapes, where nothing was learnt yet with others (`seen` is 0).

        k-means with 1 − IoU ("Dimension Clusters") over the boxes of at most `LOOKED_AT` images,
        each scaled as it is prepared. With fewer shapes than priors, these stay as they are.
        """
        assert isinstance(self.priors, Tensor) and isinstance(self.seen, Tensor)
        if int(self.seen) or not self.clusters:
            return
        sides = [torch.zeros(0, 2)]
        for row in range(0, len(samples), -(-len(samples) // LOOKED_AT)):
            desk.pause()
            pixels, truth = samples[row]
            boxes = truth.boxes[~truth.crowd] * (self.preparation.longer / max(pixels.shape[1:]))
            sides.append(boxes[:, 2:] - boxes[:, :2])
        found = torch.cat(sides)
        levels, count = self.priors.shape[:2]
        try:
            fitted = fit(found[(found > 0).all(dim=1)], levels * count, desk.seed)
        except UsageError as error:
            desk.say(f"priors stay as they are: {error.message}")
            return
        self.set_priors(fitted.sides.float().view(levels, count, 2).to(self.priors.device))
        shapes = ", ".join(f"{w:.0f}×{h:.0f}" for w, h in fitted.sides.tolist())
        desk.say(f"priors of these data: {shapes}; mean IoU {fitted.mean_iou:.3f}")

    def cells(self, features: Features) -> Cells:
        """The cells of these maps, with the priors."""
        assert isinstance(self.priors, Tensor)
        shapes = tuple(tuple((w, h) for w, h in level) for level in self.priors.tolist())
        grids = tuple((x.shape[-2], x.shape[-1]) for x in features)
        return Cells(grids, self.encoder.strides, shapes)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every prior of every cell of every level."""
        boxes, level = self.cells(features).boxes()
        return every_region(boxes, level, len(batch)).to(batch.pixels.device)

    def predict(self, features: Features) -> Float[Tensor, "B A C"]:
        """The heads' numbers of every prior: t_x, t_y, t_w, t_h, t_o, and one a class."""
        width = 5 + len(self.classes)
        rows = [
            head(x).permute(0, 2, 3, 1).reshape(len(x), -1, width)
            for head, x in zip(self.heads, features, strict=True)
        ]
        return torch.cat(rows, dim=1).float()

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Boxes, and for every class Pr(object) · IoU · Pr(class | object)."""
        return self.answer(self.predict(features), regions)

    def answer(self, raw: Float[Tensor, "B A C"], regions: Regions) -> Scored:
        """What the heads' numbers say of the regions: one class excludes the others."""
        raw = raw.flatten(0, 1)
        scores = raw[:, 5:].softmax(dim=1).mul_(raw[:, 4:5].sigmoid())
        return Scored(regions, scores, located(raw[:, :4], regions.boxes, self.stride(regions)))

    def stride(self, regions: Regions) -> Float[Tensor, "R"]:
        """The side of each region's cell, in pixels."""
        return regions.boxes.new_tensor(self.encoder.strides)[regions.level]

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by part; their sum is to be minimised. In training it counts the images `seen`."""
        features = self.encode(batch)
        raw, cells = self.predict(features), self.cells(features)
        priors, level = (x.to(raw.device) for x in cells.boxes())
        stride = raw.new_tensor(cells.strides)[level]
        boxes = located(raw[..., :4], priors, stride)
        assert isinstance(self.seen, Tensor)
        answers = Answers(raw, boxes, priors, level, stride, cells, batch.size, int(self.seen))
        if self.training:
            count = torch.tensor(float(len(batch)), device=raw.device)
            self.seen += (processes.total(count) if processes.joined() else count).long()
        return self.criterion(answers, targets)

    def plan(self) -> Plan:
        """The network as Darknet's layers; UsageError (`usage.darknet`) for another backbone."""
        plan = Plan()

        def predict(level: int) -> None:
            plan.convolution(self.heads[level])
            self.tell(plan, level)

        if not self.encoder.tell(plan, predict):
            raise UsageError(
                f"Darknet knows no {type(self.encoder.backbone).__name__}",
                code="usage.darknet",
                hint="only networks of Darknet's own layers can be written as .cfg and .weights",
            )
        return plan

    def tell(self, plan: Plan, level: int) -> None:
        """Add the layer that makes detections of a level's numbers."""
        assert isinstance(self.priors, Tensor)
        anchors = (self.priors[level] / STRIDE).flatten().tolist()
        plan.add(
            "region",
            anchors=tuple(anchors),
            classes=len(self.classes),
            coords=4,
            num=self.priors.shape[1],
            softmax=1,
        )


DARKNET = Preparation(
    shorter=None, longer=416, mean=(0, 0, 0), std=(1, 1, 1), fit="letterbox", fill=0.5
)
"""Pixels from 0 to 1, the image in the middle of a grey square."""

SELECTION = Selection(score=0.005, iou=0.45, limit=100, per_level=1000)


def in_pixels(cells: Sequence[tuple[float, float]]) -> Shapes:
    """Priors of one level, given in cells."""
    return (tuple((STRIDE * w, STRIDE * h) for w, h in cells),)


def yolo_v2_darknet19(classes: Sequence[str]) -> YoloV2:
    """The paper's: Darknet-19, passthrough, five priors (VOC's), 416 pixels."""
    backbone = Darknet19()
    encoder = DarknetEncoder(backbone, Passthrough(backbone.channels))
    return YoloV2(classes, encoder, in_pixels(VOC), RegionCriterion(), DARKNET, SELECTION)


def yolo_v2_tiny(classes: Sequence[str], neck: Literal["1024", "512"] = "1024") -> YoloV2:
    """Tiny YOLO: nine convolutions. `neck` is the width of the last but one: 1,024 in the published
    network for VOC, 512 in that for COCO.
    """
    backbone = TinyDarknet()
    encoder = DarknetEncoder(backbone, Deeper(backbone.channels, int(neck)))
    return YoloV2(classes, encoder, in_pixels(TINY_VOC), RegionCriterion(), DARKNET, SELECTION)


def yolo_v2_mobilenet_v2(classes: Sequence[str]) -> YoloV2:
    """The light one, for CPUs: MobileNetV2, a passthrough of 256 channels, 416 pixels.

    Its training is short: priors hold the boxes for a tenth of Darknet's time.
    """
    backbone = MobileNetV2()
    encoder = DarknetEncoder(backbone, Passthrough(backbone.channels, 256, 32))
    return YoloV2(
        classes,
        encoder,
        in_pixels(VOC),
        RegionCriterion(warm_up=BATCH_SEEN // 10),
        Preparation(shorter=None, longer=416),
        SELECTION,
    )
