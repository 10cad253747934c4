"""Many lines at once, and which of them a few samples refuse: wide loops, few branches.

The tables of so many lines are made once, by `tables`, and filled again and again.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.lines import between, cell

HALF = np.float32(0.5)

Array = np.ndarray[Any, Any]


@compiled
def tables(most: int, samples: int) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Of up to so many lines: x and y of where they begin and of where they end; of their
    directions; the first of the cells that each sample lies between, and the weights of the next
    ones; how many samples disagree; which lines are left.
    """
    ends, ways = np.empty((4, most), np.float32), np.empty((2, most), np.float32)
    corners = np.empty((samples, most), np.int32)
    weights = np.empty((2, samples, most), np.float32)
    return ends, ways, corners, weights, np.empty(most, np.int32), np.empty(most, np.int64)


@compiled
def aim(lines: Any, count: int, share: Array, size: Any) -> None:
    """Fill in the directions of the first `count` lines, and between which cells their samples lie.

    No branch and one number after the other, arrays that are known apart: made wide.
    """
    (ends, ways, corners, weights, _, _), (width, height) = lines, size
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
def where_strong(planes: Any, steps: Any, least: Any) -> Array:
    """Where a sample between four cells may be above the least, which is more than 0: the first of
    them, in which any of the four has an x or y of more than half of it. A sample is no longer than
    the longest of the four, whatever its direction; that has an x or y of 0.7 times the least, and
    rounding is far from the rest.
    """
    (across, down), (right, below), n = planes, steps, np.uint64(planes[0].size)
    here, enough = np.empty(n, np.bool_), least * HALF
    for i in range(n):
        here[i] = (abs(across[i]) > enough) | (abs(down[i]) > enough)
    near, lower = here.copy(), right + below
    for i in range(n - lower):
        near[i] = here[i] | here[i + right] | here[i + below] | here[i + lower]
    return near


@compiled
def hopeful(lines: Any, count: int, strong: Array, bad: int) -> int:
    """Which of the lines are left, and how many, when not more than so many samples lie where the
    field is weak.
    """
    (_, _, corners, _, _, left), some = lines, 0
    for j in range(np.uint64(count)):
        weak = 0
        for k in range(np.uint64(corners.shape[0])):
            weak += not strong[np.uint64(np.uint32(corners[k, j]))]
        left[some] = j
        some += weak <= bad
    return some


@compiled
def _sample(planes: Any, steps: Any, lines: Any, k: Any, j: Any) -> Any:
    """How far the field goes along with the line j at its sample k."""
    (across, down), (_, ways, corners, weights, _, _) = planes, lines
    first, a, b = np.uint64(np.uint32(corners[k, j])), weights[0, k, j], weights[1, k, j]
    value = between(across, first, steps, a, b) * ways[0, j]
    return value + between(down, first, steps, a, b) * ways[1, j]


@compiled
def refuse_some(planes: Any, steps: Any, limit: Any, lines: Any, count: int) -> int:
    """Which of the `count` lines that are left stay there when not more than so many of these
    samples disagree; how many they are.
    """
    (_, _, corners, _, _, left), (least, bad), some = lines, limit, 0
    for row in range(count):
        j, missed = np.uint64(left[row]), 0
        for k in range(np.uint64(corners.shape[0])):
            missed += not _sample(planes, steps, lines, k, j) > least
        left[some] = j
        some += missed <= bad
    return some


@compiled
def refuse(planes: Any, steps: Any, limit: Any, lines: Any, count: int) -> int:
    """As `refuse_some` of the first `count` lines: all of them, which is wide."""
    (_, _, corners, _, missed, left), (least, bad), some = lines, limit, 0
    missed[:count] = 0
    for k in range(np.uint64(corners.shape[0])):
        for j in range(np.uint64(count)):
            missed[j] += np.int32(not _sample(planes, steps, lines, k, j) > least)
    for j in range(np.uint64(count)):
        left[some] = j
        some += missed[j] <= bad
    return some
