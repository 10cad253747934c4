"""Anchors: boxes of a few sizes and shapes at every cell of every feature map."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.types import Regions, Size


@runtime_checkable
class Anchors(Protocol):
    """What gives every cell of every map its boxes."""

    def boxes(
        self, grids: Sequence[Size], image: Size
    ) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
        """All boxes of maps of these sizes over an image of size `image`, and their levels."""
        ...


def every_region(boxes: Float[Tensor, "A 4"], level: Int[Tensor, "A"], images: int) -> Regions:
    """The same boxes for each image of a batch, packed image by image."""
    image = torch.arange(images, device=boxes.device).repeat_interleave(len(boxes))
    return Regions(boxes.repeat(images, 1), image, level.repeat(images))


@dataclass(frozen=True)
class AnchorGrid:
    """Anchors of a pyramid: `sizes[level]` are square roots of area in pixels, `ratios` are
    height / width; every size comes in every ratio.

    `offset` is where in its cell an anchor is centred: ½ by our convention; 0 (the cell's corner)
    in torchvision's networks. `strides` are pixels a cell; None measures them as image size over
    map size, rounded down, as torchvision does. `rounded` rounds corners around the centre.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    strides: tuple[int, ...] | None = None
    offset: float = 0.5
    rounded: bool = False

    @property
    def per_cell(self) -> int:
        """Anchors at each cell of a map."""
        return len(self.sizes[0]) * len(self.ratios)

    def shapes(self, level: int) -> Float[Tensor, "a 4"]:
        """The anchors of one cell of a level around the origin: ratio by ratio, then by size."""
        ratios = torch.tensor(self.ratios)
        sizes = torch.tensor(self.sizes[level])
        root = ratios.sqrt()
        width = (sizes[None, :] / root[:, None]).flatten()
        height = (sizes[None, :] * root[:, None]).flatten()
        shapes = torch.stack([-width, -height, width, height], dim=1) / 2
        return shapes.round() if self.rounded else shapes

    def _level(self, level: int, grid: Size, image: Size) -> Tensor:
        rows, columns = grid
        if self.strides is None:
            step_y, step_x = image[0] // rows, image[1] // columns
        else:
            step_y = step_x = self.strides[level]
        y = (torch.arange(rows) + self.offset) * step_y
        x = (torch.arange(columns) + self.offset) * step_x
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 1, 2)
        return (centre.repeat(1, 1, 2) + self.shapes(level)).reshape(-1, 4)

    def boxes(
        self, grids: Sequence[Size], image: Size
    ) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
        """All anchors of maps of these sizes over an image of size `image`, and their levels.

        Ordered by level, then row, column, and shape, as heads order their outputs.
        """
        return _boxes(self, tuple(grids), image)


@functools.lru_cache(maxsize=32)
def _boxes(grid: AnchorGrid, grids: tuple[Size, ...], image: Size) -> tuple[Tensor, Tensor]:
    parts = [grid._level(level, size, image) for level, size in enumerate(grids)]
    levels = [torch.full((len(part),), level) for level, part in enumerate(parts)]
    return torch.cat(parts), torch.cat(levels)


def octaves(base: Sequence[float], steps: int = 3) -> tuple[tuple[float, ...], ...]:
    """RetinaNet's sizes: each base size times 2^0, 2^(1/steps), …, rounded down to whole pixels."""
    return tuple(
        tuple(float(math.floor(size * 2 ** (step / steps))) for step in range(steps))
        for size in base
    )
