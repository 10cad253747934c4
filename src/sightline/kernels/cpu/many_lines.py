"""Many lines at once, and which of them a few samples refuse: wide loops, few branches.

The tables of so many lines are made once, by `tables`, and filled again and again.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.lines import between, cell

HALF = np.float32(0.5)

Array = np.ndarray[Any, Any]
Lines = tuple[Array, Array, Array, Array, Array, Array, Array]


@compiled
def tables(most: int, samples: int) -> Lines:
    """Of up to so many lines: x and y of where they begin and of where they end; of their
    directions; the first of the cells that each sample lies between, and the weights of the next
    ones; where the cells of their limb begin, the limb, and the rows of their ends; how many
    samples disagree; which lines are left.
    """
    ends, ways = np.empty((4, most), np.float32), np.empty((2, most), np.float32)
    corners = np.empty((samples, most), np.int32)
    weights = np.empty((2, samples, most), np.float32)
    rows, left = np.empty((4, most), np.int64), np.empty(most, np.int64)
    return ends, ways, corners, weights, rows, np.empty(most, np.int32), left


@compiled
def fill(places: Array, ends: Any, found: Any, lines: Any, count: int, begin: int) -> Any:
    """After the first `count` lines, those from all of a limb's first ends, from number `begin` on,
    to all second ones, while there is room; how many there are now, and the number that is next.

    `ends` are where the limb's cells begin, the limb, and the rows of its first and second ends;
    `found` says which rows are left out.
    """
    (table, _, _, _, rows, _, _), (plane, limb, firsts, seconds) = lines, ends
    one, other = found[0, limb], found[1, limb]
    for number in range(begin, firsts.size):
        first = firsts[number]
        if one[first]:
            continue
        if count + seconds.size > table.shape[1]:
            return count, number
        for second in seconds:
            table[0, count], table[1, count] = places[first, 0], places[first, 1]
            table[2, count], table[3, count] = places[second, 0], places[second, 1]
            rows[0, count], rows[1, count] = plane, limb
            rows[2, count], rows[3, count] = first, second
            count += not other[second]
    return count, firsts.size


@compiled
def aim(lines: Any, count: int, share: Array, size: Any) -> None:
    """Fill in the directions of the first `count` lines, and between which cells their samples lie.

    No branch and one number after the other, arrays that are known apart: made wide.
    """
    (ends, ways, corners, weights, _, _, _), (width, height) = lines, size
    right, low = np.float32(width - 1), np.float32(height - 1)
    last, lowest = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    x0, y0, x1, y1, ex, ey = ends[0], ends[1], ends[2], ends[3], ways[0], ways[1]
    for j in range(count):
        x, y = x1[j] - x0[j], y1[j] - y0[j]
        length = np.sqrt(x * x + y * y)
        ex[j] = x / length
        ey[j] = y / length
    for k in range(share.size):
        u, corner, a, b = share[k], corners[k], weights[0, k], weights[1, k]
        for j in range(count):
            x, a[j] = cell(x0[j] + u * (x1[j] - x0[j]), right, last)
            y, b[j] = cell(y0[j] + u * (y1[j] - y0[j]), low, lowest)
            corner[j] = np.int32(y * np.int32(width) + x)


@compiled
def where_strong(field: Any, plane: int, least: Any) -> Array:
    """Where a sample between four cells may be above the least, which is more than 0: the first of
    them, in which any of the four has an x or y of more than half of it. A sample is no longer than
    the longest of the four, whatever its direction; that has an x or y of 0.7 times the least, and
    rounding is far from the rest.
    """
    (cells, area, (right, below), _), n = field, np.uint64(field[1])
    across, down = cells[plane : plane + area], cells[plane + area : plane + 2 * area]
    here, enough = np.empty(n, np.bool_), least * HALF
    for i in range(n):
        here[i] = (abs(across[i]) > enough) | (abs(down[i]) > enough)
    near, lower = here.copy(), right + below
    for i in range(n - lower):
        near[i] = here[i] | here[i + right] | here[i + below] | here[i + lower]
    return near


@compiled
def hopeful(lines: Any, count: int, strong: Array, limit: Any) -> int:
    """Which of the lines are left, and how many, when not more than so many samples lie where the
    field is weak.
    """
    (_, _, corners, _, _, _, left), (_, bad, samples), some = lines, limit, 0
    for j in range(np.uint64(count)):
        weak = 0
        for k in range(np.uint64(samples)):
            weak += not strong[np.uint64(np.uint32(corners[k, j]))]
        left[some] = j
        some += weak <= bad
    return some


@compiled
def _sample(field: Any, lines: Any, k: Any, j: Any) -> Any:
    """How far the field goes along with the line j at its sample k."""
    (cells, area, steps, _), (_, ways, corners, weights, rows, _, _) = field, lines
    first, a, b = np.uint64(np.uint32(corners[k, j])), weights[0, k, j], weights[1, k, j]
    first += np.uint64(rows[0, j])
    value = between(cells, first, steps, a, b) * ways[0, j]
    return value + between(cells, first + np.uint64(area), steps, a, b) * ways[1, j]


@compiled
def refuse_some(field: Any, limit: Any, lines: Any, count: int) -> int:
    """Which of the `count` lines that are left stay there when not more than so many of these
    samples disagree; how many they are.
    """
    (_, _, _, _, _, _, left), (least, bad, samples), some = lines, limit, 0
    for row in range(count):
        j, missed = np.uint64(left[row]), 0
        for k in range(np.uint64(samples)):
            missed += not _sample(field, lines, k, j) > least
        left[some] = j
        some += missed <= bad
    return some


@compiled
def refuse(field: Any, limit: Any, lines: Any, count: int) -> int:
    """As `refuse_some` of the first `count` lines: all of them, which is wide."""
    (_, _, _, _, _, missed, left), (least, bad, samples), some = lines, limit, 0
    missed[:count] = 0
    for k in range(np.uint64(samples)):
        for j in range(np.uint64(count)):
            missed[j] += np.int32(not _sample(field, lines, k, j) > least)
    for j in range(np.uint64(count)):
        left[some] = j
        some += missed[j] <= bad
    return some


@compiled
def gather(lines: Any, count: int) -> None:
    """Make the lines that are left the first ones."""
    ends, _, _, _, rows, _, left = lines
    for i in range(count):
        j = left[i]
        for k in range(4):
            ends[k, i], rows[k, i] = ends[k, j], rows[k, j]


@compiled
def add_up(field: Any, limit: Any, lines: Any, count: int, total: Array) -> None:
    """Fill in the sums of all samples of the first `count` lines, and how many disagree."""
    (_, _, corners, _, _, missed, _), (least, _, _) = lines, limit
    missed[:count], total[:count] = 0, 0
    for k in range(np.uint64(corners.shape[0])):
        for j in range(np.uint64(count)):
            value = _sample(field, lines, k, j)
            total[j] += value
            missed[j] += np.int32(not value > least)
