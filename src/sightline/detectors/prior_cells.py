"""Priors: the boxes of a few shapes in every cell of a few maps, from which YOLO v2 and v3 predict.

Only shapes matter to them: a cell's own place is known, so an object belongs to the cell that holds
its centre, and there to the prior that overlaps it most when both are laid on one centre.

Key of shapes: B images, L levels, P priors a cell, A all priors of an image, N objects.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as bx
from sightline.matching import BACKGROUND, IGNORED, IouMatcher, objects_of
from sightline.ops.shape_match import nearest_shapes
from sightline.types import Size, Targets

Shapes = tuple[tuple[tuple[float, float], ...], ...]
"""(width, height) in pixels of each prior of each level."""


@dataclass(frozen=True)
class Cells:
    """The cells of maps of `grids` (rows, columns), finest first, each `strides` pixels wide, with
    their priors. Everything is ordered by level, row, column and prior.
    """

    grids: tuple[Size, ...]
    strides: tuple[int, ...]
    shapes: Shapes

    def boxes(self) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
        """Every prior as a box around the centre of its cell, and its level."""
        return _boxes(self)

    def responsible(self, objects: Float[Tensor, "N 4"]) -> Int[Tensor, "N"]:
        """The one prior that answers for each object.

        Of all priors of all levels that of the nearest shape (`ops.shape_match`), in the cell that
        holds the object's centre. Sides of zero are taken as a thousandth of a pixel.
        """
        device, each = objects.device, len(self.shapes[0])
        shapes = torch.tensor(self.shapes, dtype=torch.float64, device=device).flatten(0, 1)
        sides = (objects[:, 2:] - objects[:, :2]).double().clamp(min=1e-3)
        best, _ = nearest_shapes(sides, shapes)
        level, prior = best // each, best % each
        grids = torch.tensor(self.grids, device=device)
        start = torch.cat([grids.new_zeros(1), (grids.prod(dim=1) * each).cumsum(0)])
        strides = torch.tensor(self.strides, device=device)[level]
        cell = (bx.centres(objects) / strides[:, None]).floor().long().clamp(min=0)
        rows, columns = grids[level].unbind(1)
        x, y = torch.minimum(cell[:, 0], columns - 1), torch.minimum(cell[:, 1], rows - 1)
        return start[level] + (y * columns + x) * each + prior


@functools.lru_cache(maxsize=32)
def _boxes(cells: Cells) -> tuple[Tensor, Tensor]:
    parts, levels = [], []
    for level, (rows, columns) in enumerate(cells.grids):
        stride, half = cells.strides[level], torch.tensor(cells.shapes[level]) / 2
        y, x = ((torch.arange(count) + 0.5) * stride for count in (rows, columns))
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 1, 2)
        boxes = torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4)
        parts.append(boxes)
        levels.append(torch.full((len(boxes),), level))
    return torch.cat(parts), torch.cat(levels)


def location(
    objects: Float[Tensor, "N 4"], priors: Float[Tensor, "N 4"], stride: Float[Tensor, "N"]
) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2"]]:
    """What `located` should be told of each object: σ(t_x), σ(t_y) in 0 … 1, and t_w, t_h.

    Sides of zero are taken as a thousandth of a pixel.
    """
    place = (bx.centres(objects) - bx.centres(priors)) / stride[:, None] + 0.5
    own, given = priors[:, 2:] - priors[:, :2], (objects[:, 2:] - objects[:, :2]).clamp(min=1e-3)
    return place.clamp(0, 1), (given / own).log()


@dataclass(frozen=True)
class Answers:
    """What a head said of a batch of images of `size`, and the priors it said it of.

    `raw` is t_x, t_y, t_w, t_h, t_o and a number a class; `boxes` what that makes of the priors.
    """

    raw: Float[Tensor, "B A C"]
    boxes: Float[Tensor, "B A 4"]
    priors: Float[Tensor, "A 4"]
    level: Int[Tensor, "A"]
    stride: Float[Tensor, "A"]
    cells: Cells
    size: Size
    seen: int = 0

    def owners(self, targets: Sequence[Targets], ignore: float) -> Int[Tensor, "B A"]:
        """The object that each prior answers for, BACKGROUND, or IGNORED.

        One prior an object; where two objects have the same, the later one. Other priors whose
        present box reaches an IoU of `ignore` with some object, or lies in a crowd, are ignored.
        """
        near = IouMatcher(ignore, ignore, best_too=False)
        answer = []
        for found, truth in zip(self.boxes.detach(), targets, strict=True):
            owner = near(found, self.level, truth)
            owner = torch.where(owner == BACKGROUND, BACKGROUND, IGNORED)
            rows = (~truth.crowd).nonzero()[:, 0]
            place = self.cells.responsible(truth.boxes[rows])
            answer.append(owner.scatter_reduce(0, place, rows, "amax"))
        return torch.stack(answer)

    def goals(
        self, targets: Sequence[Targets], owner: Int[Tensor, "B A"]
    ) -> tuple[tuple[Tensor, Tensor], Float[Tensor, "N 4"], Int[Tensor, "N"]]:
        """(image, prior) of all that answer for an object, with its box and label."""
        image, prior = (owner >= 0).nonzero(as_tuple=True)
        boxes, labels = objects_of(targets, image, owner[image, prior])
        return (image, prior), boxes, labels

    def place(
        self, rows: tuple[Tensor, Tensor], objects: Float[Tensor, "N 4"]
    ) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2"], Float[Tensor, "N 1"]]:
        """σ(t_x), σ(t_y) and t_w, t_h of these objects, and Darknet's weight 2 − w·h of each, by
        which small ones count more; w and h are shares of the image.
        """
        centre, side = location(objects, self.priors[rows[1]], self.stride[rows[1]])
        share = bx.area(objects) / (self.size[0] * self.size[1])
        return centre, side, (2 - share)[:, None]


@runtime_checkable
class Criterion(Protocol):
    """What a head should have said: losses by part."""

    def __call__(self, answers: Answers, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses of a batch, a mean over its images."""
        ...
