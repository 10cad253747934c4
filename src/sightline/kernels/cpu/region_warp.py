"""Warping regions to squares: see `sightline.ops.region_warp` for what is computed.

Source rows are mixed into one contiguous row of floats (which vectorises), of which each warped
pixel takes its few. The answer's channels lie side by side in memory, as the networks want them.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share
from sightline.ops.checks import require_regions
from sightline.ops.region_warp import grown

__all__ = ["region_warp"]


@compiled
def _taps(low: float, high: float, weights: np.ndarray, first: np.ndarray, end: np.ndarray) -> None:
    """Fill `weights` (size, count), which is 0 outside of first … end of each row, anew."""
    size, count = weights.shape
    step = (high - low) / size
    each = max(1, math.ceil(abs(step)))
    last = max(count - 2, 0)
    for i in range(size):
        weights[i, first[i] : end[i]] = 0
        first[i], end[i] = count, 0
        for k in range(i * each, (i + 1) * each):
            point = low + (k + 0.5) * (step / each)
            if point >= 0 and point < count:
                place = min(max(point - 0.5, 0.0), count - 1.0)
                cell = min(int(place), last)
                weight = place - cell
                weights[i, cell] += np.float32((1 - weight) / each)
                if cell + 1 < count:
                    weights[i, cell + 1] += np.float32(weight / each)
                first[i] = min(first[i], cell)
                end[i] = max(end[i], min(cell + 2, count))
        first[i] = min(first[i], end[i])


@compiled
def _add(row: np.ndarray, source: np.ndarray, weight: np.float32) -> None:
    for i in range(row.size):
        row[i] += weight * source[i]


@compiled
def _warp(images: np.ndarray, boxes: np.ndarray, owner: np.ndarray, out: np.ndarray) -> None:
    """`out` (R, S, S, C) from planar images (B, C, H, W)."""
    size, channels = out.shape[1], out.shape[3]
    height, width = images.shape[2:]
    down, along = np.zeros((size, height), np.float32), np.zeros((size, width), np.float32)
    top, bottom = np.zeros(size, np.int64), np.zeros(size, np.int64)
    left, right = np.zeros(size, np.int64), np.zeros(size, np.int64)
    row = np.empty(width, np.float32)
    for r in range(len(boxes)):
        _taps(boxes[r, 0], boxes[r, 2], along, left, right)
        _taps(boxes[r, 1], boxes[r, 3], down, top, bottom)
        low, high = width, 0
        for x in range(size):
            if left[x] < right[x]:
                low, high = min(low, left[x]), max(high, right[x])
        for y in range(size):
            for c in range(channels):
                row[low:high] = 0
                plane = images[owner[r], c]
                for source in range(top[y], bottom[y]):
                    _add(row[low:high], plane[source, low:high], down[y, source])
                for x in range(size):
                    value = np.float32(0)
                    for k in range(left[x], right[x]):
                        value += along[x, k] * row[k]
                    out[r, y, x, c] = value


def region_warp(images: Tensor, boxes: Tensor, image: Tensor, size: int, context: int) -> Tensor:
    """The definition's answer, to a few units in the last place."""
    around = grown(boxes, size, context)
    require_regions(images, around, image, (size, size), 1.0)
    planes = images.detach().float().contiguous().numpy()
    corners, owner = around.detach().double().contiguous().numpy(), image.contiguous().numpy()
    answer = torch.empty(len(boxes), size, size, images.shape[1])
    out = answer.numpy()
    share(len(boxes), 4, lambda a, b: _warp(planes, corners[a:b], owner[a:b], out[a:b]))
    return answer.permute(0, 3, 1, 2).to(images.dtype)
