"""Line integrals of all pairs of parts, most of which a few samples refuse.

All lines of a limb, from every first end to every second one, are aimed at once. So few samples
that all of them may not disagree are read first, those in the middle: a line between parts of two
people leaves the field there first. Where pairs are many, samples that lie where the field is weak
are not even read. What is left is read from the middle outwards, given up as soon as too many
samples disagree, and added up in the definition's order.
"""

from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.blocks import copy
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.kernels.cpu.lines import between, cell, groups, middles, sound
from sightline.kernels.cpu.many_lines import aim, hopeful, refuse, refuse_some, tables, where_strong
from sightline.ops.checks import require_limb_shapes, require_limb_values
from sightline.ops.limbs import LineRule

__all__ = ["limb_integrals", "limb_midpoints"]

ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

AT_ONCE = 512
"""So many lines are looked at together, or all from one place if those are more."""

MANY = 600
"""From so many pairs of a limb's ends on it pays to know where its field is weak."""

Array = np.ndarray[Any, Any]
Store = tuple[Array, Array]


@compiled
def _line(field: Any, start: Any, line: Any, length: Any, limit: Any, u: Any, agree: Array) -> int:
    """Fill `agree`; how many are above the least, or −1 as soon as too many are not."""
    (across, down, steps, (width, height)), (least, bad), (order, share) = field, limit, u
    right, low = np.float32(width - 1), np.float32(height - 1)
    last, lowest = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    ex, ey, good, missed = line[0] / length, line[1] / length, 0, 0
    for step in order:
        x, a = cell(start[0] + share[step] * line[0], right, last)
        y, b = cell(start[1] + share[step] * line[1], low, lowest)
        first = np.uint64(y * np.int32(width) + x)
        value = between(across, first, steps, a, b) * ex
        value += between(down, first, steps, a, b) * ey
        agree[step] = value
        if value > least:
            good += 1
        else:
            missed += 1
            if missed > bad:
                return -1
    return good


@compiled
def _store() -> Store:
    return np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32)


@compiled
def _keep(store: Store, count: int, row: Any, score: Any, share: Any) -> Store:
    rows, numbers = store
    if count == rows.shape[0]:
        more, others = np.empty((2 * count, 3), np.int64), np.empty((2 * count, 2), np.float32)
        for i in range(count):
            copy(rows[i], more[i])
            copy(numbers[i], others[i])
        rows, numbers = more, others
    rows[count, 0], rows[count, 1], rows[count, 2] = row
    numbers[count, 0], numbers[count, 1] = score, share
    return rows, numbers


@compiled
def _pairs(places: Array, firsts: Array, seconds: Array, lines: Any) -> int:
    """Fill in where the lines from all of the first to all of the second begin and end."""
    ends, count = lines[0], 0
    for first in firsts:
        for second in seconds:
            ends[0, count], ends[1, count] = places[first, 0], places[first, 1]
            ends[2, count], ends[3, count] = places[second, 0], places[second, 1]
            count += 1
    return count


@compiled
def _free(rows: Array, taken: Array) -> Array:
    """Those rows that are not taken."""
    free, count = np.empty(rows.size, np.int64), 0
    for row in rows:
        free[count] = row
        count += not taken[row]
    return free[:count]


