"""Line integrals of all pairs of parts, most of which a few samples refuse.

Many lines are looked at together, those of several limbs and images where there are few: from
every first end to every second one. So few samples that all of them may not disagree are read
first, those in the middle: a line between parts of two people leaves the field there first. Where a
limb's pairs are many, samples that lie where its field is weak are not even read. Of what is left
all samples are read, and added up in the definition's order.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.blocks import copy
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.kernels.cpu.lines import between, cell, groups, middles, sound
from sightline.kernels.cpu.many_lines import (
    add_up,
    aim,
    fill,
    gather,
    hopeful,
    refuse,
    refuse_some,
    tables,
    where_strong,
)
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
def _store() -> Store:
    return np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32)


@compiled
def _room(store: Store, count: int, more: int) -> Store:
    """The store, longer if it has to be, with room for so many more than it holds."""
    if count + more <= store[0].shape[0]:
        return store
    size = 2 * (count + more)
    rows, numbers = np.empty((size, 3), np.int64), np.empty((size, 2), np.float32)
    for i in range(count):
        copy(store[0][i], rows[i])
        copy(store[1][i], numbers[i])
    return rows, numbers


@compiled
def _look(field: Any, strong: Array, rule: Any, u: Any, count: int, out: Any) -> Any:
    """Add to `out` those of the first `count` lines that are limbs. `strong` is where their limb's
    field is, or empty; `out` the store, how many it holds, and where ends that find each other are
    marked.
    """
    (share, middle, lines, total), (limit, usual, most), (store, held, found) = u, rule, out
    (ends, _, _, _, rows, missed, _), bad = lines, limit[1]
    aim(lines, count, middle, field[3])
    if strong.size > 0:
        left = refuse_some(field, limit, lines, hopeful(lines, count, strong, limit))
    else:
        left = refuse(field, limit, lines, count)
    gather(lines, left)
    aim(lines, left, share, field[3])
    add_up(field, limit, lines, left, total)
    store = _room(store, held, left)
    which, numbers = store
    for j in range(left):
        x, y = ends[2, j] - ends[0, j], ends[3, j] - ends[1, j]
        length = np.sqrt(x * x + y * y)
        if not ZERO < length <= most or missed[j] > bad:
            continue
        score = total[j] / np.float32(share.size) + min(usual / length - ONE, ZERO)
        if score > ZERO:
            limb, one, other = rows[1, j], rows[2, j], rows[3, j]
            which[held, 0], which[held, 1], which[held, 2] = limb, one, other
            numbers[held, 0] = score
            numbers[held, 1] = np.float32(share.size - missed[j]) / np.float32(share.size)
            found[0, limb, one] = found[1, limb, other] = True
            held += 1
    return store, held


@compiled
def _round(field: Any, places: Array, parts: Any, rule: Any, u: Any, taken: Array, out: Any) -> Any:
    """Add to `out` the pairs of ends that are limbs; those that are taken are left out."""
    (rows, starts, limbs, images), (store, held, found), lines = parts, out, u[2]
    kinds, count, weak = (starts.size - 1) // images, 0, np.empty(0, np.bool_)
    for number in range(images * limbs.shape[0]):
        image, limb = number // limbs.shape[0], number % limbs.shape[0]
        one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
        firsts, seconds = (
            rows[starts[one] : starts[one + 1]],
            rows[starts[other] : starts[other + 1]],
        )
        if firsts.size == 0 or seconds.size == 0:
            continue
        plane, strong, begin = 2 * field[1] * number, weak, 0
        known = firsts.size * seconds.size >= MANY and rule[0][0] > ZERO
        if known:
            store, held = _look(field, weak, rule, u, count, (store, held, found))
            strong, count = where_strong(field, plane, rule[0][0]), 0
        ends = (plane, limb, firsts, seconds)
        while begin < firsts.size:
            count, begin = fill(places, ends, taken, lines, count, begin)
            if known or begin < firsts.size:
                store, held = _look(field, strong, rule, u, count, (store, held, found))
                count = 0
    return _look(field, weak, rule, u, count, (store, held, found))


@compiled
def _integrals(fields: Array, ends: Any, stride: Any, rule: Any, u: Any) -> tuple[bool, Any]:
    """Whether the ends are sound, and the limbs."""
    (boxes, owner, part, limbs), (order, share), bad = ends, u, rule[2]
    (images, _, height, width), count, store = fields.shape, NONE, _store()
    if not sound(owner, part, boxes, images, limbs):
        return False, _cut(store, count)
    (rows, starts), places = groups(owner, part, images, limbs), middles(boxes, np.float32(stride))
    least, faint = np.float32(rule[0]), np.float32(rule[1])
    usual, most = np.float32(rule[3] * height), np.float32(rule[4] * max(height, width))
    steps = (np.uint64(min(width - 1, 1)), np.uint64(min(height - 1, 1) * width))
    field = (fields.reshape(-1), height * width, steps, (width, height))
    nobody = np.zeros((2, len(limbs), len(places)), np.bool_)
    found, parts = nobody.copy(), (rows, starts, limbs, images)
    middle = share[order[: bad + 1]]
    lines = tables(max(AT_ONCE, len(places)), share.size)
    way = (share, middle, lines, np.empty(lines[6].size, np.float32))
    first = ((least, bad, middle.size), usual, most)
    second = ((faint, bad, middle.size), usual, most)
    out = (store, count, found)
    store, count = _round(field, places, parts, first, way, nobody, out)
    if faint < least:
        out = (store, count, found.copy())
        store, count = _round(field, places, parts, second, way, found, out)
    return True, _by_limb(store, count, owner, (images, len(limbs)))


@compiled
def _by_limb(store: Store, count: int, owner: Array, size: Any) -> tuple[Array, Array, Array]:
    """The limbs and their ends, the scores, and the shares: image by image and limb by limb."""
    (rows, numbers), (images, limbs) = store, size
    free = np.zeros(images * limbs + 1, np.int64)
    for i in range(count):
        free[owner[rows[i, 1]] * limbs + rows[i, 0] + 1] += 1
    for number in range(images * limbs):
        free[number + 1] += free[number]
    ends, scores = np.empty((count, 3), np.int64), np.empty(count, np.float32)
    shares = np.empty(count, np.float32)
    for i in range(count):
        number = owner[rows[i, 1]] * limbs + rows[i, 0]
        at = free[number]
        copy(rows[i], ends[at])
        scores[at], shares[at], free[number] = numbers[i, 0], numbers[i, 1], at + 1
    return ends, scores, shares


@compiled
def _cut(store: Store, count: int) -> tuple[Array, Array, Array]:
    """The limbs and their ends, the scores, and the shares."""
    rows, numbers = store
    return rows[:count].copy(), numbers[:count, 0].copy(), numbers[:count, 1].copy()


@compiled
def _midpoints(maps: Array, ends: Any, stride: Any, threshold: Any) -> tuple[bool, Any]:
    (boxes, owner, part, limbs), (images, _, height, width), count = ends, maps.shape, NONE
    store, least = _store(), np.float32(threshold)
    if not sound(owner, part, boxes, images, limbs):
        return False, _cut(store, count)
    (rows, starts), places = groups(owner, part, images, limbs), middles(boxes, np.float32(stride))
    kinds = (starts.size - 1) // images
    steps = (np.uint64(min(width - 1, 1)), np.uint64(min(height - 1, 1) * width))
    right, low = np.float32(width - 1), np.float32(height - 1)
    last, lowest = np.int32(max(width - 2, 0)), np.int32(max(height - 2, 0))
    for image in range(images):
        for limb in range(limbs.shape[0]):
            plane = maps[image, limb].reshape(-1)
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            seconds = rows[starts[other] : starts[other + 1]]
            for first in rows[starts[one] : starts[one + 1]]:
                store = _room(store, count, seconds.size)
                which, numbers = store
                for second in seconds:
                    x, a = cell((places[first, 0] + places[second, 0]) / TWO, right, last)
                    y, b = cell((places[first, 1] + places[second, 1]) / TWO, low, lowest)
                    score = between(plane, np.uint64(y * width + x), steps, a, b)
                    which[count, 0], which[count, 1], which[count, 2] = limb, first, second
                    numbers[count, 0], numbers[count, 1] = score, ONE
                    count += score > least
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


def _numbers(rule: LineRule) -> tuple[float, float, int, float, float]:
    """The rule as plain numbers, which reach a kernel soonest."""
    long = float(rule.usual), float(rule.longest)
    return float(rule.least), float(rule.faint), rule.bad, *long


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
    numbers, u = _numbers(rule), _samples(rule.samples)
    return _told(_integrals(cells, ends, float(stride), numbers, u), fields, *columns)


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
    numbers = float(stride), float(threshold)
    return _told(_midpoints(cells, ends, *numbers), maps, *columns)
