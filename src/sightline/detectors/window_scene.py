"""A labelled image as the templates of sliding windows see it: its windows, and its objects.

Key of shapes: A windows an image, R of them, D numbers of a descriptor.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.hog_pyramid import HogPyramid
from sightline.ops.hog import CELL
from sightline.types import Features, Size, Targets

if TYPE_CHECKING:
    from sightline.detectors.sliding_windows import HogSvm


@dataclass(frozen=True)
class Scene:
    """One image as the machines see it: maps, windows, and its objects among them."""

    features: Features
    boxes: Float[Tensor, "A 4"]
    level: Int[Tensor, "A"]
    truth: Targets
    pyramid: HogPyramid
    size: Size

    @staticmethod
    def of(detector: "HogSvm", image: UInt8[Tensor, "3 H W"], truth: Targets) -> "Scene":
        """An image, prepared; objects in its original pixels."""
        batch = detector.prepare([image])
        boxes, level = detector.pyramid.windows(batch.size)
        moved = replace(truth, boxes=batch.frames[0].to_prepared(truth.boxes.float()))
        features = detector.encode(batch)
        return Scene(features, boxes, level, moved, detector.pyramid, batch.size)

    def rows(self, shape: int) -> Int[Tensor, "R"]:
        """The windows of a shape."""
        return (self.level % len(self.pyramid.shapes) == shape).nonzero()[:, 0]

    def apart(self, rows: Int[Tensor, "R"], label: int, limit: float) -> Bool[Tensor, "R"]:
        """Which windows are far from every object of a class, and from crowds."""
        mine, boxes = self.truth.labels == label, self.boxes[rows]
        crowd = self.truth.boxes[mine & self.truth.crowd]
        shared = bx.iou(boxes, self.truth.boxes[mine & ~self.truth.crowd])
        covered = torch.cat([shared, bx.coverage(boxes, crowd)], dim=1)
        return (covered < limit).all(dim=1)

    def descriptor(self, row: int) -> Float[ndarray, "D"]:
        """The numbers of one window."""
        number = self.level[row : row + 1]
        ((y, x),) = self.pyramid.cells(self.boxes[row : row + 1], number, self.size).tolist()
        level, shape = divmod(int(number), len(self.pyramid.shapes))
        height, width = self.pyramid.blocks[shape]
        blocks = self.features[level][0, :, y : y + height, x : x + width]
        answer: ndarray = blocks.flatten().numpy()
        return answer


def cut(
    image: UInt8[Tensor, "3 H W"], box: Float[Tensor, "4"], shape: Size, margin: int
) -> Float[Tensor, "3 _ _"]:
    """An object resized to `shape` cells, with `margin` cells around it and one more of context.

    Halved while it is more than twice too large, then sampled bilinearly, as levels are; beyond the
    image its border goes on.
    """
    around = margin + 1
    height, width = (CELL * (side + 2 * around) for side in shape)
    scale = (box[2:] - box[:2]) / torch.tensor([shape[1], shape[0]]) / CELL
    corner, picture = box[:2] - scale * CELL * around, image.float()[None]
    while scale.min() > 2:
        picture, scale, corner = F.avg_pool2d(picture, 2, ceil_mode=True), scale / 2, corner / 2
    x = corner[0] + (torch.arange(width) + 0.5) * scale[0]
    y = corner[1] + (torch.arange(height) + 0.5) * scale[1]
    sides = torch.tensor([picture.shape[3], picture.shape[2]])
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1) / sides * 2 - 1
    return F.grid_sample(picture, grid[None], padding_mode="border", align_corners=False)[0]
