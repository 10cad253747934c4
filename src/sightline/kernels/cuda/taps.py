"""What RoIAlign's bins read of each axis, written down on the GPU for every region.

In double precision as `ops.roi_align.taps` has it, with what need not be looked at: for each bin
the cells it reads, for each cell the bins that read it, and for each region the cells it touches.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

CELLS = tl.constexpr(64)
"""Cells a program that writes down taps."""


class Taps(NamedTuple):
    """What regions read of (H, W) maps in (h, w) bins; y before x, cells before bins.

    weights: (R, H · h + W · w) what each cell counts in each bin.
    bins: (R, h + w, 2) the cells of each bin, first and end.
    cells: (R, H + W, 2) the bins of each cell, first and end; first ≥ end where none reads it.
    hull: (R, 4) the cells of each region: top, bottom, left, right; ends are beyond.
    image: (R,) whose map it is.
    """

    weights: Tensor
    bins: Tensor
    cells: Tensor
    hull: Tensor
    image: Tensor


@triton.jit
def _write_taps(
    places: tl.tensor,
    made: tl.tuple,
    shape: tl.tuple,
    SAMPLING: tl.constexpr,
    ALIGNED: tl.constexpr,
    BINS: tl.constexpr,
) -> None:
    """`taps` of one region, one axis and CELLS cells, from `places` (R, 4), its corners in cells.

    `made` are the first four of `Taps`, `shape` is (H, W, h, w).
    """
    weights, bins, cells, hull = made
    H, W, h, w = shape
    region, across = tl.program_id(0).to(tl.int64), tl.program_id(1)
    size, count = tl.where(across == 1, W, H), tl.where(across == 1, w, h)
    low = tl.load(places + region * 4 + 1 - across)
    high = tl.load(places + region * 4 + 3 - across)
    if ALIGNED:
        low, high = low - 0.5, high - 0.5
        length = tl.maximum(high - low, 0.0)
    else:
        length = tl.maximum(high - low, 1.0)
    long = length / count.to(tl.float64)
    if SAMPLING > 0:
        each = tl.full((), SAMPLING, tl.int32)
    else:
        each = tl.maximum(tl.ceil(long).to(tl.int32), 1)
    step = long / each.to(tl.float64)
    cell, bin = tl.program_id(2) * CELLS + tl.arange(0, CELLS), tl.arange(0, BINS)
    real = bin < count
    total = tl.zeros([CELLS, BINS], tl.float64)
    first, end = tl.zeros([BINS], tl.int32) + size, tl.zeros([BINS], tl.int32)
    for k in range(each):
        point = low + ((bin * each + k).to(tl.float64) + 0.5) * step
        seen = real & (point >= -1.0) & (point <= size.to(tl.float64))
        point = tl.minimum(tl.maximum(point, 0.0), (size - 1).to(tl.float64))
        at = tl.minimum(tl.floor(point).to(tl.int32), tl.maximum(size - 2, 0))
        share = tl.where(seen, point - at.to(tl.float64), 0.0)
        rest = tl.where(seen, 1.0 - share, 0.0)
        total += tl.where(cell[:, None] == at[None, :], rest[None, :], 0.0)
        total += tl.where(cell[:, None] == at[None, :] + 1, share[None, :], 0.0)
        first = tl.minimum(first, tl.where(seen, at, size))
        end = tl.maximum(end, tl.where(seen, tl.minimum(at + 2, size), 0))
    mean = (total / each.to(tl.float64)).to(tl.float32)
    out = weights + region * (H * h + W * w) + across * H * h
    inside = (cell < size)[:, None] & real[None, :]
    tl.store(out + cell[:, None] * count + bin[None, :], mean, mask=inside)
    least = tl.min(tl.where(mean != 0.0, bin[None, :], count), axis=1)
    most = tl.max(tl.where(mean != 0.0, bin[None, :] + 1, 0), axis=1)
    readers = cells + (region * (H + W) + across * H + cell) * 2
    tl.store(readers, least, mask=cell < size)
    tl.store(readers + 1, most, mask=cell < size)
    if tl.program_id(2) == 0:
        read = bins + (region * (h + w) + across * h + bin) * 2
        tl.store(read, first, mask=real)
        tl.store(read + 1, end, mask=real)
        tl.store(hull + region * 4 + across * 2, tl.min(first))
        tl.store(hull + region * 4 + across * 2 + 1, tl.max(end))


def write_taps(
    places: Tensor, image: Tensor, shape: torch.Size, size: tuple[int, int], rule: tuple[int, bool]
) -> Taps:
    """The taps of regions with corners `places` (R, 4), in cells; `rule` is (sampling, aligned)."""
    (H, W), (h, w), R = shape[2:], size, len(places)
    made = Taps(
        places.new_empty(R, H * h + W * w, dtype=torch.float32),
        places.new_empty(R, h + w, 2, dtype=torch.int32),
        places.new_empty(R, H + W, 2, dtype=torch.int32),
        places.new_empty(R, 4, dtype=torch.int32),
        image,
    )
    if R:
        _write_taps[(R, 2, -(-max(H, W) // CELLS.value))](
            places,
            tuple(made[:4]),
            (H, W, h, w),
            SAMPLING=rule[0],
            ALIGNED=rule[1],
            BINS=int(triton.next_power_of_2(max(size))),
            enable_fp_fusion=False,  # a rounding more or less could move a point beyond the border
        )
    return made
