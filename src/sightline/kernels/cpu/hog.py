"""Cells and blocks in one pass: no image of gradients, angles or votes is ever written.

Rows of pixels are worked on whole, so that eight lie in a register. No angle is computed: with
gradients turned into the upper half plane, (a, b) points at θ or beyond exactly if
b cos θ − a sin θ ≥ 0. So the votes at 20°, 40°, … *or beyond* are summed, each by one comparison,
and a bin is the difference of two such sums. A cell row is kept until the next one is there, and
the two are a row of blocks.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.blocks import copy
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.kernels.cpu.threads import share
from sightline.ops.hog import CELL, LENGTH, ORIENTATIONS, require_image

Array = np.ndarray[Any, Any]

ZERO, ONE = np.float32(0), np.float32(1)
CLIP, TINY = np.float32(0.2), np.float32(1e-10)

ANGLES = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
COSINES, SINES = np.cos(ANGLES).astype(np.float32), np.sin(ANGLES).astype(np.float32)

LEAST = 8
"""Rows of blocks that are worth a thread: each thread computes one cell row twice."""


@compiled
def _differences(image: Array, c: int, y: int, spare: Array) -> None:
    """A channel's gradients along row y into `spare` (across, down, length²)."""
    row, across, down, square = image[c, y], spare[0], spare[1], spare[2]
    count, last = across.size, row.size - 1
    if 0 < y < image.shape[1] - 1:
        above, below = image[c, y - 1], image[c, y + 1]
        for x in range(count):
            down[x] = below[x] - above[x]
    else:
        down[:] = ZERO
    for x in range(1, min(count, last)):
        across[x] = row[x + 1] - row[x - 1]
    across[0] = ZERO
    if count > last:
        across[last] = ZERO
    for x in range(count):
        square[x] = across[x] * across[x] + down[x] * down[x]


@compiled
def _longest(spare: Array, field: Array) -> None:
    """Put gradients into `field`, like `spare`, where they are longer than those there."""
    for x in range(field.shape[1]):
        better = spare[2, x] > field[2, x]
        field[0, x] = spare[0, x] if better else field[0, x]
        field[1, x] = spare[1, x] if better else field[1, x]
        field[2, x] = spare[2, x] if better else field[2, x]


@compiled
def _vote(field: Array, votes: Array) -> None:
    """Add each pixel's length to `votes` (9, W) of its orientation *and all before it*."""
    across, down, length, first = field[0], field[1], field[2], votes[0]
    for x in range(length.size):
        a, b = across[x], down[x]
        under = b < ZERO or (b == ZERO and a < ZERO)
        across[x] = -a if under else a
        down[x] = -b if under else b
        length[x] = np.sqrt(length[x])
        first[x] += length[x]
    for k in range(1, ORIENTATIONS):
        beyond, cosine, sine = votes[k], COSINES[k], SINES[k]
        for x in range(length.size):
            reached = down[x] * cosine - across[x] * sine >= ZERO
            beyond[x] += length[x] if reached else ZERO


@compiled
def _cells(image: Array, row: int, scratch: Array, cells: Array, energy: Array) -> None:
    """Histograms (9, w) of cell row `row`, and the sum of squares of each."""
    field, spare, votes = scratch[:3], scratch[3:6], scratch[6:]
    votes[:] = ZERO
    for y in range(CELL * row, CELL * (row + 1)):
        _differences(image, NONE, y, field)
        for c in range(1, image.shape[0]):
            _differences(image, c, y, spare)
            _longest(spare, field)
        _vote(field, votes)
    energy[:] = ZERO
    share = np.float32(1 / CELL**2)
    for k in range(ORIENTATIONS - 1, -1, -1):
        for x in range(energy.size):
            total = ZERO
            for i in range(CELL * x, CELL * (x + 1)):
                total += votes[k, i]
            cells[k, x] = total * share
    for k in range(ORIENTATIONS - 1):
        for x in range(energy.size):
            cells[k, x] = max(cells[k, x] - cells[k + 1, x], ZERO)
    for k in range(ORIENTATIONS):
        for x in range(energy.size):
            energy[x] += cells[k, x] * cells[k, x]


@compiled
def _blocks(cells: Array, energy: Array, row: int, out: Array, factor: Array) -> None:
    """Normalised blocks of two cell rows (2, 9, w) into row `row` of `out` (36, h, w − 1)."""
    count = out.shape[2]
    first, second = factor[0, :count], factor[1, :count]
    for x in range(count):
        total = (energy[0, x] + energy[0, x + 1]) + (energy[1, x] + energy[1, x + 1])
        first[x] = ONE / np.sqrt(total + TINY)
        second[x] = TINY
    for corner in range(4):
        for k in range(ORIENTATIONS):
            source, target = cells[corner // 2, k], out[corner * ORIENTATIONS + k, row]
            shift = corner % 2
            for x in range(count):
                value = min(source[x + shift] * first[x], CLIP)
                target[x] = value
                second[x] += value * value
    for x in range(count):
        second[x] = ONE / np.sqrt(second[x])
    for c in range(LENGTH):
        target = out[c, row]
        for x in range(count):
            target[x] *= second[x]


@compiled
def _rows(image: Array, out: Array, start: int, end: int) -> None:
    """Block rows `start` … `end` of an image."""
    width = out.shape[2] + 1
    scratch = np.empty((6 + ORIENTATIONS, CELL * width), np.float32)
    cells, energy = np.empty((2, ORIENTATIONS, width), np.float32), np.empty((2, width), np.float32)
    factor = np.empty((2, width), np.float32)
    _cells(image, start, scratch, cells[1], energy[1])
    for row in range(start, end):
        for k in range(ORIENTATIONS):
            copy(cells[1, k], cells[0, k])
        copy(energy[1], energy[0])
        _cells(image, row + 1, scratch, cells[1], energy[1])
        _blocks(cells, energy, row, out, factor)


def hog(image: Tensor) -> Tensor:
    """The kernel of `ops.hog.hog`."""
    require_image(image)
    height, width = (max(side // CELL - 1, 0) for side in image.shape[1:])
    blocks = torch.empty(LENGTH, height, width)
    if height and width:
        pixels, out = image.detach().float().contiguous().numpy(), blocks.numpy()
        share(height, LEAST, lambda start, end: _rows(pixels, out, start, end))
    return blocks
