"""Peaks in one pass over the maps: blocks of cells that are all low are passed over by one test."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.ops.checks import require_maps

__all__ = ["part_peaks"]

BLOCK = 64
"""So many cells are compared at once (which vectorises); few blocks hold anything."""

FLOOR = np.float32(1e-4)
ONE, TWO, HALF, ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)

Array = np.ndarray[Any, Any]


@compiled
def _some(block: Array, threshold: Any) -> bool:
    """Whether any cell of a block is higher; in 32 bits throughout, as wide as the cells."""
    some = np.int32(0)
    for i in range(BLOCK):
        some = np.int32(some | np.int32(block[i] > threshold))
    return bool(some != 0)


@compiled
def _highest(plane: Array, y: int, x: int, reach: int) -> bool:
    """Whether a finite cell is higher than those around it before it, and not lower than those
    after it. Its two neighbours in the row are asked first: most cells are refused by them.
    """
    value, (height, width) = plane[y, x], plane.shape
    if (x > 0 and not value > plane[y, x - 1]) or (x + 1 < width and not value >= plane[y, x + 1]):
        return False
    for v in range(max(y - reach, 0), min(y + reach + 1, height)):
        for u in range(max(x - reach, 0), min(x + reach + 1, width)):
            if v < y or (v == y and u < x):
                if not value > plane[v, u]:
                    return False
            elif not value >= plane[v, u]:
                return False
    return bool(value - value == ZERO)


@compiled
def _summit(low: Any, mid: Any, high: Any) -> Any:
    low, mid, high = (
        np.log(max(low, FLOOR)),
        np.log(max(mid, FLOOR)),
        np.log(max(high, FLOOR)),
    )
    bend = (mid - low) + (mid - high)
    if not bend > ZERO:
        return ZERO
    return min(max((high - low) / (TWO * bend), -HALF), HALF)


@compiled
def _place(plane: Array, y: int, x: int) -> tuple[Any, Any]:
    right = below = ZERO
    if 0 < x < plane.shape[1] - 1:
        right = _summit(plane[y, x - 1], plane[y, x], plane[y, x + 1])
    if 0 < y < plane.shape[0] - 1:
        below = _summit(plane[y - 1, x], plane[y, x], plane[y + 1, x])
    return (np.float32(x) + right) + HALF, (np.float32(y) + below) + HALF


@compiled
def _all(maps: Array, threshold: Any, reach: int, room: int) -> tuple[Array, Array, int]:
    """Rows of (x, y, value) and of (image, map), and how many of them there are; `room` is what is
    reserved for them at first.
    """
    numbers, owners = np.empty((room, 3), np.float32), np.empty((2, room), np.int64)
    cells, count, (_, parts, height, width) = maps.reshape(-1), 0, maps.shape
    for start in range(0, cells.size, BLOCK):
        block = cells[start : start + BLOCK]
        if block.size == BLOCK and not _some(block, threshold):
            continue
        for i in range(start, min(start + BLOCK, cells.size)):
            if not cells[i] > threshold:
                continue
            row, x = divmod(i, width)
            plane, y = divmod(row, height)
            image, part = divmod(plane, parts)
            if not _highest(maps[image, part], y, x, reach):
                continue
            if count == numbers.shape[0]:
                numbers = np.concatenate((numbers, np.empty_like(numbers)))
                owners = np.concatenate((owners, np.empty_like(owners)), 1)
            numbers[count, 0], numbers[count, 1] = _place(maps[image, part], y, x)
            numbers[count, 2] = cells[i]
            owners[0, count], owners[1, count] = image, part
            count += 1
    return numbers, owners, count


def part_peaks(
    maps: Tensor, threshold: float, reach: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The kernel of `ops.peaks.part_peaks`."""
    require_maps(maps, threshold, reach)
    numbers, owners, count = _all(
        maps.detach().float().contiguous().numpy(), np.float32(threshold), reach, 1024
    )
    found, owner = torch.from_numpy(numbers[:count]), torch.from_numpy(owners[:, :count])
    return found[:, :2], found[:, 2], owner[0], owner[1]
