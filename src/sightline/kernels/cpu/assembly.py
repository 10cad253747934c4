"""Matching and assembly over flat tables: see `sightline.ops.assembly`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.blocks import copy, falling
from sightline.kernels.cpu.compile import compiled
from sightline.ops.assembly import (
    require_candidates,
    require_ends,
    require_kinds,
    require_values,
)

__all__ = ["assemble", "group", "group_greedily", "match_greedy"]

Array = np.ndarray[Any, Any]


@compiled
def _sound(candidates: Array, rows: int) -> bool:
    """Whether the limbs and the ends of all candidates are there."""
    right = True
    for i in range(len(candidates)):
        right &= candidates[i, 0] >= 0
        right &= 0 <= candidates[i, 1] < rows and 0 <= candidates[i, 2] < rows
    return right


@compiled
def _known(part: Array, parts: int) -> bool:
    """Whether every row is one of so many kinds."""
    right = True
    for i in range(part.size):
        right &= 0 <= part[i] < parts
    return right


def _ends(candidates: Tensor, scores: Tensor, rows: int) -> Array:
    """The candidates, or the definition's errors."""
    require_candidates(candidates, scores)
    ends = array(candidates, np.int64)
    if not _sound(ends, rows):
        require_ends(candidates, rows)
    return ends


@compiled
def _greedy(candidates: Array, order: Array, rows: int) -> Array:
    kept, count, limbs = np.empty(order.size, np.int64), 0, 0
    for i in range(order.size):
        limbs = max(limbs, candidates[i, 0] + 1)
    taken = np.zeros((2, limbs, rows), np.bool_)
    for i in order:
        limb, first, second = candidates[i]
        if not (taken[0, limb, first] or taken[1, limb, second]):
            taken[0, limb, first] = taken[1, limb, second] = True
            kept[count] = i
            count += 1
    return kept[:count]


def match_greedy(candidates: Tensor, scores: Tensor, rows: int) -> Tensor:
    """The kernel of `ops.assembly.match_greedy`."""
    ends = _ends(candidates, scores, rows)
    order = (-array(scores, np.float32)).argsort(kind="stable")
    return torch.from_numpy(_greedy(ends, order, rows))


@compiled
def _clash(table: Array, one: int, other: int) -> bool:
    for kind in range(table.shape[1]):  # noqa: SIM110 - numba knows no generators
        if table[one, kind] >= 0 and table[other, kind] >= 0:
            return True
    return False


@compiled
def _assemble(limbs: Array, scores: Array, part: Array, parts: int) -> tuple[Array, Array]:
    """`table[g]` are the parts of the group whose first row is g; `owner` that group of each."""
    table, owner = np.full((part.size, parts), -1), np.arange(part.size)
    size, total = np.ones(part.size, np.int64), np.zeros(part.size, np.float32)
    for row in range(part.size):
        table[row, part[row]] = row
    for i in range(len(limbs)):
        one, other = owner[limbs[i, 1]], owner[limbs[i, 2]]
        if one == other or _clash(table, one, other):
            continue
        if other < one:
            one, other = other, one
        for kind in range(parts):
            row = table[other, kind]
            if row >= 0:
                table[one, kind] = row
                owner[row] = one
        size[one] += size[other]
    for i in range(len(limbs)):
        if owner[limbs[i, 1]] == owner[limbs[i, 2]]:
            total[owner[limbs[i, 1]]] += scores[i]
    count = 0
    for row in range(part.size):
        if owner[row] == row and size[row] > 1:
            copy(table[row], table[count])
            total[count] = total[row]
            count += 1
    return table[:count], total[:count]


def assemble(limbs: Tensor, scores: Tensor, part: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.assembly.assemble`."""
    ends, kinds = _ends(limbs, scores, len(part)), array(part, np.int64)
    if kinds.ndim != 1 or not _known(kinds, parts):
        require_kinds(part, parts)
    table, total = _assemble(ends, array(scores, np.float32), kinds, parts)
    return torch.from_numpy(table), torch.from_numpy(total)


@compiled
def group(candidates: Array, integrals: Array, values: Array, part: Array, size: Any) -> Any:
    """Whether all ends and kinds are there, and the groups."""
    rows, strength, (parts, kinds) = values.size, np.empty_like(integrals), size
    if not _sound(candidates, rows) or not _known(part, parts):
        return False, (candidates[:0], integrals[:0])
    for i in range(strength.size):
        weaker = min(values[candidates[i, 1]], values[candidates[i, 2]])
        strength[i] = integrals[i] * weaker
    kept = _greedy(candidates, falling(strength), rows)
    limbs, scores = np.empty((kept.size, 3), np.int64), np.empty_like(integrals[: kept.size])
    for i in range(kept.size):
        copy(candidates[kept[i]], limbs[i])
        scores[i] = integrals[kept[i]]
    table, total = _assemble(limbs, scores, part, parts)
    for i in range(total.size):
        total[i] = min(total[i] / np.float32(kinds), np.float32(1))
    return True, (table, total)


def group_greedily(
    candidates: Tensor, integrals: Tensor, values: Tensor, part: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.assembly.group_greedily`."""
    ends, scores = array(candidates, np.int64), array(integrals, np.float32)
    shown, kinds = array(values, np.float32), array(part, np.int64)
    require_candidates(ends, scores)
    require_values(shown, kinds)
    right, (table, total) = group(ends, scores, shown, kinds, size)
    if not right:
        require_ends(candidates, len(values))
        require_kinds(part, size[0])
    return torch.from_numpy(table), torch.from_numpy(total)
