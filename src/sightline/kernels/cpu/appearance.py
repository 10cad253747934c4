"""What segments look like, counted in compiled passes: see `sightline.ops.appearance`."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.ops.appearance import AXES, COLOUR_BINS, TEXTURE_BINS, TEXTURE_STEP, Segments

Array = np.ndarray[Any, Any]

HALF = np.float32(np.sqrt(0.5))


@compiled
def _bin(strength: Any, per_step: Any) -> Any:
    step = np.uint8(min(abs(strength) * per_step, np.float32(TEXTURE_BINS - 1)))
    return step + np.uint8(TEXTURE_BINS) if strength < 0 else step


@compiled
def _texture_bins(across: Array, down: Array, out: Array, per_step: Any) -> None:
    channels, height, width = across.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                dx, dy = across[c, y, x], down[c, y, x]
                out[AXES * c, y, x] = _bin(dx, per_step)
                out[AXES * c + 1, y, x] = _bin((dx + dy) * HALF, per_step)
                out[AXES * c + 2, y, x] = _bin(dy, per_step)
                out[AXES * c + 3, y, x] = _bin((dy - dx) * HALF, per_step)


def texture_bins(across: Array, down: Array) -> Array:
    """The kernel of `ops.grouping.texture_bins`."""
    out = np.empty((AXES * len(across), *across.shape[1:]), np.uint8)
    _texture_bins(across, down, out, np.float32(1 / TEXTURE_STEP))
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
def _count(labels: Array, planes: Array, counts: Array, shades: bool) -> None:
    """Pixel by pixel, all planes of one at once: neighbours rarely wait for each other's sums."""
    bins = counts.shape[1] // planes.shape[0]
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            row = counts[labels[y, x]]
            for c in range(planes.shape[0]):
                value = np.int64(planes[c, y, x])
                row[c * bins + ((value * COLOUR_BINS) >> 8 if shades else value)] += 1


def count(labels: Array, colours: Array, textures: Array) -> Segments:
    """The kernel of `ops.grouping.count`."""
    n = int(labels.max()) + 1
    size, boxes = np.zeros(n, np.int32), np.empty((n, 4), np.int32)
    _places(labels, size, boxes)
    colour = np.zeros((n, len(colours) * COLOUR_BINS), np.int32)
    texture = np.zeros((n, len(textures) * 2 * TEXTURE_BINS), np.int32)
    _count(labels, colours, colour, True)
    _count(labels, textures, texture, False)
    keys = np.unique(_borders(labels, n))
    pairs = np.stack([keys // n, keys % n], axis=1).astype(np.int32)
    return Segments(size, boxes, colour, texture, pairs)
