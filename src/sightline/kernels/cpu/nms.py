"""Greedy suppression in one pass: a radix sort of the scores, a hashed grid over the kept boxes.

Why a grid is exact. Let a kept box a suppress b: IoU > t. Along each axis the overlap is more than
t · max(wa, wb), so wa < wb / t, and the centres lie closer than (wa + wb) / 2 − t · max(wa, wb).
For t ≥ ½ that is at most (1 − t) · wb, below it (1 − t) / (2t) · wb. So it is enough to look at
kept boxes whose centres lie in that window around b; the IoU itself is then computed with the very
operations of `boxes.iou`, in single precision and in the same order. Where the window covers more
cells than a scan over all kept boxes is worth, that scan takes its place.

A hashed grid needs no bounds, so one box far out costs nothing, and takes the group into the hash,
so that class-wise suppression is the same single pass in the order of the scores.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.blocks import falling
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.ops.checks import require_fraction, require_limit, require_rows

SMALL = 48
"""Up to so many rows insertion is faster than a radix sort."""

TINY = np.finfo(np.float32).tiny
ZERO = np.float32(0)
FAR = 2.0**40
"""Cells further away than this share one."""

CELL = 0.5
"""A cell's sides, as a part of the median box's: small enough to pass over most that is near."""

Array = np.ndarray[Any, Any]


@compiled
def _keys(boxes: Array, scores: Array, keys: Array, rows: Array) -> int:
    """Sortable keys (small = good) of the finite rows; the number of them."""
    count = 0
    bits = scores.view(np.uint32)
    for i in range(scores.size):
        b = boxes[i]
        # The exponent of a non-finite number is all ones; x − x is 0 only for finite x.
        check = (b[0] - b[0]) + (b[1] - b[1]) + (b[2] - b[2]) + (b[3] - b[3])
        if check + (scores[i] - scores[i]) == ZERO:
            word = np.uint32(0) if scores[i] == ZERO else bits[i]  # −0 ties with 0
            flipped = word if word >> np.uint32(31) else ~word & np.uint32(0x7FFFFFFF)
            keys[count], rows[count] = flipped, i
            count += 1
    return count


@compiled
def _insertion(keys: Array, rows: Array, count: int) -> None:
    for i in range(1, count):
        key, row, j = keys[i], rows[i], i
        while j > 0 and keys[j - 1] > key:
            keys[j], rows[j] = keys[j - 1], rows[j - 1]
            j -= 1
        keys[j], rows[j] = key, row


@compiled
def _radix(keys: Array, rows: Array, count: int) -> Array:
    """Three stable passes of 11 bits, least significant first."""
    starts = np.zeros((3, 2048), np.int32)
    for i in range(count):
        key = keys[i]
        starts[0, key & np.uint32(2047)] += 1
        starts[1, (key >> np.uint32(11)) & np.uint32(2047)] += 1
        starts[2, key >> np.uint32(22)] += 1
    spare_keys, spare_rows = np.empty(count, np.uint32), np.empty(count, np.int32)
    for digit in range(3):
        shift, start, total = np.uint32(11 * digit), starts[digit], 0
        for value in range(2048):
            size = start[value]
            start[value] = total
            total += size
        for i in range(count):
            value = (keys[i] >> shift) & np.uint32(2047)
            place = start[value]
            start[value] = place + 1
            spare_keys[place], spare_rows[place] = keys[i], rows[i]
        keys, spare_keys = spare_keys, keys
        rows, spare_rows = spare_rows, rows
    return rows


@compiled
def best_first(boxes: Array, scores: Array) -> Array:
    """The finite rows by falling score, equal scores by index."""
    keys, rows = np.empty(scores.size, np.uint32), np.empty(scores.size, np.int32)
    count = _keys(boxes, scores, keys, rows)
    if count <= SMALL:
        _insertion(keys, rows, count)
        return rows[:count]
    return _radix(keys, rows, count)[:count]


@compiled
def _cells_per_pixel(boxes: Array, order: Array) -> tuple[float, float]:
    """Cells per pixel across and down: from the median sides of a few dozen boxes of all ranks."""
    count = min(order.size, 31)
    widths, heights = np.empty(count), np.empty(count)
    for i in range(count):
        b = boxes[order[i * order.size // count]]
        widths[i], heights[i] = np.float64(b[2]) - b[0], np.float64(b[3]) - b[1]
    middle = count - 1 - count // 2
    width, height = widths[falling(widths)[middle]], heights[falling(heights)[middle]]
    return 1 / (CELL * max(width, 1e-6)), 1 / (CELL * max(height, 1e-6))


@compiled
def _cell(value: Any) -> Any:
    return np.int64(np.floor(min(max(value, -FAR), FAR)))


@compiled
def _slot(x: Any, y: Any, group: int, mask: Any) -> Any:
    mixed = x * np.int64(0x9E3779B1) + y * np.int64(0x85EBCA77) + group * np.int64(0xC2B2AE3D)
    return (mixed ^ (mixed >> np.int64(15))) & mask


@compiled
def _overlaps(kept: Array, k: int, box: Any, threshold: float) -> bool:
    """Whether kept box k (x1, y1, x2, y2, area) suppresses `box`: `boxes.iou`, to the bit."""
    w = min(kept[k, 2], box[2]) - max(kept[k, 0], box[0])
    h = min(kept[k, 3], box[3]) - max(kept[k, 1], box[1])
    if w <= ZERO or h <= ZERO:
        return False
    shared = w * h
    union = (kept[k, 4] + box[4]) - shared
    return bool(union > ZERO and shared / max(union, TINY) > threshold)


@compiled
def _chain(
    k: int, following: Array, kept: Array, groups: Array, box: Any, group: int, threshold: float
) -> bool:
    """Whether a kept box of the chain that starts at k suppresses `box`."""
    while k >= 0:
        if groups[k] == group and _overlaps(kept, k, box, threshold):
            return True
        k = following[k]
    return False


@compiled
def _scan(kept: Array, groups: Array, box: Any, group: int, threshold: float) -> bool:
    """Whether any kept box suppresses `box`."""
    for k in range(groups.size):
        if groups[k] == group and _overlaps(kept, k, box, threshold):
            return True
    return False


@compiled
def _suppressed(
    box: Any, group: int, count: int, store: Any, grid: Any, threshold: Any, reach: float
) -> bool:
    """Whether one of the first `count` kept boxes of `store` suppresses `box`."""
    kept, groups, heads, following = store
    across, down, mask = grid
    cx, cy = (np.float64(box[0]) + box[2]) / 2, (np.float64(box[1]) + box[3]) / 2
    dx, dy = reach * (box[2] - box[0]), reach * (box[3] - box[1])
    left, right = _cell((cx - dx) * across), _cell((cx + dx) * across)
    top, bottom = _cell((cy - dy) * down), _cell((cy + dy) * down)
    if np.float64(right - left + 1) * np.float64(bottom - top + 1) > 8 + count / 4:
        return _scan(kept[:count], groups[:count], box, group, threshold)
    hx, hy = _cell(cx * across), _cell(cy * down)  # the likeliest cell first: its own
    k = heads[_slot(hx, hy, group, mask)]
    if _chain(k, following, kept, groups, box, group, threshold):
        return True
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            k = heads[_slot(x, y, group, mask)]
            if (x != hx or y != hy) and _chain(k, following, kept, groups, box, group, threshold):
                return True
    return False


@compiled
def _greedy(boxes: Array, groups: Array, order: Array, threshold: float, limit: int) -> Array:
    """The first `limit` rows of `order` that no better kept row suppresses."""
    most, mask = min(order.size, limit), np.int64(64)
    rows = np.empty(most, np.int64)
    if most == 0:
        return rows
    while mask < 2 * most:
        mask *= 2
    kept, kept_groups = np.empty((most, 5), np.float32), np.empty(most, np.int64)
    heads, following = np.full(mask, -1, np.int32), np.empty(most, np.int32)
    store = (kept, kept_groups, heads, following)
    across, down = _cells_per_pixel(boxes, order)
    grid = (across, down, mask - 1)
    t = max(threshold - 1e-5, 1e-9)  # rounding may lift an IoU by a few 1e-7
    reach = (1 - t) * max(1.0, 0.5 / t) + 1e-5
    count = NONE
    for i in order:
        x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        w, h = max(x2 - x1, ZERO), max(y2 - y1, ZERO)
        box = (x1, y1, x2, y2, w * h)
        real = w > ZERO and h > ZERO  # an empty box overlaps nothing
        if real and _suppressed(box, groups[i], count, store, grid, np.float32(threshold), reach):
            continue
        rows[count], kept_groups[count] = i, groups[i]
        for side in range(5):
            kept[count, side] = box[side]
        if real:
            x = _cell((np.float64(x1) + x2) / 2 * across)
            y = _cell((np.float64(y1) + y2) / 2 * down)
            slot = _slot(x, y, groups[i], mask - 1)
            following[count], heads[slot] = heads[slot], count
        count += 1
        if count == most:
            break
    return rows[:count]


@compiled
def _run(boxes: Array, scores: Array, groups: Array, threshold: float, limit: int) -> Array:
    return _greedy(boxes, groups, best_first(boxes, scores), threshold, limit)


def nms_classwise(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int | None = None
) -> Tensor:
    """The kernel of `ops.nms.nms_classwise`."""
    require_rows(boxes, scores, groups)
    require_fraction("the IoU threshold", threshold)
    require_limit(limit)
    kept = _run(
        boxes.detach().float().contiguous().numpy(),
        scores.detach().float().contiguous().numpy(),
        groups.long().contiguous().numpy(),
        float(threshold),
        len(boxes) if limit is None else limit,
    )
    return torch.from_numpy(kept)


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int | None = None) -> Tensor:
    """The kernel of `ops.nms.nms`."""
    require_rows(boxes, scores)
    one = torch.zeros(len(boxes), dtype=torch.int64)
    return nms_classwise(boxes, scores, one, threshold, limit)
