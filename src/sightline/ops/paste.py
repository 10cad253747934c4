"""A small mask of a box as pixels of its image (He 2017, section 3.1: "resized to the RoI size").

Both axes are alike, so pasting is two small matrices: pixels ← A_y · cells · A_xᵀ.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.types import Size


def _exact(low: float, high: float, cells: int, pixels: int) -> tuple[int, Float[Tensor, "p c"]]:
    """First pixel of an axis that the mask touches, and what each pixel from there reads.

    Cell k's value lies at the middle of its part of the box; a pixel reads at its own middle, and
    nothing half a cell beyond the outermost values.
    """
    length = max(high - low, 1e-6)
    reach = length / cells / 2
    first = min(pixels, max(0, math.ceil(low - reach - 0.5)))
    last = min(pixels, math.floor(high + reach - 0.5) + 1)
    centres = torch.arange(first, max(first, last), dtype=torch.float64) + 0.5
    places = (centres - low) * (cells / length) - 0.5
    return first, _hats(places, cells)


def _hats(places: Float[Tensor, "p"], cells: int) -> Float[Tensor, "p c"]:
    """Linear interpolation between cells 0, 1, …: 1 at a cell, 0 at its neighbours."""
    distance = (places[:, None] - torch.arange(cells, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)


def _published(
    low: float, high: float, cells: int, pixels: int
) -> tuple[int, Float[Tensor, "p c"]]:
    """As the published networks do it: a frame of one cell, whole pixels, both ends included."""
    centre, half = (low + high) / 2, (high - low) / 2 * (cells + 2) / cells
    start, end = int(centre - half), int(centre + half)  # towards zero
    count = max(end - start + 1, 1)
    first = min(pixels, max(0, start))
    last = max(first, min(pixels, start + count))
    number = torch.arange(first, last, dtype=torch.float64) - float(start)
    places = ((number + 0.5) * ((cells + 2) / count) - 0.5).clamp(0, cells + 1)
    return first, _hats(places, cells + 2)[:, 1:-1]  # the frame is 0


def paste(
    cells: Float[Tensor, "m n"], box: Float[Tensor, "4"], size: Size, published: bool = False
) -> tuple[int, int, Float[Tensor, "h w"]]:
    """(top, left, values) of the pixels that a mask reaches in an image of `size`.

    `cells` are values within `box`, row by row; the answer is bilinear between their middles and
    falls to 0 half a cell outside of the box. `published` is torchvision's way: to whole pixels.
    Nothing larger than the answer is made. A box without an area, or outside, gives no pixels.
    """
    x1, y1, x2, y2 = box.double().tolist()
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return 0, 0, cells.new_zeros(0, 0)
    axis = _published if published else _exact
    top, rows = axis(y1, y2, cells.shape[0], size[0])
    left, columns = axis(x1, x2, cells.shape[1], size[1])
    return top, left, rows.to(cells) @ cells @ columns.to(cells).T
