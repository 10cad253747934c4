"""Only the cells that a part or a limb can reach are looked at."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.compile import compiled
from sightline.ops.pose_targets import FAINT

Array = np.ndarray[Any, Any]


@compiled
def _window(low: float, high: float, side: int) -> tuple[int, int]:
    """The cells whose centres lie in low … high, as first and end; nothing for what is far off."""
    first = math.ceil(min(max(low, -1.0), side + 1.0) - 0.5)
    end = math.floor(min(max(high, -1.0), side + 1.0) - 0.5) + 1
    return max(first, 0), min(end, side)


@compiled
def _part_maps(people: Array, owner: Array, maps: Array, sigma: float, faint: float) -> None:
    height, width = maps.shape[2:]
    reach = sigma * math.sqrt(-math.log(faint)) + 0.01
    scale = -1.0 / (sigma * sigma)
    down, across = np.empty(height, np.float64), np.empty(width, np.float64)
    for person in range(len(people)):
        for part in range(people.shape[1]):
            x, y, seen = people[person, part]
            if not seen > 0:
                continue
            top, bottom = _window(y - reach, y + reach, height)
            left, right = _window(x - reach, x + reach, width)
            for row in range(top, bottom):
                down[row] = math.exp(scale * (row + 0.5 - y) ** 2)
            for column in range(left, right):
                across[column] = math.exp(scale * (column + 0.5 - x) ** 2)
            for row in range(top, bottom):
                for column in range(left, right):
                    value = np.float32(down[row] * across[column])
                    if value >= faint and value > maps[owner[person], part, row, column]:
                        maps[owner[person], part, row, column] = value


@compiled
def _limb(line: tuple[float, float, float, float], width: float, field: Array, count: Array) -> int:
    """Add one limb's unit vector; the answer is whether it has any cell."""
    x, y, dx, dy = line
    length, cells = math.sqrt(dx * dx + dy * dy), 0
    if not length > 0:
        return 0
    vx, vy = dx / length, dy / length
    top, bottom = _window(min(y, y + dy) - width, max(y, y + dy) + width, field.shape[1])
    left, right = _window(min(x, x + dx) - width, max(x, x + dx) + width, field.shape[2])
    for row in range(top, bottom):
        for column in range(left, right):
            px, py = column + 0.5 - x, row + 0.5 - y
            forth = vx * px + vy * py
            if 0 <= forth <= length and abs(vy * px - vx * py) <= width:
                field[0, row, column] += np.float32(vx)
                field[1, row, column] += np.float32(vy)
                count[row, column] += 1
                cells += 1
    return cells


@compiled
def _fields(people: Array, owner: Array, limbs: Array, fields: Array, width: float) -> None:
    count = np.zeros(fields.shape[3:], np.int32)
    for image in range(len(fields)):
        for limb in range(len(limbs)):
            first, second = limbs[limb]
            people_here = 0
            for person in range(len(people)):
                if owner[person] == image:
                    start, end = people[person, first], people[person, second]
                    if start[2] > 0 and end[2] > 0:
                        line = (start[0], start[1], end[0] - start[0], end[1] - start[1])
                        people_here += _limb(line, width, fields[image, limb], count) > 0
            if people_here > 1:
                for row in range(count.shape[0]):
                    for column in range(count.shape[1]):
                        if count[row, column] > 1:
                            fields[image, limb, 0, row, column] /= count[row, column]
                            fields[image, limb, 1, row, column] /= count[row, column]
            if people_here > 0:
                count[:] = 0


def _arrays(people: Tensor, owner: Tensor, images: int) -> tuple[Array, Array]:
    """Both as arrays. A kernel would otherwise write to memory that is not its own."""
    if people.ndim != 3 or people.shape[2] != 3 or owner.shape != people.shape[:1]:
        raise UsageError(
            f"(N, P, 3) people and the image of each are wanted, not {tuple(people.shape)} and "
            f"{tuple(owner.shape)}",
            code="usage.shape",
        )
    if len(owner) and not 0 <= int(owner.min()) <= int(owner.max()) < images:
        raise UsageError(f"owner names images beyond the {images}", code="usage.shape")
    return people.detach().double().numpy(), owner.long().numpy()


def part_maps(
    people: Tensor, owner: Tensor, images: int, size: tuple[int, int], sigma: float
) -> Tensor:
    """The definition's maps, to 1e-6."""
    points, image = _arrays(people, owner, images)
    maps = np.zeros((images, people.shape[1], *size), np.float32)
    _part_maps(points, image, maps, float(sigma), FAINT)
    return torch.from_numpy(maps)


def affinity_fields(
    people: Tensor,
    owner: Tensor,
    limbs: Tensor,
    images: int,
    size: tuple[int, int],
    width: float,
) -> Tensor:
    """The definition's fields, to 1e-6 where a cell does not lie on a limb's very border."""
    points, image = _arrays(people, owner, images)
    pairs = limbs.long().numpy().reshape(-1, 2)
    if len(pairs) and not 0 <= pairs.min() <= pairs.max() < people.shape[1]:
        raise UsageError(f"a limb ends beyond the {people.shape[1]} parts", code="usage.shape")
    fields = np.zeros((images, len(pairs), 2, *size), np.float32)
    _fields(points, image, pairs, fields, float(width))
    return torch.from_numpy(fields).flatten(1, 2)
