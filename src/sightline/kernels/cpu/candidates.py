"""A few passes over the scores, and no sorting of them.

Above a threshold: whole blocks without any are passed over. The best of each group: three digits of
the last score that is taken are found one after the other, by counting, for all groups at once.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.blocks import longer
from sightline.kernels.cpu.compile import compiled
from sightline.ops import candidates as definition

BLOCK = 256
GROUPS = 1024
"""Up to so many, counts of 11 bits stay small."""

Array = np.ndarray[Any, Any]


@compiled
def _above(scores: Array, threshold: float) -> Array:
    """The places of all finite scores > threshold in a flat array."""
    limit, most = np.float32(threshold), np.finfo(np.float32).max
    places, count = np.empty(4096, np.int64), 0
    whole = scores.size // BLOCK
    for number in range(whole + 1):
        start = number * BLOCK
        block = scores[start : start + BLOCK]
        if number < whole:
            found = np.uint32(0)
            for i in range(np.uint64(BLOCK)):  # no branch and a fixed length: made wide
                found = np.uint32(found + np.uint32(block[i] > limit))
            if found == 0:
                continue
        if count + BLOCK > places.size:
            places = longer(places)
        for i in range(block.size):
            if block[i] > limit and block[i] <= most:
                places[count] = start + i
                count += 1
    return places[:count].copy()


def above(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.candidates.above`."""
    if scores.ndim != 2:
        raise UsageError(f"(R, K) scores are wanted, not {tuple(scores.shape)}", code="usage.shape")
    flat = scores.detach().float().contiguous().view(-1).numpy()
    places = torch.from_numpy(_above(flat, float(threshold)))
    columns = max(scores.shape[1], 1)
    return places // columns, places % columns


@compiled
def _keys(scores: Array) -> Array:
    """Sortable keys, great = good; −0 is 0, and what is not a number stands above all."""
    bits, keys = scores.view(np.uint32), np.empty(scores.size, np.uint32)
    sign = np.uint32(0x80000000)
    for i in range(scores.size):
        word = np.uint32(0) if scores[i] == np.float32(0) else bits[i]
        key = ~word if word & sign else word | sign
        keys[i] = key if scores[i] == scores[i] else np.uint32(0xFFFFFFFF)
    return keys


@compiled
def _best_of_each(keys: Array, groups: Array, count: int, limit: int) -> Array:
    """Marks the `limit` greatest keys of each of `count` groups, of equal ones the first."""
    bound, left = np.zeros(count, np.uint32), np.full(count, limit)
    whole = np.zeros(count, np.bool_)
    for shift, width in ((21, 11), (10, 11), (0, 10)):
        low, high, mask = np.uint32(shift), np.uint32(shift + width), np.uint32((1 << width) - 1)
        found = np.zeros((count, 1 << width), np.int64)
        for i in range(keys.size):
            if shift == 21 or keys[i] >> high == bound[groups[i]] >> high:
                found[groups[i], (keys[i] >> low) & mask] += 1
        for group in range(count):
            digit = (1 << width) - 1
            while digit > 0 and found[group, digit] < left[group]:
                left[group] -= found[group, digit]
                digit -= 1
            if digit == 0 and found[group, 0] < left[group] and shift == 21:
                whole[group] = True
            bound[group] |= np.uint32(digit) << low
    mark = np.zeros(keys.size, np.bool_)
    for i in range(keys.size):
        group = groups[i]
        if keys[i] > bound[group] or whole[group]:
            mark[i] = True
        elif keys[i] == bound[group] and left[group] > 0:
            mark[i] = True
            left[group] -= 1
    return mark


def best_of_each(scores: Tensor, groups: Tensor, limit: int) -> Tensor:
    """The definition's very marks; groups of numbers far apart are left to it."""
    if len(scores) == 0:
        return torch.zeros(0, dtype=torch.bool)
    first, last = (int(x) for x in groups.aminmax())
    if last - first >= GROUPS:
        return definition.best_of_each.reference(scores, groups, limit)
    flat = scores.detach().float().contiguous().numpy()
    own = (groups - first).contiguous().numpy()
    return torch.from_numpy(_best_of_each(_keys(flat), own, last - first + 1, limit))
