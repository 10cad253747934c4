"""Regions are matched block by block, without a table of all pairs.

The regions of a block lie side by side in the image if they are anchors: objects that do not touch
their hull overlap none of them and are passed over. For the others the loop over the block has no
branch, so that the compiler works on several regions at once. The best overlap of each object in
each block decides afterwards which few blocks are looked at again for the regions that reach it.
Every IoU has the very operations of `boxes.iou`, and maxima know no order: any number of threads
gives the same answer.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share
from sightline.ops import iou_match as definition
from sightline.ops.iou_match import BACKGROUND, IGNORED

BLOCK = 256

TINY = np.finfo(np.float32).tiny
ZERO = np.float32(0)
ALL = np.float32(np.inf)

Array = np.ndarray[Any, Any]


@compiled
def _area(x1: Any, y1: Any, x2: Any, y2: Any) -> Any:
    """`boxes.area`; not a number where a side is not."""
    w, h = x2 - x1, y2 - y1
    return (ZERO if w < ZERO else w) * (ZERO if h < ZERO else h)


@compiled
def _load(regions: Array, start: int, block: Array) -> tuple[int, Any, Any, Any, Any]:
    """A block's corners and areas, each in a row of `block` (5, BLOCK); their number and hull."""
    count = min(BLOCK, len(regions) - start)
    left, top, right, bottom = ALL, ALL, -ALL, -ALL
    for i in range(count):
        x1, y1 = regions[start + i, 0], regions[start + i, 1]
        x2, y2 = regions[start + i, 2], regions[start + i, 3]
        block[0, i], block[1, i], block[2, i], block[3, i] = x1, y1, x2, y2
        block[4, i] = _area(x1, y1, x2, y2)
        left, top = min(left, x1), min(top, y1)
        right, bottom = max(right, x2), max(bottom, y2)
    return count, left, top, right, bottom


@compiled
def _overlaps(block: Array, count: int, box: Array, area: Any, out: Array) -> None:
    """`boxes.iou` of a block's regions with one box."""
    x1, y1, x2, y2, own = block[0], block[1], block[2], block[3], block[4]
    left, top, right, bottom = box[0], box[1], box[2], box[3]
    for i in range(np.uintp(count)):
        w = min(x2[i], right) - max(x1[i], left)
        h = min(y2[i], bottom) - max(y1[i], top)
        shared = (w if w > ZERO else ZERO) * (h if h > ZERO else ZERO)
        union = (own[i] + area) - shared
        value = shared / (union if union > TINY else TINY)
        out[i] = value if union > ZERO else ZERO


@compiled
def _best(
    regions: Array, objects: Array, best: Array, owner: Array, tops: Array, first: int, end: int
) -> None:
    """Best overlap of each region and whose it is, and of each object in each block first … end.

    A region that touches nothing keeps 0 and the first object.
    """
    block, overlap = np.empty((5, BLOCK), np.float32), np.empty(BLOCK, np.float32)
    for number in range(first, end):
        start = number * BLOCK
        count, left, top, right, bottom = _load(regions, start, block)
        high, who = best[start : start + count], owner[start : start + count]
        high[:], who[:] = ZERO, 0
        for n in range(len(objects)):
            b = objects[n]
            tops[number, n] = ZERO
            if not (b[0] < right and b[2] > left and b[1] < bottom and b[3] > top):
                continue
            _overlaps(block, count, b, _area(b[0], b[1], b[2], b[3]), overlap)
            most = ZERO
            for i in range(np.uintp(count)):
                most = max(most, overlap[i])
                better = overlap[i] > high[i]
                who[i] = n if better else who[i]
                high[i] = overlap[i] if better else high[i]
            tops[number, n] = most


@compiled
def _decide(best: Array, owner: Array, positive: Any, negative: Any, out: Array) -> None:
    """The two thresholds."""
    for i in range(best.size):
        answer = owner[i] if best[i] >= positive else IGNORED
        out[i] = BACKGROUND if best[i] < negative else answer


@compiled
def _add_best(regions: Array, objects: Array, owner: Array, tops: Array, out: Array) -> None:
    """The regions that reach an object's best overlap answer too, in the blocks that have some."""
    block, overlap = np.empty((5, BLOCK), np.float32), np.empty(BLOCK, np.float32)
    for n in range(len(objects)):
        b = objects[n]
        top = ZERO
        for number in range(len(tops)):
            top = max(top, tops[number, n])
        for number in range(len(tops)):
            if top == ZERO or tops[number, n] != top:
                continue
            start = number * BLOCK
            count = _load(regions, start, block)[0]
            _overlaps(block, count, b, _area(b[0], b[1], b[2], b[3]), overlap)
            for i in range(count):
                if overlap[i] == top:
                    out[start + i] = owner[start + i]


@compiled
def _covered(regions: Array, crowds: Array, least: Any, out: Array, first: int, end: int) -> None:
    """Regions first … end: `boxes.coverage` above `least` for some crowd."""
    for i in range(first, end):
        x1, y1, x2, y2 = regions[i, 0], regions[i, 1], regions[i, 2], regions[i, 3]
        own, found = _area(x1, y1, x2, y2), False
        for n in range(len(crowds)):
            left, top, right, bottom = crowds[n, 0], crowds[n, 1], crowds[n, 2], crowds[n, 3]
            if np.isnan(_area(left, top, right, bottom)):
                continue
            w = min(x2, right) - max(x1, left)
            h = min(y2, bottom) - max(y1, top)
            shared = (w if w > ZERO else ZERO) * (h if h > ZERO else ZERO)
            value = shared / max(own, TINY) if own > ZERO else ZERO
            found |= value > least
        out[i] = found


def _single(*boxes: Tensor) -> bool:
    return all(one.dtype == torch.float32 for one in boxes)


def _rows(boxes: Tensor) -> Array:
    rows: Array = boxes.detach().contiguous().numpy()
    return rows


def match_by_iou(
    regions: Tensor, objects: Tensor, positive: float, negative: float, best_too: bool
) -> Tensor:
    """The definition's very numbers; other precisions than single are left to it."""
    if len(objects) == 0 or not _single(regions, objects):
        return definition.match_by_iou.reference(regions, objects, positive, negative, best_too)
    rows, goals = _rows(regions), _rows(objects)
    blocks = -(-len(rows) // BLOCK)
    best, owner = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
    tops = np.empty((blocks, len(goals)), np.float32)

    def work(first: int, end: int) -> None:
        _best(rows, goals, best, owner, tops, first, end)

    share(blocks, 16, work)
    answer = np.empty(len(rows), np.int64)
    _decide(best, owner, np.float32(positive), np.float32(negative), answer)
    if best_too:
        _add_best(rows, goals, owner, tops, answer)
    return torch.from_numpy(answer)


def covered(regions: Tensor, crowds: Tensor, least: float) -> Tensor:
    """The definition's very answers; other precisions than single are left to it."""
    if not _single(regions, crowds):
        return definition.covered.reference(regions, crowds, least)
    rows, goals = _rows(regions), _rows(crowds)
    answer, bound = np.empty(len(rows), np.bool_), np.float32(least)
    share(len(rows), 4096, lambda first, end: _covered(rows, goals, bound, answer, first, end))
    return torch.from_numpy(answer)
