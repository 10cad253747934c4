"""What lines between parts share: the parts of each kind, and maps between their cells."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled

ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

Array = np.ndarray[Any, Any]


@compiled
def groups(image: Array, part: Array, images: int, limbs: Array) -> tuple[Array, Array]:
    """The rows by image and kind, and where those of each begin: `rows[starts[i, k] : …]`."""
    kinds = 1
    for i in range(part.size):
        kinds = max(kinds, part[i] + 1)
    for limb in range(limbs.shape[0]):
        kinds = max(kinds, limbs[limb, 0] + 1, limbs[limb, 1] + 1)
    starts = np.zeros(images * kinds + 1, np.int64)
    for i in range(part.size):
        starts[image[i] * kinds + part[i] + 1] += 1
    for i in range(images * kinds):
        starts[i + 1] += starts[i]
    rows, free = np.empty(part.size, np.int64), starts[:-1].copy()
    for i in range(part.size):
        group = image[i] * kinds + part[i]
        rows[free[group]] = i
        free[group] += 1
    return rows, starts


@compiled
def sound(image: Array, part: Array, boxes: Array, images: int, limbs: Array) -> bool:
    """Whether every box is finite, of an image that is there, and of a kind from 0 on, as are the
    ends of every limb.
    """
    right = True
    for limb in range(limbs.shape[0]):
        right &= limbs[limb, 0] >= 0 and limbs[limb, 1] >= 0
    for i in range(image.size):
        right &= 0 <= image[i] < images and part[i] >= 0
        for side in range(4):
            right &= bool(boxes[i, side] - boxes[i, side] == ZERO)
    return right


@compiled
def middles(boxes: Array, stride: Any) -> Array:
    """Where boxes have their middles, in cells of so many pixels."""
    places, twice = np.empty((len(boxes), 2), np.float32), TWO * stride
    for i in range(len(boxes)):
        for axis in range(2):
            places[i, axis] = (boxes[i, axis] + boxes[i, axis + 2]) / twice
    return places


@compiled
def cell(place: Any, last: Any, most: Any) -> tuple[Any, Any]:
    """The first of the two cells that a place lies between, and the second one's weight.

    `last` is the last cell, and `most` the last that can be the first of two.
    """
    inside = min(max(place - HALF, ZERO), last)
    first = min(np.int32(inside), most)
    return first, inside - np.float32(first)


@compiled
def between(plane: Array, corner: Any, steps: Any, a: Any, b: Any) -> Any:
    """A plane, row after row, between the cell `corner` and those a step right and below.

    Unsigned numbers: of others the compiler thinks that they may count from the end.
    """
    right, below = steps
    upper = (ONE - a) * plane[corner] + a * plane[corner + right]
    corner += below
    lower = (ONE - a) * plane[corner] + a * plane[corner + right]
    return (ONE - b) * upper + b * lower
