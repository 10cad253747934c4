"""Line integrals of all pairs of parts, each given up as soon as too many samples disagree.

Samples are taken from the middle outwards: a line between parts of two people leaves the field
there first. They are added up in the order of the definition.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.ops.checks import require_limbs
from sightline.ops.limbs import LineRule

__all__ = ["limb_integrals", "limb_midpoints"]

ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

Array = np.ndarray[Any, Any]
Store = tuple[Array, Array]


@compiled
def _groups(image: Array, part: Array, images: int, limbs: Array) -> tuple[Array, Array]:
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
def _cell(place: Any, count: int) -> tuple[int, Any]:
    """The first of the two cells that a place lies between, and the second one's weight."""
    inside = min(max(place - HALF, ZERO), np.float32(count - 1))
    first = min(int(inside), max(count - 2, 0))
    return first, inside - np.float32(first)


@compiled
def _between(plane: Array, corner: int, steps: Any, a: Any, b: Any) -> Any:
    """A plane, row after row, between the cell `corner` and those a step right and below."""
    right, below = steps
    upper = (ONE - a) * plane[corner] + a * plane[corner + right]
    corner += below
    lower = (ONE - a) * plane[corner] + a * plane[corner + right]
    return (ONE - b) * upper + b * lower


@compiled
def _line(field: Any, start: Any, line: Any, length: Any, limit: Any, u: Any, agree: Array) -> int:
    """Fill `agree`; how many are above the least, or −1 as soon as too many are not."""
    (across, down, height, width, steps), (least, bad), (order, share) = field, limit, u
    good, missed = 0, 0
    ex, ey = line[0] / length, line[1] / length
    for step in order:
        x, a = _cell(start[0] + share[step] * line[0], width)
        y, b = _cell(start[1] + share[step] * line[1], height)
        corner = y * width + x
        value = _between(across, corner, steps, a, b) * ex
        value += _between(down, corner, steps, a, b) * ey
        agree[step] = value
        if value > least:
            good += 1
        else:
            missed += 1
            if missed > bad:
                return -1
    return good


@compiled
def _keep(store: Store, count: int, row: Any, score: Any, share: Any) -> Store:
    rows, numbers = store
    if count == rows.shape[0]:
        rows = np.concatenate((rows, np.empty_like(rows)))
        numbers = np.concatenate((numbers, np.empty_like(numbers)))
    rows[count, 0], rows[count, 1], rows[count, 2] = row
    numbers[count, 0], numbers[count, 1] = score, share
    return rows, numbers


@compiled
def _among(field: Any, places: Array, ends: Any, rule: Any, u: Any, free: Array, out: Any) -> Any:
    """Add to `out` the pairs of ends that are a limb; those with a mark in `free` are left out.

    `ends` are the limb and the rows of its first and second ends, `out` the store, how many it
    holds, and where ends that find each other are marked.
    """
    (limb, firsts, seconds), (limit, usual, most), (store, count, found) = ends, rule, out
    agree, samples = np.empty(u[0].size, np.float32), np.float32(u[0].size)
    for first in firsts:
        if free[0, first]:
            continue
        start = (places[first, 0], places[first, 1])
        for second in seconds:
            line = (places[second, 0] - start[0], places[second, 1] - start[1])
            length = np.sqrt(line[0] * line[0] + line[1] * line[1])
            if free[1, second] or not ZERO < length <= most:
                continue
            good = _line(field, start, line, length, limit, u, agree)
            if good < 0:
                continue
            total = ZERO
            for step in range(agree.size):
                total += agree[step]
            score = total / samples + min(usual / length - ONE, ZERO)
            if score > ZERO:
                share = np.float32(good) / samples
                store = _keep(store, count, (limb, first, second), score, share)
                found[0, first] = found[1, second] = True
                count += 1
    return store, count


