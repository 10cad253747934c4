"""Peaks in one pass over the maps: blocks of cells that are all low are passed over by one test.

In the others all cells are held against their four neighbours at once; what is left is looked at.
Indices of the wide loops are unsigned: of others the compiler thinks that they may count from the
end.
"""

from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.ops.checks import require_maps

__all__ = ["part_boxes", "part_peaks"]

BLOCK = 64
"""So many cells are compared at once (which vectorises); few blocks hold anything."""

FLOOR = np.float32(1e-4)
TWO, HALF, ZERO = np.float32(2), np.float32(0.5), np.float32(0)

Array = np.ndarray[Any, Any]


@compiled
def _busy(cells: Array, threshold: Any) -> Array:
    """Where the blocks begin in which any cell is higher; the last one, a shorter one, is always
    among them.
    """
    whole, count = cells.size // BLOCK, 0
    busy = np.empty(whole + 1, np.int64)
    for number in range(whole):
        start, some = np.uint64(number * BLOCK), np.int32(0)
        for i in range(np.uint64(BLOCK)):  # no branch and a fixed length: made wide
            some = np.int32(some | np.int32(cells[start + i] > threshold))
        busy[count] = number * BLOCK
        count += some != 0
    busy[count] = whole * BLOCK
    return busy[: count + 1].copy()


@compiled
def _mark(cells: Array, busy: Array, width: int, threshold: Any) -> Array:
    """Mark the cells of the blocks that are higher and no lower than the four in memory that would
    be their neighbours if there were no border; none where there is not so much memory.
    """
    marks, row, one = np.zeros(busy.size * BLOCK, np.bool_), np.uint64(width), np.uint64(1)
    for number in range(busy.size):
        if not width <= busy[number] <= cells.size - BLOCK - width:
            continue
        start, out = np.uint64(busy[number]), np.uint64(number * BLOCK)
        for i in range(np.uint64(BLOCK)):
            at = start + i
            value = cells[at]
            before = max(threshold, cells[at - one], cells[at - row])
            after = max(cells[at + one], cells[at + row])  # what is no number is found later
            marks[out + i] = (value > before) & (value >= after)
    return marks


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
def _mark_borders(cells: Array, busy: Array, size: Any, threshold: Any, marks: Array) -> None:
    """Mark the cells of the blocks that lie at their map's border and are higher: not all that are
    neighbours in memory are neighbours.
    """
    (height, width), row = size, (NONE, NONE, NONE)
    for number in range(busy.size):
        start, out = busy[number], number * BLOCK - busy[number]
        row, end = _row(start, row, size), min(start + BLOCK, cells.size)
        _, y, edge = row
        if y == 0 or start + BLOCK > edge + (height - 1 - y) * width:
            for at in range(start, end):
                marks[out + at] = cells[at] > threshold
            continue
        edge += width if edge < start else 0
        while edge <= end:  # a row's first cell, and the last of the row before
            if edge < end:
                marks[out + edge] = cells[edge] > threshold
            if edge > start:
                marks[out + edge - 1] = cells[edge - 1] > threshold
            edge += width


