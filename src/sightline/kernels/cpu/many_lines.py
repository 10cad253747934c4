"""Many lines from one place, and which of them a few samples refuse: wide loops, few branches."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.lines import between, cell

FOUR = np.float32(4)

Array = np.ndarray[Any, Any]


@compiled
def aim(start: Any, ends: Any, share: Array, size: Any, lines: Any) -> None:
    """The directions of the lines from one place to all others, and between which cells their
    samples lie. No branch and one number after the other, arrays that are known apart: made wide.
    """
    (x0, y0), (xs, ys), (width, height), n = start, ends, size, ends[0].size
    corners, wide, deep, ex, ey = lines
    right, low = np.float32(width - 1), np.float32(height - 1)
    last, lowest = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    for j in range(n):
        x, y = xs[j] - x0, ys[j] - y0
        length = np.sqrt(x * x + y * y)
        ex[j] = x / length
        ey[j] = y / length
    for k in range(share.size):
        u, corner, a, b = share[k], corners[k], wide[k], deep[k]
        for j in range(n):
            x, a[j] = cell(x0 + u * (xs[j] - x0), right, last)
            y, b[j] = cell(y0 + u * (ys[j] - y0), low, lowest)
            corner[j] = np.int32(y * np.int32(width) + x)


@compiled
def where_strong(planes: Any, steps: Any, least: Any) -> Array:
    """Where a sample between four cells may be above the least: the first of them, in which any of
    the four is a vector of more than half of it. A sample is no longer than the longest of the
    four, whatever its direction, and rounding is far from a factor of two.
    """
    (across, down), (right, below), n = planes, steps, np.uint64(planes[0].size)
    here, enough = np.empty(n, np.bool_), least * least / FOUR
    for i in range(n):
        here[i] = across[i] * across[i] + down[i] * down[i] > enough
    near, lower = here.copy(), right + below
    for i in range(n - lower):
        near[i] = here[i] | here[i + right] | here[i + below] | here[i + lower]
    return near


@compiled
def hopeful(strong: Array, bad: int, corners: Array, left: Array) -> int:
    """Which lines are left when not more than so many samples lie where the field is weak; all of
    them where that is not known.
    """
    count = 0
    if strong.size == 0:
        left[:] = np.arange(left.size)
        return left.size
    for j in range(np.uint64(corners.shape[1])):
        weak = 0
        for k in range(np.uint64(corners.shape[0])):
            weak += not strong[np.uint64(np.uint32(corners[k, j]))]
        left[count] = j
        count += weak <= bad
    return count


@compiled
def refuse(planes: Any, steps: Any, limit: Any, lines: Any, left: Array) -> int:
    """Which of the lines in `left` stay there, at its beginning, when not more than so many of
    these samples disagree; how many they are.
    """
    (across, down), (least, bad), count = planes, limit, 0
    corners, wide, deep, ex, ey = lines
    for j in left:
        missed = 0
        for k in range(np.uint64(corners.shape[0])):
            first, a, b = np.uint64(np.uint32(corners[k, j])), wide[k, j], deep[k, j]
            value = between(across, first, steps, a, b) * ex[j]
            value += between(down, first, steps, a, b) * ey[j]
            missed += not value > least
        left[count] = j
        count += missed <= bad
    return count
