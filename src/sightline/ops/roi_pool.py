"""RoIPool: a fixed number of cells for any region, by rounding and maxima (Girshick 2015, 2.1).

A region's corners are rounded to whole cells, both of which belong to it; it is cut into h × w bins
that may share a row or a column, and each bin is the maximum of its cells. What the rounding loses,
half a cell at every side, is what RoIAlign was made for.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.ops.checks import require_regions
from sightline.ops.dispatch import carried_kernel


def whole_cells(boxes: Float[Tensor, "R 4"], scale: float) -> Int[Tensor, "R 4"]:
    """First column and row, and last ones, of each region: half a cell goes away from zero.

    In single precision, as the published networks have it.
    """
    places = boxes.float() * scale
    return (places.sign() * (places.abs() + 0.5).floor()).long()


def edges(first: int, last: int, cells: int, bins: int) -> list[tuple[int, int]]:
    """First and one past the last cell of each bin, within the map; a region has at least one cell.

    In single precision too: ⌊i · (length / bins)⌋ and ⌈(i + 1) · (length / bins)⌉.
    """
    each = torch.tensor(max(last - first + 1, 1), dtype=torch.float32) / bins
    number = torch.arange(bins, dtype=torch.float32)
    starts = ((number * each).floor().long() + first).clamp(0, cells)
    ends = (((number + 1) * each).ceil().long() + first).clamp(0, cells)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


@carried_kernel
def roi_pool(
    features: Float[Tensor, "B C H W"],
    boxes: Float[Tensor, "R 4"],
    image: Int[Tensor, "R"],
    size: tuple[int, int],
    scale: float,
) -> Float[Tensor, "R C h w"]:
    """The maxima of each region: `size` (h, w) of them, from the map of its `image`.

    `boxes` are in the prepared image's pixels, `scale` is cells a pixel. A bin outside of the map
    is 0. The gradient goes to the cell that was the maximum, among equals to the first in reading
    order. Raises UsageError as `roi_align` does.
    """
    require_regions(features, boxes, image, size, scale)
    height, width = features.shape[-2:]
    answer = features.new_zeros(len(boxes), features.shape[1], *size)
    for r, (x1, y1, x2, y2) in enumerate(whole_cells(boxes, scale).tolist()):
        for i, (top, bottom) in enumerate(edges(y1, y2, height, size[0])):
            for j, (left, right) in enumerate(edges(x1, x2, width, size[1])):
                cells = features[image[r], :, top:bottom, left:right].flatten(1)
                if cells.shape[1]:
                    answer[r, :, i, j] = cells.max(dim=1).values
    return answer