@compiled
def _integrals(
    fields: Array, places: Array, limbs: Array, groups: Any, rule: Any, u: Any
) -> tuple[Array, Array, int]:
    (rows, starts), (least, faint, bad, usual, most) = groups, rule
    (images, _, height, width), count = fields.shape, 0
    kinds, steps = (starts.size - 1) // images, (min(width - 1, 1), min(height - 1, 1) * width)
    store = (np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32))
    nobody = np.zeros((2, len(places)), np.bool_)
    found, again = nobody.copy(), nobody.copy()
    for image in range(images):
        for limb in range(limbs.shape[0]):
            across = fields[image, 2 * limb].reshape(-1)
            field = (across, fields[image, 2 * limb + 1].reshape(-1), height, width, steps)
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            firsts = rows[starts[one] : starts[one + 1]]
            seconds = rows[starts[other] : starts[other + 1]]
            for row in firsts:
                found[0, row] = False
            for row in seconds:
                found[1, row] = False
            ends = (limb, firsts, seconds)
            out = (store, count, found)
            store, count = _among(field, places, ends, ((least, bad), usual, most), u, nobody, out)
            if faint < least:
                out = (store, count, again)
                store, count = _among(
                    field, places, ends, ((faint, bad), usual, most), u, found, out
                )
    return store[0], store[1], count


@compiled
def _midpoints(
    maps: Array, places: Array, limbs: Array, groups: Any, threshold: Any
) -> tuple[Array, Array, int]:
    (rows, starts), (images, _, height, width), count = groups, maps.shape, 0
    kinds, steps = (starts.size - 1) // images, (min(width - 1, 1), min(height - 1, 1) * width)
    store = (np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32))
    for image in range(images):
        for limb in range(limbs.shape[0]):
            plane = maps[image, limb].reshape(-1)
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            for first in rows[starts[one] : starts[one + 1]]:
                for second in rows[starts[other] : starts[other + 1]]:
                    x, a = _cell((places[first, 0] + places[second, 0]) / TWO, width)
                    y, b = _cell((places[first, 1] + places[second, 1]) / TWO, height)
                    score = _between(plane, y * width + x, steps, a, b)
                    if score > threshold:
                        store = _keep(store, count, (limb, first, second), score, ONE)
                        count += 1
    return store[0], store[1], count


Columns = tuple[Array, Array, Array, Any]


def _columns(maps: Tensor, places: Tensor, image: Tensor, part: Tensor, limbs: Tensor) -> Columns:
    ends = limbs.long().contiguous().numpy()
    owners = (image.long().contiguous().numpy(), part.long().contiguous().numpy())
    groups = _groups(*owners, len(maps), ends)
    numbers = [value.detach().float().contiguous().numpy() for value in (maps, places)]
    return numbers[0], numbers[1], ends, groups


def _candidates(rows: Array, numbers: Array, count: int) -> tuple[Tensor, Tensor, Tensor]:
    values = torch.from_numpy(numbers[:count])
    return torch.from_numpy(rows[:count]), values[:, 0], values[:, 1]


@cache
def _samples(count: int) -> tuple[Array, Array]:
    """The samples' order from the middle outwards, and how far along the line each is."""
    steps = np.arange(count)
    outwards = np.argsort(np.abs(2 * steps + 1 - count), kind="stable")
    return outwards, (steps.astype(np.float32) + HALF) / np.float32(count)


def limb_integrals(
    fields: Tensor, places: Tensor, image: Tensor, part: Tensor, limbs: Tensor, rule: LineRule
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_integrals`."""
    require_limbs(fields, places, image, part, limbs, 2)
    height, width = fields.shape[2:]
    numbers = (
        np.float32(rule.least),
        np.float32(rule.faint),
        rule.bad,
        np.float32(rule.usual * height),
        np.float32(rule.longest * max(height, width)),
    )
    columns = _columns(fields, places, image, part, limbs)
    return _candidates(*_integrals(*columns, numbers, _samples(rule.samples)))


def limb_midpoints(
    maps: Tensor, places: Tensor, image: Tensor, part: Tensor, limbs: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_midpoints`."""
    require_limbs(maps, places, image, part, limbs, 1)
    columns = _columns(maps, places, image, part, limbs)
    return _candidates(*_midpoints(*columns, np.float32(threshold)))
