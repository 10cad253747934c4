"""An image in many sizes, the histograms of oriented gradients of each, and every window on them.

Windows have one size in cells on each level, and are larger in the image the smaller the level is:
so one template answers for all sizes of an object.

Key of shapes: R windows, H W pixels, h w cells.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.hog import CELL, hog
from sightline.ops.resample import resample
from sightline.types import Features, Size


@dataclass(frozen=True)
class HogPyramid:
    """Levels shrunk by `step` each, down to the last on which a window of `shapes` lies.

    `shapes` are (height, width) of the windows' objects in cells; a window has `margin` cells more
    on each side. Levels are continued by their border pixels for `pad` cells, so that an object at
    the border has its margin too.
    """

    shapes: tuple[Size, ...]
    step: float = 2 ** (1 / 8)
    margin: int = 1
    pad: int = 1

    @property
    def blocks(self) -> tuple[Size, ...]:
        """(height, width) of the windows of each shape in blocks: one fewer than in cells."""
        more = 2 * self.margin - 1
        return tuple((height + more, width + more) for height, width in self.shapes)

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """(height, width) in pixels of the levels of an image of `size`, largest first, unpadded.

        The first is the image itself, and is there even if no window fits.
        """
        answer = [size]
        while True:
            scale = self.step ** -len(answer)
            height, width = (max(1, round(side * scale)) for side in size)
            grid = self.grid((height, width))
            if not any(h <= grid[0] and w <= grid[1] for h, w in self.blocks):
                return tuple(answer)
            answer.append((height, width))

    def grid(self, level: Size) -> Size:
        """(rows, columns) of blocks of a level."""
        rows, columns = (max(0, (side + 2 * self.pad * CELL) // CELL - 1) for side in level)
        return rows, columns

    def images(self, pixels: Float[Tensor, "3 H W"]) -> Iterator[Float[Tensor, "3 _ _"]]:
        """The padded levels. Halved as often as that goes, then sampled bilinearly: no level is
        sampled from one more than twice its size, so nothing flickers.
        """
        base, halvings = pixels, 0
        same, none = pixels.new_ones(3), pixels.new_zeros(3)
        for number, level in enumerate(self.sizes((pixels.shape[1], pixels.shape[2]))):
            while number * math.log2(self.step) > halvings + 1 - 1e-6:
                base, halvings = F.avg_pool2d(base, 2, ceil_mode=True), halvings + 1
            picture = base
            if level != tuple(base.shape[1:]):
                picture = base.new_empty(3, *level)
                resample(base, picture, level, same, none)
            if self.pad:
                picture = F.pad(picture, (self.pad * CELL,) * 4, mode="replicate")
            yield picture

    def maps(self, pixels: Float[Tensor, "B 3 H W"]) -> Features:
        """Blocks of each level, (B, 36, rows, columns)."""
        each = [[hog(level) for level in self.images(one)] for one in pixels]
        if len(each) == 1:
            return tuple(level[None] for level in each[0])
        return tuple(torch.stack(levels) for levels in zip(*each, strict=True))

    def windows(self, size: Size) -> tuple[Float[Tensor, "R 4"], Int[Tensor, "R"]]:
        """The objects' boxes of all windows of an image of `size` in its pixels, and for each
        level · shapes + shape: level by level, shape by shape, row by row.
        """
        return _windows(self, size)

    def places(self, size: Size) -> tuple[tuple[int, int, int], ...]:
        """For each (level, shape) (first row of `windows`, rows of windows, columns of windows)."""
        answer, first = [], 0
        for level in self.sizes(size):
            rows, columns = self.grid(level)
            for height, width in self.blocks:
                down, across = max(0, rows - height + 1), max(0, columns - width + 1)
                if down * across == 0:
                    down = across = 0
                answer.append((first, down, across))
                first += down * across
        return tuple(answer)

    def cells(
        self, boxes: Float[Tensor, "R 4"], level: Int[Tensor, "R"], size: Size
    ) -> Int[Tensor, "R 2"]:
        """(row, column) of the upper left block of windows given by box and level."""
        sizes = torch.tensor(self.sizes(size), dtype=torch.float32, device=boxes.device)
        height, width = sizes[level // len(self.shapes)].unbind(1)
        shift = self.pad - self.margin
        row = (boxes[:, 1] * height / (size[0] * CELL)).round().long() + shift
        column = (boxes[:, 0] * width / (size[1] * CELL)).round().long() + shift
        return torch.stack([row, column], dim=1)


@functools.lru_cache(maxsize=8)
def _windows(pyramid: HogPyramid, size: Size) -> tuple[Tensor, Tensor]:
    boxes, numbers = [], []
    count, shift = len(pyramid.shapes), pyramid.margin - pyramid.pad
    sizes = pyramid.sizes(size)
    for number, (_, rows, columns) in enumerate(pyramid.places(size)):
        level, (height, width) = sizes[number // count], pyramid.shapes[number % count]
        down, across = CELL * size[0] / level[0], CELL * size[1] / level[1]
        y, x = torch.arange(rows) + shift, torch.arange(columns) + shift
        corner = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        ends = corner + torch.tensor([width, height])
        scale = torch.tensor([across, down, across, down])
        boxes.append(torch.cat([corner, ends], dim=1) * scale)
        numbers.append(torch.full((rows * columns,), number))
    return torch.cat(boxes), torch.cat(numbers)


def nearest_shape(boxes: Float[Tensor, "R 4"], shapes: Sequence[Size]) -> Int[Tensor, "R"]:
    """The shape whose ratio of sides is nearest to each box's, on a logarithmic scale."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    ratios = torch.tensor([height / width for height, width in shapes]).log()
    return ((sides[:, 1] / sides[:, 0]).log()[:, None] - ratios).abs().argmin(dim=1)
