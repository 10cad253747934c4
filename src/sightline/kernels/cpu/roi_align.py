"""RoIAlign in two passes over channels that lie side by side.

A cell's C values are one run of memory, so every inner loop is a weighted sum of a few such runs,
which the compiler does eight or sixteen at a time. Points of one bin that read the same cell are
merged before anything is read. First each row of the map that is needed is summed along x, into a
ring of rows no longer than the next bin asks for; then the ring is summed along y.

Backward turns the two lists of taps around: for each row that a region reads, the bins' gradients
are summed along y, then for each cell along x, and added to the map. Each thread owns a run of rows
and takes all regions in their order, so the sums are the same on any number of threads.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share, share_evenly
from sightline.ops import roi_align as definition
from sightline.ops.checks import require_regions

Array = np.ndarray[Any, Any]

Taps = tuple[Array, Array, Array]
"""Of each bin: which cells it reads, (bins, most), rising; what each counts; how many they are."""

Where = tuple[Array, Array, Array]
"""Of each region: start and length in cells (x, y, w, h); points a bin (down, across); image."""


@compiled
def _blank(bins: int, most: int) -> Taps:
    return (
        np.empty((bins, most), np.int64),
        np.empty((bins, most), np.float32),
        np.empty(bins, np.int64),
    )


@compiled
def _taps(low: float, length: float, cells: int, each: int, out: Taps) -> None:
    """What every bin reads of one axis: `ops.roi_align.taps`, cells that count nothing left out."""
    place, weight, count = out
    step = length / count.size / each
    for i in range(count.size):
        n = 0
        for k in range(each):
            point = low + (i * each + k + 0.5) * step
            if not (-1.0 <= point <= cells):
                continue
            point = min(max(point, 0.0), cells - 1.0)
            first = min(int(point), max(cells - 2, 0))
            part = point - first
            for side in range(2):
                value = part if side else 1.0 - part
                slot = n  # points rise, so a new cell is the last
                while slot > 0 and place[i, slot - 1] >= first + side:
                    slot -= 1
                if value > 0 and slot < n:
                    weight[i, slot] += np.float32(value / each)
                elif value > 0:
                    place[i, n], weight[i, n] = first + side, np.float32(value / each)
                    n += 1
        count[i] = n


@compiled
def _sum(source: Array, starts: Array, weights: Array, n: int, out: Array, to: int, C: int) -> None:
    """out[to : to + C] = Σ weights[k] · source[starts[k] : starts[k] + C].

    Places are unsigned: a signed one could count from the end, which would have to be looked out
    for.
    """
    o, width = np.uintp(to), np.uintp(C)
    if n == 0:
        for c in range(width):
            out[o + c] = np.float32(0)
        return
    a, u = np.uintp(starts[0]), weights[0]
    if n == 1:
        for c in range(width):
            out[o + c] = u * source[a + c]
        return
    b, v = np.uintp(starts[1]), weights[1]
    if n == 2:
        for c in range(width):
            out[o + c] = u * source[a + c] + v * source[b + c]
        return
    d, w = np.uintp(starts[2]), weights[2]
    if n == 3:
        for c in range(width):
            out[o + c] = u * source[a + c] + v * source[b + c] + w * source[d + c]
        return
    e, x = np.uintp(starts[3]), weights[3]
    for c in range(width):
        out[o + c] = u * source[a + c] + v * source[b + c] + w * source[d + c] + x * source[e + c]
    for k in range(4, n):
        _add(source, starts[k], weights[k], out, to, C)


@compiled
def _add(source: Array, start: int, weight: np.float32, out: Array, to: int, C: int) -> None:
    """out[to : to + C] += weight · source[start : start + C]."""
    a, o = np.uintp(start), np.uintp(to)
    for c in range(np.uintp(C)):
        out[o + c] += weight * source[a + c]


@compiled
def _order(taps: Taps, order: Array) -> None:
    """Which row of the region each tap is; a bin may begin with the last two of the one before."""
    place, _, count = taps
    t, last = -1, -2
    for i in range(count.size):
        for k in range(count[i]):
            cell = place[i, k]
            if cell > last:
                t += 1
                last = cell
            order[i, k] = t - (last - cell)


@compiled
def _forward(
    maps: Array, shape: tuple[int, int, int], where: Where, out: Array, first: int, end: int
) -> None:
    """Regions first … end of `out` (R, h, w, C) from `maps`, flat (B, H, W, C)."""
    H, W, C = shape
    h, w = out.shape[1], out.shape[2]
    spans, samples, image = where
    most = 2 * samples[first:end].max()
    down, across = _blank(h, most), _blank(w, most)
    order, starts = np.empty((h, most), np.int64), np.empty(most, np.int64)
    depth = most + 2
    ring, flat = np.empty(depth * w * C, np.float32), out.reshape(-1)
    for r in range(first, end):
        _taps(spans[r, 1], spans[r, 3], H, samples[r, 0], down)
        _taps(spans[r, 0], spans[r, 2], W, samples[r, 1], across)
        _order(down, order)
        done = -1
        for i in range(h):
            for k in range(down[2][i]):
                if order[i, k] > done:
                    done = order[i, k]
                    row = (image[r] * H + down[0][i, k]) * W
                    for j in range(w):
                        for m in range(across[2][j]):
                            starts[m] = (row + across[0][j, m]) * C
                        to = ((done % depth) * w + j) * C
                        _sum(maps, starts, across[1][j], across[2][j], ring, to, C)
            for j in range(w):
                for k in range(down[2][i]):
                    starts[k] = ((order[i, k] % depth) * w + j) * C
                _sum(ring, starts, down[1][i], down[2][i], flat, ((r * h + i) * w + j) * C, C)


@compiled
def _readers(taps: Taps, cells: Array, readers: Taps) -> int:
    """The other way round: which cells are read at all, rising, by which bins, how much each."""
    place, weight, count = taps
    bins, part, number = readers
    n = 0
    for i in range(count.size):
        for k in range(count[i]):
            slot = n
            while slot > 0 and cells[slot - 1] >= place[i, k]:
                slot -= 1
            if slot == n:
                cells[n], number[n] = place[i, k], 0
                n += 1
            bins[slot, number[slot]], part[slot, number[slot]] = i, weight[i, k]
            number[slot] += 1
    return n


@compiled
def _backward(
    gradient: Array, shape: tuple[int, int, int], where: Where, out: Array, low: int, high: int
) -> None:
    """Rows low … high of `out`, flat (B · H, W, C), from the `gradient` (R, h, w, C)."""
    H, W, C = shape
    R, h, w = gradient.shape[0], gradient.shape[1], gradient.shape[2]
    spans, samples, image = where
    most = 2 * samples.max()
    down, across = _blank(h, most), _blank(w, most)
    rows, row_readers = np.empty(h * most, np.int64), _blank(h * most, h)
    columns, column_readers = np.empty(w * most, np.int64), _blank(w * most, w)
    starts, line = np.empty(max(h, w), np.int64), np.empty(w * C, np.float32)
    cell, flat = np.empty(C, np.float32), gradient.reshape(-1)
    for r in range(R):
        base = image[r] * H
        if not low - H < base < high:
            continue
        _taps(spans[r, 1], spans[r, 3], H, samples[r, 0], down)
        height = _readers(down, rows, row_readers)
        if height == 0 or base + rows[0] >= high or base + rows[height - 1] < low:
            continue
        _taps(spans[r, 0], spans[r, 2], W, samples[r, 1], across)
        width = _readers(across, columns, column_readers)
        for y in range(height):
            if not low <= base + rows[y] < high:
                continue
            who, part, number = row_readers
            for j in range(w):
                for k in range(number[y]):
                    starts[k] = ((r * h + who[y, k]) * w + j) * C
                _sum(flat, starts, part[y], number[y], line, j * C, C)
            who, part, number = column_readers
            for x in range(width):
                for k in range(number[x]):
                    starts[k] = who[x, k] * C
                _sum(line, starts, part[x], number[x], cell, 0, C)
                _add(cell, 0, np.float32(1), out, ((base + rows[y]) * W + columns[x]) * C, C)


def _where(
    boxes: Tensor, image: Tensor, scale: float, size: tuple[int, int], sampling: int, aligned: bool
) -> Where:
    corners = boxes.detach().double().numpy() * scale - (0.5 if aligned else 0.0)
    length = np.maximum(corners[:, 2:] - corners[:, :2], 0.0 if aligned else 1.0)
    samples = np.full((len(corners), 2), sampling, np.int64)
    if sampling == 0:
        samples = np.maximum(np.ceil(length[:, ::-1] / size), 1).astype(np.int64)
    spans = np.ascontiguousarray(np.concatenate([corners[:, :2], length], axis=1))
    return spans, samples, image.long().numpy()


def _load(where: Where, images: int, height: int) -> Array:
    """About how many regions read each row of each map."""
    spans, _, image = where
    steps = np.zeros(images * height + 1, np.int64)
    first = np.clip(spans[:, 1], 0, height - 1).astype(np.int64)
    last = np.clip(spans[:, 1] + spans[:, 3], 0, height - 1).astype(np.int64)
    np.add.at(steps, image * height + first, 1)
    np.add.at(steps, image * height + last + 1, -1)
    return np.cumsum(steps[:-1])


class _RoiAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, where: Where, size: tuple[int, int]) -> Tensor:
        ctx.where, ctx.shape = where, features.shape
        shape = features.shape[2], features.shape[3], features.shape[1]
        # No copy where the channels lie side by side already
        flat = features.detach().permute(0, 2, 3, 1).contiguous().view(-1).numpy()
        out = features.new_empty(len(where[0]), *size, shape[2])
        rows = out.numpy()
        share(len(out), 8, lambda first, end: _forward(flat, shape, where, rows, first, end))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        B, C, H, W = ctx.shape
        answer = outer[0].new_zeros(B, H, W, C)
        gradient = outer[0].permute(0, 2, 3, 1).contiguous().numpy()
        flat, where = answer.view(-1).numpy(), ctx.where

        def rows(low: int, high: int) -> None:
            _backward(gradient, (H, W, C), where, flat, low, high)

        if len(gradient):
            share_evenly(_load(where, B, H), rows)
        return answer.permute(0, 3, 1, 2), None, None


def roi_align(
    features: Tensor,
    boxes: Tensor,
    image: Tensor,
    size: tuple[int, int],
    scale: float,
    sampling: int = 2,
    aligned: bool = False,
) -> Tensor:
    """The definition's answer to a few units in the last place, channels last in memory.

    Half precisions are read into single first; double is left to the definition.
    """
    require_regions(features, boxes, image, size, scale, sampling)
    if features.dtype == torch.float64:
        given = (boxes, image, size, scale, sampling, aligned)
        return definition.roi_align.reference(features, *given)
    where = _where(boxes, image, scale, size, sampling, aligned)
    answer: Tensor = _RoiAlign.apply(features.float(), where, size)
    return answer.to(features.dtype)
