"""Drawing one picture into another: an axis-aligned map, bilinear samples, a change of colour.

Canvases and pictures are (H, W, 3) uint8; all of these write or return plain NumPy arrays, because
they run in the threads of a loader, before any tensor exists. Pixel i covers [i, i + 1).
"""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from sightline.ops.dispatch import kernel

__all__ = ["blend", "halve", "paint"]


def _footprint(
    affine: Float[ndarray, "4"], size: tuple[int, int], clip: Int[ndarray, "4"]
) -> tuple[int, int, int, int]:
    """The canvas pixels (left, top, right, bottom) whose centres lie in the picture and `clip`."""
    sx, tx, sy, ty = (float(value) for value in affine)
    xs, ys = sorted((tx, sx * size[1] + tx)), sorted((ty, sy * size[0] + ty))
    left, right = (int(np.ceil(x - 0.5)) for x in xs)
    top, bottom = (int(np.ceil(y - 0.5)) for y in ys)
    x1, y1, x2, y2 = (int(value) for value in clip)
    return max(left, x1), max(top, y1), min(right, x2), min(bottom, y2)


def _taps(places: ndarray, count: int) -> tuple[ndarray, ndarray, ndarray]:
    """Both neighbours of continuous `places` among `count` pixels, and the weight of the second."""
    inside = np.clip(places - 0.5, 0, count - 1)
    first = np.minimum(inside.astype(np.int64), count - 1)
    return first, np.minimum(first + 1, count - 1), (inside - first).astype(np.float32)


@kernel
def paint(
    canvas: UInt8[ndarray, "H W 3"],
    picture: UInt8[ndarray, "h w 3"],
    affine: Float[ndarray, "4"],
    clip: Int[ndarray, "4"],
    colour: Float[ndarray, "3 4"],
    stencil: Bool[ndarray, "a b"],
) -> None:
    """Draw `picture` into `canvas`, in place.

    `affine` is (sx, tx, sy, ty): a point x of the picture lands on sx · x + tx; a negative sx
    mirrors. Only pixels inside `clip` (left, top, right, bottom; within the canvas) change whose
    centre falls on the picture, and of these only where `stencil` (H, W) is set; a stencil
    without elements means everywhere. `colour` [M | b] turns each sample c into M c + b.
    Samples are bilinear: shrink by less than 2, from a picture that was halved before.
    """
    sx, tx, sy, ty = (float(value) for value in affine)
    left, top, right, bottom = _footprint(affine, picture.shape[:2], clip)
    if left >= right or top >= bottom:
        return
    x0, x1, wx = _taps((np.arange(left, right) + 0.5 - tx) / sx, picture.shape[1])
    y0, y1, wy = _taps((np.arange(top, bottom) + 0.5 - ty) / sy, picture.shape[0])
    rows = picture.astype(np.float32)
    upper, lower = rows[y0], rows[y1]
    rows = upper + wy[:, None, None] * (lower - upper)
    samples = rows[:, x0] + wx[:, None] * (rows[:, x1] - rows[:, x0])
    samples = samples @ colour[:, :3].T + colour[:, 3]
    values = (np.clip(samples, 0, 255) + 0.5).astype(np.uint8)
    region = canvas[top:bottom, left:right]
    where = stencil[top:bottom, left:right] if stencil.size else np.ones(region.shape[:2], bool)
    region[where] = values[where]


@kernel
def halve(picture: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h2 w2 3"]:
    """Half the size, each pixel the mean of the 2 × 2 under it, halves rounded up.

    Odd sides are continued by their last pixel, so that point x always becomes x / 2.
    """
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    total = even[::2].astype(np.uint16) + even[1::2]
    total = total[:, ::2] + total[:, 1::2]
    answer: ndarray = ((total + 2) >> 2).astype(np.uint8)
    return answer


@kernel
def blend(canvas: UInt8[ndarray, "H W 3"], other: UInt8[ndarray, "H W 3"], weight: float) -> None:
    """canvas ← weight · canvas + (1 − weight) · other, in place, in steps of 1/256."""
    parts = int(weight * 256 + 0.5)
    mixed = canvas.astype(np.int32) * parts + other.astype(np.int32) * (256 - parts)
    canvas[:] = ((mixed + 128) >> 8).astype(np.uint8)
