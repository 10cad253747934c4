"""Peaks in one pass over the maps: blocks of cells that are all low are passed over by one test.

In the others all cells are held against their four neighbours at once; what is left is looked at.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.compile import compiled
from sightline.ops.checks import require_maps

__all__ = ["part_peaks"]

BLOCK = 64
"""So many cells are compared at once (which vectorises); few blocks hold anything."""

FLOOR = np.float32(1e-4)
ONE, TWO, HALF, ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)

Array = np.ndarray[Any, Any]


@compiled
def _busy(cells: Array, threshold: Any) -> tuple[Array, int]:
    """Where the blocks begin in which any cell is higher, and how many they are; the last one, a
    shorter one, is always among them.
    """
    whole, count = cells.size // BLOCK, 0
    busy = np.empty(whole + 1, np.int64)
    for number in range(whole):
        block, some = cells[number * BLOCK : number * BLOCK + BLOCK], np.int32(0)
        for i in range(np.uint64(BLOCK)):  # no branch and a fixed length: made wide
            some = np.int32(some | np.int32(block[i] > threshold))
        busy[count] = number * BLOCK
        count += some != 0
    busy[count] = whole * BLOCK
    return busy, count + 1


@compiled
def _mark(cells: Array, start: int, width: int, threshold: Any, marks: Array) -> None:
    """Mark the cells of a block that are higher and no lower than their four neighbours, which
    must be there: all that lie in the row before, between, and in the row after.
    """
    here, left = cells[start : start + BLOCK], cells[start - 1 : start - 1 + BLOCK]
    right = cells[start + 1 : start + 1 + BLOCK]
    over = cells[start - width : start - width + BLOCK]
    under = cells[start + width : start + width + BLOCK]
    for i in range(np.uint64(BLOCK)):
        value = here[i]
        along = (value > threshold) & (value > left[i]) & (value >= right[i])
        marks[i] = along & (value > over[i]) & (value >= under[i])


@compiled
def _row(cell: int, row: Any, size: Any) -> Any:
    """From a row, which is its plane, its number and its first cell, on to that of a later cell.

    There are few steps, and a division for every cell would take longer than all else.
    """
    (plane, y, first), (height, width) = row, size
    while first + width <= cell:
        first, y = first + width, y + 1
        if y == height:
            plane, y = plane + 1, 0
    return plane, y, first


@compiled
def _likely(cells: Array, start: int, row: Any, size: Any, threshold: Any, marks: Array) -> None:
    """Mark the cells of a block that may be peaks; of those at a border all that are higher."""
    (_, y, edge), (height, width), end = row, size, min(start + BLOCK, cells.size)
    if y > 0 and start + BLOCK <= edge + (height - 1 - y) * width:
        _mark(cells, start, width, threshold, marks)
        while edge <= end:
            for i in (edge - 1, edge):
                if start <= i < end:
                    marks[i - start] = cells[i] > threshold
            edge += width
    else:
        marks[:] = False
        for i in range(start, end):
            marks[i - start] = cells[i] > threshold


@compiled
def _highest(plane: Array, y: int, x: int, reach: int) -> bool:
    """Whether a finite cell is higher than those around it before it, and not lower than those
    after it.
    """
    value, (height, width) = plane[y, x], plane.shape
    for v in range(max(y - reach, 0), min(y + reach + 1, height)):
        for u in range(max(x - reach, 0), min(x + reach + 1, width)):
            if v < y or (v == y and u < x):
                if not value > plane[v, u]:
                    return False
            elif not value >= plane[v, u]:
                return False
    return bool(value - value == ZERO)


@compiled
def _summit(low: Any, mid: Any, high: Any) -> Any:
    low, mid, high = (
        np.log(max(low, FLOOR)),
        np.log(max(mid, FLOOR)),
        np.log(max(high, FLOOR)),
    )
    bend = (mid - low) + (mid - high)
    if not bend > ZERO:
        return ZERO
    return min(max((high - low) / (TWO * bend), -HALF), HALF)


@compiled
def _place(plane: Array, y: int, x: int) -> tuple[Any, Any]:
    right = below = ZERO
    if 0 < x < plane.shape[1] - 1:
        right = _summit(plane[y, x - 1], plane[y, x], plane[y, x + 1])
    if 0 < y < plane.shape[0] - 1:
        below = _summit(plane[y - 1, x], plane[y, x], plane[y + 1, x])
    return (np.float32(x) + right) + HALF, (np.float32(y) + below) + HALF


@compiled
def _peaks(planes: Array, threshold: Any, reach: int) -> tuple[Array, int]:
    """The plane, row and column of each peak, and how many they are."""
    cells, size, count = planes.reshape(-1), planes.shape[1:], 0
    found, marks = np.empty((1024, 3), np.int64), np.zeros(BLOCK, np.bool_)
    words, (busy, blocks), row = marks.view(np.uint64), _busy(cells, threshold), (0, 0, 0)
    for start in busy[:blocks]:
        row = _row(start, row, size)
        _likely(cells, start, row, size, threshold, marks)
        for word in range(words.size):
            if words[word] == 0:
                continue
            for i in range(8 * word, 8 * word + 8):
                if not marks[i]:
                    continue
                row = _row(start + i, row, size)
                plane, y, first = row
                if not _highest(planes[plane], y, start + i - first, reach):
                    continue
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0], found[count, 1], found[count, 2] = plane, y, start + i - first
                count += 1
    return found, count


@compiled
def _all(maps: Array, threshold: Any, reach: int) -> tuple[Array, Array, Array, Array]:
    """The places, values, images and maps of the peaks."""
    parts, height, width = maps.shape[1:]
    planes = maps.reshape(-1, height, width)
    found, count = _peaks(planes, threshold, reach)
    places, values = np.empty((count, 2), np.float32), np.empty(count, np.float32)
    image, part = np.empty(count, np.int64), np.empty(count, np.int64)
    for i in range(count):
        plane, y, x = found[i]
        image[i], part[i] = divmod(plane, parts)
        places[i, 0], places[i, 1] = _place(planes[plane], y, x)
        values[i] = planes[plane, y, x]
    return places, values, image, part


def part_peaks(
    maps: Tensor, threshold: float, reach: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The kernel of `ops.peaks.part_peaks`."""
    require_maps(maps, threshold, reach)
    found = _all(array(maps, np.float32), np.float32(threshold), reach)
    places, values, image, part = map(torch.from_numpy, found)
    return places, values, image, part
