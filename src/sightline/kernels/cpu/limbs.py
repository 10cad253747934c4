"""Line integrals of all pairs of parts, each given up as soon as too many samples disagree.

Samples are taken from the middle outwards: a line between parts of two people leaves the field
there first. They are added up in the order of the definition.
"""

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
def _between(plane: Array, x: int, y: int, a: Any, b: Any) -> Any:
    right, below = min(x + 1, plane.shape[1] - 1), min(y + 1, plane.shape[0] - 1)
    upper = (ONE - a) * plane[y, x] + a * plane[y, right]
    lower = (ONE - a) * plane[below, x] + a * plane[below, right]
    return (ONE - b) * upper + b * lower


@compiled
def _line(
    field: Array, start: Any, line: Any, length: Any, limit: Any, order: Array, agree: Array
) -> int:
    """Fill `agree`; how many are above the least, or −1 as soon as too many are not."""
    least, bad = limit
    good, missed = 0, 0
    ex, ey = line[0] / length, line[1] / length
    for step in order:
        u = (np.float32(step) + HALF) / np.float32(order.size)
        x, a = _cell(start[0] + u * line[0], field.shape[2])
        y, b = _cell(start[1] + u * line[1], field.shape[1])
        agree[step] = _between(field[0], x, y, a, b) * ex + _between(field[1], x, y, a, b) * ey
        if agree[step] > least:
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
def _integrals(
    fields: Array, places: Array, limbs: Array, groups: Any, rule: Any, order: Array
) -> tuple[Array, Array, int]:
    (rows, starts), (least, bad, usual, most) = groups, rule
    kinds, count = (starts.size - 1) // fields.shape[0], 0
    store = (np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32))
    agree, samples = np.empty(order.size, np.float32), np.float32(order.size)
    for image in range(fields.shape[0]):
        for limb in range(limbs.shape[0]):
            field = fields[image, 2 * limb : 2 * limb + 2]
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            for first in rows[starts[one] : starts[one + 1]]:
                start = (places[first, 0], places[first, 1])
                for second in rows[starts[other] : starts[other + 1]]:
                    line = (places[second, 0] - start[0], places[second, 1] - start[1])
                    length = np.sqrt(line[0] * line[0] + line[1] * line[1])
                    if not ZERO < length <= most:
                        continue
                    good = _line(field, start, line, length, (least, bad), order, agree)
                    if good < 0:
                        continue
                    total = ZERO
                    for step in range(order.size):
                        total += agree[step]
                    score = total / samples + min(usual / length - ONE, ZERO)
                    if score > ZERO:
                        share = np.float32(good) / samples
                        store = _keep(store, count, (limb, first, second), score, share)
                        count += 1
    return store[0], store[1], count


@compiled
def _midpoints(
    maps: Array, places: Array, limbs: Array, groups: Any, threshold: Any
) -> tuple[Array, Array, int]:
    rows, starts = groups
    kinds, count = (starts.size - 1) // maps.shape[0], 0
    store = (np.empty((1024, 3), np.int64), np.empty((1024, 2), np.float32))
    for image in range(maps.shape[0]):
        for limb in range(limbs.shape[0]):
            plane = maps[image, limb]
            one, other = image * kinds + limbs[limb, 0], image * kinds + limbs[limb, 1]
            for first in rows[starts[one] : starts[one + 1]]:
                for second in rows[starts[other] : starts[other + 1]]:
                    x, a = _cell((places[first, 0] + places[second, 0]) / TWO, plane.shape[1])
                    y, b = _cell((places[first, 1] + places[second, 1]) / TWO, plane.shape[0])
                    score = _between(plane, x, y, a, b)
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


def limb_integrals(
    fields: Tensor, places: Tensor, image: Tensor, part: Tensor, limbs: Tensor, rule: LineRule
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_integrals`."""
    require_limbs(fields, places, image, part, limbs, 2)
    height, width = fields.shape[2:]
    numbers = (
        np.float32(rule.least),
        rule.bad,
        np.float32(rule.usual * height),
        np.float32(rule.longest * max(height, width)),
    )
    steps = np.arange(rule.samples)
    outwards = np.argsort(np.abs(2 * steps + 1 - rule.samples), kind="stable")
    return _candidates(
        *_integrals(*_columns(fields, places, image, part, limbs), numbers, outwards)
    )


def limb_midpoints(
    maps: Tensor, places: Tensor, image: Tensor, part: Tensor, limbs: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel of `ops.limbs.limb_midpoints`."""
    require_limbs(maps, places, image, part, limbs, 1)
    columns = _columns(maps, places, image, part, limbs)
    return _candidates(*_midpoints(*columns, np.float32(threshold)))
