"""What segments look like, counted in compiled passes: see `sightline.ops.appearance`."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.ops.appearance import AXES, COLOUR_BINS, TEXTURE_BINS, TEXTURE_STEP, Segments

Array = np.ndarray[Any, Any]

HALF, PER_STEP = np.float32(np.sqrt(0.5)), np.float32(1 / TEXTURE_STEP)


@compiled
def _bin(strength: Any) -> Any:
    step = np.uint8(min(abs(strength) * PER_STEP, np.float32(TEXTURE_BINS - 1)))
    return step + np.uint8(TEXTURE_BINS) if strength < 0 else step


@compiled
def _texture_bins(across: Array, down: Array, out: Array) -> None:
    channels, height, width = across.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                dx, dy = across[c, y, x], down[c, y, x]
                out[AXES * c, y, x] = _bin(dx)
                out[AXES * c + 1, y, x] = _bin((dx + dy) * HALF)
                out[AXES * c + 2, y, x] = _bin(dy)
                out[AXES * c + 3, y, x] = _bin((dy - dx) * HALF)


def texture_bins(across: Array, down: Array) -> Array:
    """The kernel of `ops.grouping.texture_bins`."""
    out = np.empty((AXES * len(across), *across.shape[1:]), np.uint8)
    _texture_bins(across, down, out)
    return out


@compiled
def _places(labels: Array, size: Array, boxes: Array) -> None:
    height, width = labels.shape
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = width, height, 0, 0
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            size[label] += 1
            box = boxes[label]
            box[0], box[1] = min(box[0], x), min(box[1], y)
            box[2], box[3] = max(box[2], x + 1), max(box[3], y + 1)


@compiled
def _borders(labels: Array, n: int) -> Array:
    """A number for every step from one segment into another, right or down."""
    height, width = labels.shape
    keys, found = np.empty(2 * labels.size, np.int64), 0
    for y in range(height):
        for x in range(width):
            here = labels[y, x]
            if x + 1 < width and labels[y, x + 1] != here:
                there = labels[y, x + 1]
                keys[found] = np.int64(min(here, there)) * n + max(here, there)
                found += 1
            if y + 1 < height and labels[y + 1, x] != here:
                there = labels[y + 1, x]
                keys[found] = np.int64(min(here, there)) * n + max(here, there)
                found += 1
    return keys[:found]


@compiled
def _count(labels: Array, plane: Array, counts: Array, colour: bool) -> None:
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            value = np.int64(plane[y, x])
            counts[labels[y, x], (value * COLOUR_BINS) >> 8 if colour else value] += 1


def count(labels: Array, colours: Array, textures: Array) -> Segments:
    """The kernel of `ops.grouping.count`."""
    n = int(labels.max()) + 1
    size, boxes = np.zeros(n, np.int32), np.empty((n, 4), np.int32)
    _places(labels, size, boxes)
    colour = np.zeros((n, len(colours), COLOUR_BINS), np.int32)
    texture = np.zeros((n, len(textures), 2 * TEXTURE_BINS), np.int32)
    for c, plane in enumerate(colours):
        _count(labels, plane, colour[:, c], True)
    for c, plane in enumerate(textures):
        _count(labels, plane, texture[:, c], False)
    keys = np.unique(_borders(labels, n))
    pairs = np.stack([keys // n, keys % n], axis=1).astype(np.int32)
    return Segments(size, boxes, colour.reshape(n, -1), texture.reshape(n, -1), pairs)
