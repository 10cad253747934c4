"""RoIAlign: a fixed number of cells for any region, without rounding (He 2017, section 3).

A region is cut into h × w bins; in each, `sampling` × `sampling` points at regular places are read
from the map by bilinear interpolation and averaged. Both axes are alike and do not touch each
other, so the whole op is two small matrices: rows ← A_y · map · A_xᵀ.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.ops.checks import require_regions
from sightline.ops.dispatch import carried_kernel


def taps(
    low: float, high: float, cells: int, bins: int, sampling: int, aligned: bool
) -> Float[Tensor, "bins cells"]:
    """What each cell of an axis counts in each bin of a region from `low` to `high`, in cells.

    A point between two cells' values reads both. One more than a cell outside of the map reads
    nothing, others outside read the border. Without `aligned` cell i's value lies at i, and no
    region is shorter than a cell; with it, at its centre i + ½. Swapped ends
    are a region without length.
    """
    if aligned:
        low, high = low - 0.5, high - 0.5
    length = max(high - low, 0.0 if aligned else 1.0)
    each = sampling if sampling > 0 else max(math.ceil(length / bins), 1)
    points = low + (torch.arange(bins * each, dtype=torch.float64) + 0.5) * (length / bins / each)
    seen = (points >= -1) & (points <= cells)
    places = points.clamp(0, cells - 1)
    first = places.floor().long().clamp(max=max(cells - 2, 0))
    share = torch.where(seen, places - first, 0.0)
    weights = torch.zeros(bins * each, cells + 1, dtype=torch.float64)
    rows = torch.arange(bins * each)
    weights[rows, first] = torch.where(seen, 1.0, 0.0) - share
    weights[rows, first + 1] += share
    return weights[:, :cells].view(bins, each, cells).mean(dim=1)


@carried_kernel
def roi_align(
    features: Float[Tensor, "B C H W"],
    boxes: Float[Tensor, "R 4"],
    image: Int[Tensor, "R"],
    size: tuple[int, int],
    scale: float,
    sampling: int = 2,
    aligned: bool = False,
) -> Float[Tensor, "R C h w"]:
    """The cells of each region: `size` (h, w) of them, from the map of its `image`.

    `boxes` are in the prepared image's pixels, `scale` is cells a pixel (1/16 for stride 16).
    `sampling` 0 takes as many points a bin as it is long in cells, rounded up. `aligned=False` is
    the published networks' convention (values at cells' corners), True is right by half a cell.
    Differentiable in `features`; boxes are taken as they are. Raises UsageError for shapes that
    disagree, images that are not there, and boxes that are not finite or absurdly large.
    """
    require_regions(features, boxes, image, size, scale, sampling)
    answers = []
    height, width = features.shape[-2:]
    for (x1, y1, x2, y2), index in zip((boxes.double() * scale).tolist(), image, strict=True):
        rows = taps(y1, y2, height, size[0], sampling, aligned).to(features)
        columns = taps(x1, x2, width, size[1], sampling, aligned).to(features)
        answers.append(rows @ features[index] @ columns.T)
    empty = features.new_zeros(0, features.shape[1], *size)
    return torch.stack(answers) if answers else empty
