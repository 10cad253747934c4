"""Candidate parts: where maps of parts are highest, finer than a cell (Cao 2017, section 2.4).

A position on a map is continuous and counted in cells: the centre of cell i is i + ½.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.checks import require_maps
from sightline.ops.dispatch import kernel

FLOOR = 1e-4
"""Logarithms are taken of nothing smaller: networks answer 0 and less far from every part."""

Found = tuple[Float[Tensor, "N 2"], Float[Tensor, "N"], Int[Tensor, "N"], Int[Tensor, "N"]]
"""The (x, y) of each peak in cells, its value, its image and its map."""


@kernel
def part_peaks(maps: Float[Tensor, "B P h w"], threshold: float, reach: int = 1) -> Found:
    """All peaks of all maps, image by image, map by map, in reading order.

    A peak is higher than `threshold` and the highest within `reach` cells in both directions; of
    equals the first in reading order. Non-finite cells are none. A map is drawn as a Gaussian,
    whose logarithm is a parabola: through the peak and its two neighbours along each axis goes
    exactly one, and its summit is the answer, up to half a cell away. At the map's border, where a
    neighbour is missing, it is the cell's centre. Raises UsageError (usage.shape,
    usage.out_of_range).
    """
    require_maps(maps, threshold, reach)
    maps, side = maps.float(), 2 * reach + 1
    padded = F.pad(maps, (reach,) * 4, value=-torch.inf)
    around = padded.unfold(2, side, 1).unfold(3, side, 1).reshape(*maps.shape, side * side)
    middle = side * side // 2
    earlier, later = around[..., :middle].amax(4), around[..., middle + 1 :].amax(4)
    peak = (maps > threshold) & (maps > earlier) & (maps >= later) & maps.isfinite()
    image, part, y, x = at = peak.nonzero(as_tuple=True)
    places = torch.stack([x + summit(maps, at, 3), y + summit(maps, at, 2)], 1) + 0.5
    return places, maps[at], image, part


@kernel
def part_boxes(
    maps: Float[Tensor, "B P h w"], threshold: float, stride: float, parts: int | None = None
) -> tuple[Float[Tensor, "N 4"], Float[Tensor, "N"], Int[Tensor, "N"], Int[Tensor, "N"]]:
    """`part_peaks` with a box of one cell around each place, in pixels; a cell is `stride` wide and
    high. Only the first `parts` maps are of parts, where that is told.
    """
    places, values, image, part = part_peaks.reference(maps[:, :parts], threshold)
    middle, half = places * stride, stride / 2
    return torch.cat([middle - half, middle + half], 1), values, image, part


def summit(maps: Tensor, at: tuple[Tensor, ...], axis: int) -> Float[Tensor, "*at"]:
    """How far from the cells `at` the parabola through their logarithms is highest."""
    last = maps.shape[axis] - 1
    before, after = list(at), list(at)
    before[axis], after[axis] = (at[axis] - 1).clamp(min=0), (at[axis] + 1).clamp(max=last)
    low, mid, high = (maps[tuple(one)].clamp(min=FLOOR).log() for one in (before, at, after))
    bend = (mid - low) + (mid - high)
    inside = (at[axis] > 0) & (at[axis] < last) & (bend > 0)
    return torch.where(inside, ((high - low) / (2 * bend)).clamp(-0.5, 0.5), 0.0)
