"""Matching and assembly over flat tables: see `sightline.ops.assembly`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.ops.assembly import require_candidates

__all__ = ["assemble", "match_greedy"]

Array = np.ndarray[Any, Any]


@compiled
def _greedy(candidates: Array, order: Array, rows: int) -> Array:
    kept = np.zeros(order.size, np.bool_)
    limbs = 0
    for i in range(order.size):
        limbs = max(limbs, candidates[i, 0] + 1)
    taken = np.zeros((2, limbs, rows), np.bool_)
    for i in order:
        limb, first, second = candidates[i]
        if not (taken[0, limb, first] or taken[1, limb, second]):
            taken[0, limb, first] = taken[1, limb, second] = kept[i] = True
    return kept


def match_greedy(candidates: Tensor, scores: Tensor, rows: int) -> Tensor:
    """The kernel of `ops.assembly.match_greedy`."""
    require_candidates(candidates, scores, rows)
    order = np.argsort(-scores.detach().float().numpy(), kind="stable")
    return torch.from_numpy(_greedy(candidates.contiguous().numpy(), order, rows))


@compiled
def _clash(table: Array, one: int, other: int) -> bool:
    for kind in range(table.shape[1]):  # noqa: SIM110 - numba knows no generators
        if table[one, kind] >= 0 and table[other, kind] >= 0:
            return True
    return False


@compiled
def _assemble(limbs: Array, order: Array, part: Array, parts: int) -> Array:
    """`table[g]` are the parts of the group whose first row is g; `owner` that group of each."""
    table, owner = np.full((part.size, parts), -1), np.arange(part.size)
    size = np.ones(part.size, np.int64)
    for row in range(part.size):
        table[row, part[row]] = row
    for i in order:
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
    count = 0
    for row in range(part.size):
        if owner[row] == row and size[row] > 1:
            table[count] = table[row]
            count += 1
    return table[:count]


def assemble(limbs: Tensor, scores: Tensor, part: Tensor, parts: int) -> Tensor:
    """The kernel of `ops.assembly.assemble`."""
    require_candidates(limbs, scores, len(part))
    order = np.argsort(-scores.detach().float().numpy(), kind="stable")
    table = _assemble(limbs.contiguous().numpy(), order, part.contiguous().numpy(), parts)
    return torch.from_numpy(table)