@compiled
def _among(field: Any, places: Array, ends: Any, rule: Any, u: Any, taken: Array, out: Any) -> Any:
    """Add to `out` the pairs of ends that are a limb; those that are taken are left out.

    `ends` are the limb and the rows of its first and second ends, `out` the store, how many it
    holds, and where ends that find each other are marked.
    """
    (limb, firsts, seconds), (limit, usual, most), (store, count, found) = ends, rule, out
    (across, down, steps, size), (order, share, ahead, lines, agree) = field, u
    firsts, seconds = _free(firsts, taken[0]), _free(seconds, taken[1])
    if firsts.size == 0 or seconds.size == 0:
        return store, count
    samples, planes, corners = np.float32(order.size), (across, down), lines[2]
    known = firsts.size * seconds.size >= MANY and limit[0] > ZERO
    strong = where_strong(planes, steps, limit[0]) if known else np.empty(0, np.bool_)
    step = max(corners.shape[1] // seconds.size, 1)
    for begin in range(0, firsts.size, step):
        some = _pairs(places, firsts[begin : begin + step], seconds, lines)
        aim(lines, some, ahead, size)
        if known:
            some = hopeful(lines, some, strong, limit[1])
            some = refuse_some(planes, steps, limit, lines, some)
        else:
            some = refuse(planes, steps, limit, lines, some)
        for j in lines[5][:some]:
            first, second = firsts[begin + j // seconds.size], seconds[j % seconds.size]
            start = (places[first, 0], places[first, 1])
            line = (places[second, 0] - start[0], places[second, 1] - start[1])
            length = np.sqrt(line[0] * line[0] + line[1] * line[1])
            if not ZERO < length <= most:
                continue
            good = _line(field, start, line, length, limit, (order, share), agree)
            if good < 0:
                continue
            total = ZERO
            for value in agree:
                total += value
            score = total / samples + min(usual / length - ONE, ZERO)
            if score > ZERO:
                share_ = np.float32(good) / samples
                store = _keep(store, count, (limb, first, second), score, share_)
                found[0, first] = found[1, second] = True
                count += 1
    return store, count


@compiled
def _integrals(fields: Array, ends: Any, stride: Any, rule: Any, u: Any) -> tuple[bool, Any]:
    """Whether the ends are sound, and the limbs."""
    (boxes, owner, part, limbs), (least, faint, bad, usual, most), (order, share) = ends, rule, u
    (images, _, height, width), count, store = fields.shape, NONE, _store()
    if not sound(owner, part, boxes, images, limbs):
        return False, _cut(store, count)
    (rows, starts), places = groups(owner, part, images, limbs), middles(boxes, stride)
    kinds, size = (starts.size - 1) // images, (width, height)
    steps = (np.uint64(min(width - 1, 1)), np.uint64(min(height - 1, 1) * width))
    nobody = np.zeros((2, len(places)), np.bool_)
    found, again = nobody.copy(), nobody.copy()
    lines = tables(max(AT_ONCE, len(places)), min(bad + 1, order.size))
    way = (order, share, share[order[: bad + 1]], lines, np.empty(order.size, np.float32))
    for image in range(images):
        for limb in range(limbs.shape[0]):
            across = fields[image, 2 * limb].reshape(-1)
            field = (across, fields[image, 2 * limb + 1].reshape(-1), steps, size)
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            firsts = rows[starts[one] : starts[one + 1]]
            seconds = rows[starts[other] : starts[other + 1]]
            for row in firsts:
                found[0, row] = False
            for row in seconds:
                found[1, row] = False
            pair, out = (limb, firsts, seconds), (store, count, found)
            store, count = _among(
                field, places, pair, ((least, bad), usual, most), way, nobody, out
            )
            if faint < least:
                out = (store, count, again)
                second = ((faint, bad), usual, most)
                store, count = _among(field, places, pair, second, way, found, out)
    return True, _cut(store, count)


@compiled
def _cut(store: Store, count: int) -> tuple[Array, Array, Array]:
    """The limbs and their ends, the scores, and the shares."""
    rows, numbers = store
    return rows[:count].copy(), numbers[:count, 0].copy(), numbers[:count, 1].copy()


@compiled
def _midpoints(maps: Array, ends: Any, stride: Any, threshold: Any) -> tuple[bool, Any]:
    (boxes, owner, part, limbs), (images, _, height, width), count = ends, maps.shape, NONE
    store = _store()
    if not sound(owner, part, boxes, images, limbs):
        return False, _cut(store, count)
    (rows, starts), places = groups(owner, part, images, limbs), middles(boxes, stride)
    kinds = (starts.size - 1) // images
    steps = (np.uint64(min(width - 1, 1)), np.uint64(min(height - 1, 1) * width))
    right, low = np.float32(width - 1), np.float32(height - 1)
    last, lowest = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    for image in range(images):
        for limb in range(limbs.shape[0]):
            plane = maps[image, limb].reshape(-1)
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            for first in rows[starts[one] : starts[one + 1]]:
                for second in rows[starts[other] : starts[other + 1]]:
                    x, a = cell((places[first, 0] + places[second, 0]) / TWO, right, last)
                    y, b = cell((places[first, 1] + places[second, 1]) / TWO, low, lowest)
                    score = between(plane, np.uint64(y * width + x), steps, a, b)
                    if score > threshold:
                        store = _keep(store, count, (limb, first, second), score, ONE)
                        count += 1
    return True, _cut(store, count)


def _ends(*columns: Tensor) -> tuple[Array, Array, Array, Array]:
    """Boxes, images and kinds of the parts, and the limbs' kinds."""
    boxes, owner, part, limbs = columns
    kinds = array(part, np.int64), array(limbs, np.int64)
    return array(boxes, np.float32), array(owner, np.int64), *kinds


def _told(found: tuple[bool, Any], maps: Tensor, *columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The answer, or the definition's errors."""
    sound_, (rows, scores, shares) = found
    if not sound_:
        require_limb_values(maps, *columns)
    return torch.from_numpy(rows), torch.from_numpy(scores), torch.from_numpy(shares)


@cache
def _samples(count: int) -> tuple[Array, Array]:
    """The samples' order from the middle outwards, and how far along the line each is."""
    steps = np.arange(count)
    outwards = np.argsort(np.abs(2 * steps + 1 - count), kind="stable")
    return outwards, (steps.astype(np.float32) + HALF) / np.float32(count)


@lru_cache(64)
def _numbers(rule: LineRule, height: int, width: int) -> tuple[Any, ...]:
    """The rule as numbers in cells."""
    least, faint = np.float32(rule.least), np.float32(rule.faint)
    most = np.float32(rule.longest * max(height, width))
    return least, faint, rule.bad, np.float32(rule.usual * height), most


def limb_integrals(
    fields: Tensor,
    boxes: Tensor,
    image: Tensor,
    part: Tensor,
    limbs: Tensor,
    rule: LineRule,
    stride: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_integrals`."""
    columns = (boxes, image, part, limbs)
    cells, ends = array(fields, np.float32), _ends(*columns)
    require_limb_shapes(cells, *ends, 2)
    numbers, u = _numbers(rule, *cells.shape[2:]), _samples(rule.samples)
    return _told(_integrals(cells, ends, np.float32(stride), numbers, u), fields, *columns)


def limb_midpoints(
    maps: Tensor,
    boxes: Tensor,
    image: Tensor,
    part: Tensor,
    limbs: Tensor,
    threshold: float,
    stride: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_midpoints`."""
    columns = (boxes, image, part, limbs)
    cells, ends = array(maps, np.float32), _ends(*columns)
    require_limb_shapes(cells, *ends, 1)
    numbers = np.float32(stride), np.float32(threshold)
    return _told(_midpoints(cells, ends, *numbers), maps, *columns)