@compiled
def _marked(marks: Array, busy: Array, size: Any) -> Array:
    """The marked cells: where, and their plane, row and column."""
    words, row, some, count = marks.view(np.uint64), (NONE, NONE, NONE), 0, 0
    holding = np.empty(words.size, np.int64)
    for word in range(words.size):  # few of them: found without a branch
        holding[some] = word
        some += words[word] != 0
    found = np.empty((8 * some, 4), np.int64)
    for word in holding[:some]:
        for i in range(8 * word, 8 * word + 8):
            if marks[i]:
                at = busy[i // BLOCK] + i % BLOCK
                row = _row(at, row, size)
                found[count, 0], found[count, 1] = at, row[0]
                found[count, 2], found[count, 3] = row[1], at - row[2]
                count += 1
    return found[:count]


@compiled
def _highest(cells: Array, found: Array, size: Any, reach: int) -> Array:
    """Those finite cells that are higher than those around them before them, and not lower than
    those after them.
    """
    (height, width), count = size, 0
    for row in range(len(found)):
        at, y, x = found[row, 0], found[row, 2], found[row, 3]
        value = cells[at]
        best = value - value == ZERO
        for v in range(max(-y, -reach), min(reach + 1, height - y)):
            for u in range(max(-x, -reach), min(reach + 1, width - x)):
                other = cells[at + v * width + u]
                best &= value > other if v < 0 or (v == 0 and u < 0) else value >= other
        for column in range(4):
            found[count, column] = found[row, column]
        count += best
    return found[:count]


@compiled
def _summit(cells: Array, at: int, step: Any) -> Any:
    """How far from the cell `at` the parabola through its logarithm and its neighbours' a step
    before and after is highest.
    """
    low, mid, high = (
        np.log(max(cells[at - step], FLOOR)),
        np.log(max(cells[at], FLOOR)),
        np.log(max(cells[at + step], FLOOR)),
    )
    bend = (mid - low) + (mid - high)
    if not bend > ZERO:
        return ZERO
    return min(max((high - low) / (TWO * bend), -HALF), HALF)


@compiled
def _all(maps: Array, threshold: Any, reach: int) -> tuple[Array, Array, Array, Array]:
    """The places, values, images and maps of the peaks."""
    cells, parts, (height, width) = maps.reshape(-1), maps.shape[1], maps.shape[2:]
    threshold = np.float32(threshold)  # cheaper here than where arrays are made of tensors
    busy, size = _busy(cells, threshold), (height, width)
    marks = _mark(cells, busy, width, threshold)
    _mark_borders(cells, busy, size, threshold, marks)
    found = _highest(cells, _marked(marks, busy, size), size, reach)
    places, values = np.empty((len(found), 2), np.float32), np.empty(len(found), np.float32)
    image, part = np.empty(len(found), np.int64), np.empty(len(found), np.int64)
    for i in range(len(found)):
        at, plane, y, x = found[i, 0], found[i, 1], found[i, 2], found[i, 3]
        right = _summit(cells, at, np.int64(1)) if 0 < x < width - 1 else ZERO
        below = _summit(cells, at, width) if 0 < y < height - 1 else ZERO
        places[i, 0] = (np.float32(x) + right) + HALF
        places[i, 1] = (np.float32(y) + below) + HALF
        image[i], part[i], values[i] = plane // parts, plane % parts, cells[at]
    return places, values, image, part


@compiled
def _boxes(maps: Array, threshold: Any, stride: Any) -> tuple[Array, Array, Array, Array]:
    """The same with the boxes of one cell around the places."""
    places, values, image, part = _all(maps, threshold, 1)
    boxes, cell = np.empty((values.size, 4), np.float32), np.float32(stride)
    half = cell / TWO
    for i in range(values.size):
        x, y = places[i, 0] * cell, places[i, 1] * cell
        boxes[i, 0], boxes[i, 1] = x - half, y - half
        boxes[i, 2], boxes[i, 3] = x + half, y + half
    return boxes, values, image, part


def part_peaks(
    maps: Tensor, threshold: float, reach: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The kernel of `ops.peaks.part_peaks`."""
    cells = array(maps, np.float32)
    require_maps(cells, threshold, reach)
    places, values, image, part = _all(cells, float(threshold), reach)
    return from_numpy(places), from_numpy(values), from_numpy(image), from_numpy(part)


def part_boxes(
    maps: Tensor, threshold: float, stride: float, parts: int | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The kernel of `ops.peaks.part_boxes`."""
    cells = array(maps, np.float32)
    require_maps(cells, threshold, 1)
    if parts is not None:
        cells = np.ascontiguousarray(cells[:, :parts])
    boxes, values, image, part = _boxes(cells, float(threshold), float(stride))
    return from_numpy(boxes), from_numpy(values), from_numpy(image), from_numpy(part)
