"""YOLO: You Only Look Once (Redmon, Divvala, Girshick, Farhadi 2016), the first one.

Detection as one regression, from pixels to boxes and classes: the image is divided into S × S
cells, and the one in which an object's centre lies answers for it, with B boxes, a confidence in
each, and one set of class probabilities. One look at the image, so it is fast, and every answer
knows the whole of it.

Departures. The last layer starts from boxes in the middle of their cells, of B different sizes,
with little confidence and equal classes: from the first step on each box is responsible for objects
of its own size. Sizes are learnt as √w, √h, as in the paper, and are squared to be used; nothing is
rooted, so no derivative is infinite. Where no box of a cell meets its object, the nearest is
responsible (the authors' code; the paper is silent). Confidence and class probability are cut to
0 … 1 before they are multiplied: of linear outputs two negative ones would make a good score.
Losses are means over the images of a batch. Pretraining on ImageNet is left to `--start`.

`yolo_v1_mobilenet_v2` has convolutions instead of the fully connected layers, which hold 212 of the
paper's 271 million weights: of a few hundred images these learn each cell by itself, from the few
objects that were ever in it; a convolution learns all cells from all objects. It reads C4 and C5 at
224 pixels, a quarter of the cost, where C4 has two rows a cell. It has one size too: the maps of
an image twice as large look otherwise to it.

Key of shapes: I images, S rows and columns of cells, B boxes a cell, K classes, O = 5 B + K
outputs a cell, R = I · S · S · B regions, N objects, P of them with a cell of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.anchors import every_region
from sightline.detectors.anchored import OnePass
from sightline.detectors.losses import normaliser
from sightline.matching import BACKGROUND, IGNORED, objects_of
from sightline.nets import yolo_v1 as nets
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import OneMap, Stack
from sightline.nets.yolo_v1 import CellConvolutions, Convolutions, FullyConnected, Stage
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Size, Targets

ANSWERS = Selection(score=0.01, iou=0.5, limit=100, per_level=None)
"""What stays; only 98 boxes are asked, so a low threshold costs nothing. NMS, class by class, adds
2–3 % of mAP, the paper says.
"""


@dataclass(frozen=True)
class Grid:
    """S × S cells over an image, B boxes in each; regions are ordered by row, column and box."""

    side: int = 7
    boxes: int = 2

    def cells(self, size: Size) -> Float[Tensor, "cells 4"]:
        """The rectangles of all cells of an image of `size`."""
        step = torch.tensor([size[1], size[0]]) / self.side
        row, column = torch.meshgrid(*[torch.arange(self.side)] * 2, indexing="ij")
        corner = torch.stack([column, row], dim=-1).reshape(-1, 2)
        return torch.cat([corner * step, (corner + 1) * step], dim=1)

    def cell_of(self, points: Float[Tensor, "N 2"], size: Size) -> Int[Tensor, "N"]:
        """The cell of each point (x, y): row · S + column. Points outside belong to the border."""
        share = points / points.new_tensor([size[1], size[0]])
        place = (share * self.side).floor().long().clamp(0, self.side - 1)
        return place[:, 1] * self.side + place[:, 0]

    def regions(self, size: Size, images: int) -> Regions:
        """Every cell as often as it has boxes, for a batch of `images` images."""
        boxes = self.cells(size).repeat_interleave(self.boxes, dim=0)
        return every_region(boxes, torch.zeros(len(boxes), dtype=torch.int64), images)

    def owners(self, targets: Targets, size: Size) -> Int[Tensor, "cells"]:
        """The object that each cell answers for: a row of `targets`, BACKGROUND or IGNORED.

        A cell answers for one object only. Of several whose centres lie in it that is the first in
        their order; the others teach nothing (the authors' code takes the first of a random order).
        Cells without an object whose middle lies in a crowd are IGNORED.
        """
        device = targets.boxes.device
        rows = (~targets.crowd).nonzero()[:, 0]
        cell = self.cell_of(bx.centres(targets.boxes[rows]), size)
        none = len(targets)
        first = torch.full((self.side**2,), none, device=device)
        first = first.scatter_reduce(0, cell, rows, "amin")
        middles = bx.centres(self.cells(size)).to(device)
        crowded = bx.inside(middles, targets.boxes[targets.crowd]).any(dim=1)
        rest = torch.where(crowded, IGNORED, BACKGROUND)
        return torch.where(first == none, rest, first)


@dataclass(frozen=True)
class Answers:
    """What the network said of each cell.

    `places` are (x, y, √w, √h) of each box: its centre as a share of the cell's sides, from the
    cell's left top corner, and the roots of its sides as shares of the image's (section 2).
    """

    places: Float[Tensor, "I S S B 4"]
    confidence: Float[Tensor, "I S S B"]
    classes: Float[Tensor, "I S S K"]

    @classmethod
    def of(cls, outputs: Float[Tensor, "I S S O"], boxes: int) -> "Answers":
        """The outputs of a network: five a box, x, y, √w, √h, confidence, then the classes."""
        five = outputs[..., : 5 * boxes].reshape(*outputs.shape[:3], boxes, 5)
        return cls(five[..., :4], five[..., 4], outputs[..., 5 * boxes :])

    def boxes(self, size: Size) -> Float[Tensor, "I S S B 4"]:
        """The boxes in the pixels of an image of `size`, none of them larger than it."""
        side = self.places.shape[1]
        limits = self.places.new_tensor([size[1], size[0]])
        index = torch.arange(side, device=limits.device)
        row, column = torch.meshgrid(index, index, indexing="ij")
        corner = torch.stack([column, row], dim=-1)[:, :, None]
        centre = (self.places[..., :2] + corner) / side * limits
        half = self.places[..., 2:].clamp(0, 1).square() * limits / 2
        return torch.cat([centre - half, centre + half], dim=-1)


@dataclass(frozen=True)
class GridCriterion:
    """Equation 3: sums of squares, over the images of the batch.

    λ_coord Σ 1_ij^obj [(x − x̂)² + (y − ŷ)²]             "centre"
    λ_coord Σ 1_ij^obj [(√w − √ŵ)² + (√h − √ĥ)²]         "size"
    Σ 1_ij^obj (C − Ĉ)², Ĉ the box's IoU with the object  "object"
    λ_noobj Σ 1_ij^noobj C²                               "background"
    Σ 1_i^obj Σ_c (p(c) − p̂(c))²                          "classes"

    1_ij^obj are the responsible boxes: of each cell with an object the one with the highest IoU
    with it, of equal ones the first; where all are 0, that whose (x, y, √w, √h) are nearest.
    `weights` is what a cell counts in the last sum that answers for each class; None is 1.
    """

    coord: float = 5.0
    noobj: float = 0.5
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], grid: Grid, size: Size
    ) -> dict[str, Tensor]:
        """The five sums of a batch of images of `size`."""
        owner = torch.stack([grid.owners(truth, size) for truth in targets])
        image, cell = (owner >= 0).nonzero(as_tuple=True)
        goals, labels = objects_of(targets, image, owner[image, cell])
        wanted = self.encode(goals, cell, grid, size)
        places = answers.places.flatten(1, 2)[image, cell]
        found = answers.boxes(size).flatten(1, 2)[image, cell].detach()
        best, overlap = responsible(places.detach(), wanted, found, goals)
        rows = torch.arange(len(best), device=best.device)
        off = (places[rows, best] - wanted).square()
        confidence = answers.confidence.flatten(1, 2)
        empty = (owner != IGNORED)[..., None].repeat(1, 1, grid.boxes)
        empty[image, cell, best] = False
        classes = answers.classes.flatten(1, 2)[image, cell]
        wrong = (classes - F.one_hot(labels, classes.shape[1])).square().sum(dim=1)
        if self.weights is not None:
            wrong = wrong * wrong.new_tensor(self.weights)[labels]
        sums = {
            "centre": self.coord * off[:, :2].sum(),
            "size": self.coord * off[:, 2:].sum(),
            "object": (confidence[image, cell, best] - overlap).square().sum(),
            "background": self.noobj * confidence[empty].square().sum(),
            "classes": wrong.sum(),
        }
        images = normaliser(off.new_tensor(float(len(targets))))
        return {name: value / images for name, value in sums.items()}

    @staticmethod
    def encode(
        goals: Float[Tensor, "P 4"], cell: Int[Tensor, "P"], grid: Grid, size: Size
    ) -> Float[Tensor, "P 4"]:
        """(x, y, √w, √h) of objects as their cells should say them."""
        limits = goals.new_tensor([size[1], size[0]])
        corner = torch.stack([cell % grid.side, cell // grid.side], dim=1)
        centre = bx.centres(goals) / limits * grid.side - corner
        return torch.cat([centre, ((goals[:, 2:] - goals[:, :2]) / limits).clamp(0, 1).sqrt()], 1)


def responsible(
    places: Float[Tensor, "P B 4"],
    wanted: Float[Tensor, "P 4"],
    found: Float[Tensor, "P B 4"],
    goals: Float[Tensor, "P 4"],
) -> tuple[Int[Tensor, "P"], Float[Tensor, "P"]]:
    """Which of its B boxes each cell answers with, and the IoU of that one with the object."""
    count = found.shape[1]
    overlap = bx.iou_pairs(found.flatten(0, 1), goals.repeat_interleave(count, dim=0))
    overlap = overlap.view(-1, count)
    distance = (places - wanted[:, None]).square().sum(dim=2)
    meets = overlap.amax(dim=1, keepdim=True) > 0
    best = torch.where(meets, overlap, -distance).argmax(dim=1)
    return best, overlap.gather(1, best[:, None])[:, 0]


class YoloV1(OnePass):
    """Encoder, head, grid: S · S · B regions, the cells, each answered for in one pass.

    `head` turns the encoder's last map into (I, S, S, 5 B + K), and has its last layer as `output`.
    """

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        head: FullyConnected | CellConvolutions,
        grid: Grid,
        criterion: GridCriterion,
        preparation: Preparation,
        selection: Selection = ANSWERS,
    ) -> None:
        super().__init__(classes, encoder, preparation, selection)
        self.head, self.grid, self.criterion = head, grid, criterion
        sizes = (torch.arange(grid.boxes) + 1) / (grid.boxes + 1)
        first = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.1]).repeat(grid.boxes, 1)
        first[:, 2:4] = sizes[:, None]
        equal = torch.full((len(self.classes),), 1 / len(self.classes))
        nets.start_from(head.output, torch.cat([first.flatten(), equal]))

    def propose(self, batch: Batch, features: Features) -> Regions:
        """The cells, each as often as it has boxes."""
        return self.grid.regions(batch.size, len(batch)).to(batch.pixels.device)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Confidence times Pr(class | object) (eq. 1), and the boxes.

        `extras`: "confidence" (R,), "class_map" (I, S, S, K) as the network says them, "cell"
        (R, 2), the row and column of each region.
        """
        answers = self._answers(features)
        sure = answers.confidence.clamp(0, 1)[..., None]
        scores = sure * answers.classes.clamp(0, 1)[:, :, :, None]
        index = torch.arange(len(regions), device=scores.device) // self.grid.boxes
        cell = index % self.grid.side**2
        extras = {
            "confidence": answers.confidence.flatten(),
            "class_map": answers.classes,
            "cell": torch.stack([cell // self.grid.side, cell % self.grid.side], dim=1),
        }
        boxes = answers.boxes(batch.size)
        return Scored(regions, scores.flatten(0, 3), boxes.flatten(0, 3), extras)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """The terms of equation 3; their sum is to be minimised. Empty images are welcome."""
        answers = self._answers(self.encode(batch))
        return self.criterion(answers, targets, self.grid, batch.size)

    def _answers(self, features: Features) -> Answers:
        return Answers.of(self.head(features[-1]), self.grid.boxes)


def paper(
    classes: Sequence[str], stages: Sequence[Stage], hidden: Sequence[int], grid: Grid, size: int
) -> YoloV1:
    """A network of fully connected layers for images of `size` × `size` pixels, and no others."""
    backbone = Convolutions(stages)
    outputs = 5 * grid.boxes + len(classes)
    mapped = size // backbone.strides[-1]
    head = FullyConnected(backbone.channels[-1], mapped, grid.side, outputs, hidden)
    preparation = Preparation(shorter=None, longer=size, fit="stretch", fixed=True)
    return YoloV1(classes, OneMap(backbone), head, grid, GridCriterion(), preparation)


def yolo_v1_darknet(classes: Sequence[str]) -> YoloV1:
    """The paper's: 24 convolutions, 2 fully connected layers, 7 × 7 cells, 2 boxes, 448 pixels."""
    return paper(classes, nets.DARKNET, (4096,), Grid(), 448)


def yolo_v1_fast(classes: Sequence[str]) -> YoloV1:
    """Fast YOLO: 9 convolutions, all else the same."""
    return paper(classes, nets.FAST, (256, 4096), Grid(), 448)


def yolo_v1_mobilenet_v2(classes: Sequence[str]) -> YoloV1:
    """The light one, for CPUs: MobileNetV2, convolutions over 7 × 7 cells, 2 boxes, 224 pixels."""
    encoder, grid = Stack(MobileNetV2(), (16, 32), 256), Grid()
    head = CellConvolutions(encoder.channels, grid.side, 5 * grid.boxes + len(classes))
    preparation = Preparation(shorter=None, longer=224, fit="stretch", fixed=True)
    return YoloV1(classes, encoder, head, grid, GridCriterion(), preparation)
