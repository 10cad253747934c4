"""Drawing one picture into another, compiled: see `sightline.ops.warp` for what each one means.

They release the GIL, so that a loader's threads run side by side.
"""

import numpy as np
from numpy import ndarray

from sightline.kernels.cpu.blocks import copy
from sightline.kernels.cpu.compile import compiled, compiled_loosely

__all__ = ["blend", "halve", "paint"]


@compiled
def _span(scale: float, shift: float, count: int, low: int, high: int) -> tuple[int, int]:
    """First and one past the last canvas pixel whose centre falls on `count` picture pixels."""
    a, b = shift, scale * count + shift
    if a > b:
        a, b = b, a
    first, last = int(np.ceil(a - 0.5)), int(np.ceil(b - 0.5))
    return max(first, low), min(last, high)


@compiled
def _tap(place: int, scale: float, shift: float, count: int) -> tuple[int, np.float32]:
    """The first of two neighbours under a canvas pixel's centre, and the second's weight."""
    inside = min(max((place + 0.5 - shift) / scale - 0.5, 0.0), count - 1.0)
    first = int(inside)
    return first, np.float32(inside - first)


@compiled
def _byte(value: np.float32) -> np.uint8:
    """Rounded, and held in 0 … 255."""
    return np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)) + np.float32(0.5))


@compiled_loosely
def _mix_rows(rows: ndarray, y: int, weight: np.float32, low: int, high: int, out: ndarray) -> None:
    """The lerp of rows y and y + 1 between two places; contiguous, so that it vectorises."""
    upper, lower = rows[y], rows[min(y + 1, rows.shape[0] - 1)]
    for i in range(low, high):
        a = np.float32(upper[i])
        out[i] = a + weight * (np.float32(lower[i]) - a)


@compiled_loosely
def _draw_row(
    target: ndarray, left: int, row: ndarray, taps: ndarray, weights: ndarray, colour: ndarray
) -> None:
    """Sample `row` along x, change the colour, and write pixels left, left + 1, …"""
    m = colour
    for i in range(len(taps)):
        p, w = taps[i], weights[i]
        r, g, b = row[p], row[p + 1], row[p + 2]
        r += w * (row[p + 3] - r)
        g += w * (row[p + 4] - g)
        b += w * (row[p + 5] - b)
        x = left + i
        target[x, 0] = _byte(m[0, 0] * r + m[0, 1] * g + m[0, 2] * b + m[0, 3])
        target[x, 1] = _byte(m[1, 0] * r + m[1, 1] * g + m[1, 2] * b + m[1, 3])
        target[x, 2] = _byte(m[2, 0] * r + m[2, 1] * g + m[2, 2] * b + m[2, 3])


@compiled
def paint(
    canvas: ndarray,
    picture: ndarray,
    affine: ndarray,
    clip: ndarray,
    colour: ndarray,
    stencil: ndarray,
) -> None:
    """Rows first (contiguous, vectorised), then two taps along x with the colour in one pass."""
    height, width = picture.shape[0], picture.shape[1]
    left, right = _span(affine[0], affine[1], width, clip[0], clip[2])
    top, bottom = _span(affine[2], affine[3], height, clip[1], clip[3])
    if left >= right or top >= bottom:
        return
    rows = picture.reshape(height, width * 3)
    taps, weights = np.empty(right - left, np.int64), np.empty(right - left, np.float32)
    for i in range(right - left):
        first, weights[i] = _tap(left + i, affine[0], affine[1], width)
        taps[i] = 3 * first
    low = min(taps[0], taps[-1])
    high = min(max(taps[0], taps[-1]) + 6, 3 * width)
    row = np.empty(3 * width + 3, np.float32)
    line = np.empty((canvas.shape[1] if stencil.size else 0, 3), np.uint8)
    for y in range(top, bottom):
        first, weight = _tap(y, affine[2], affine[3], height)
        _mix_rows(rows, first, weight, low, high, row)
        for c in range(3 * width, 3 * width + 3):
            row[c] = row[c - 3]  # the last pixel's right neighbour
        if stencil.size:
            _draw_row(line, left, row, taps, weights, colour)
            for x in range(left, right):
                if stencil[y, x]:
                    copy(line[x], canvas[y, x])
        else:
            _draw_row(canvas[y], left, row, taps, weights, colour)


@compiled
def halve(picture: ndarray) -> ndarray:
    """Means of 2 × 2."""
    height, width = picture.shape[0], picture.shape[1]
    answer = np.empty(((height + 1) // 2, (width + 1) // 2, 3), np.uint8)
    for y in range(answer.shape[0]):
        upper, lower = picture[2 * y], picture[min(2 * y + 1, height - 1)]
        for x in range(answer.shape[1]):
            a, b = 2 * x, min(2 * x + 1, width - 1)
            for c in range(3):
                total = np.uint32(upper[a, c]) + upper[b, c] + lower[a, c] + lower[b, c]
                answer[y, x, c] = (total + 2) >> 2
    return answer


@compiled
def blend(canvas: ndarray, other: ndarray, weight: float) -> None:
    """The mean of two canvases in fixed point, which vectorises."""
    parts = np.uint32(weight * 256 + 0.5)
    rest = np.uint32(256) - parts
    mine, theirs = canvas.reshape(-1), other.reshape(-1)
    for i in range(mine.size):
        mine[i] = np.uint8((mine[i] * parts + theirs[i] * rest + np.uint32(128)) >> np.uint32(8))
