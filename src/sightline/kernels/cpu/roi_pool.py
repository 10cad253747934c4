"""RoIPool over channels that lie side by side: maxima along x, then along y.

Where a gradient will be asked for, the place of each maximum is kept; backward then is one addition
a bin and channel, each thread with channels of its own.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share
from sightline.ops import roi_pool as definition
from sightline.ops.checks import require_regions

Array = np.ndarray[Any, Any]


@compiled
def _edges(first: int, last: int, cells: int, out: Array) -> None:
    """`ops.roi_pool.edges`."""
    bins = out.shape[0]
    each = np.float32(max(last - first + 1, 1)) / np.float32(bins)
    for i in range(bins):
        start = int(np.floor(np.float32(i) * each)) + first
        end = int(np.ceil(np.float32(i + 1) * each)) + first
        out[i, 0], out[i, 1] = min(max(start, 0), cells), min(max(end, 0), cells)


@compiled
def _greatest(maps: Array, start: int, best: Array, out: Array) -> None:
    """out = max(best, a cell's values); what is not a number stays.

    From one array into another, so that the compiler stores without asking whether to. The place is
    unsigned: a signed one could count from the end, which would have to be looked out for.
    """
    a = np.uintp(start)
    for c in range(np.uintp(out.size)):
        out[c] = np.maximum(maps[a + c], best[c])


@compiled
def _greatest_at(
    maps: Array, start: int, cell: np.int32, best: Array, was: Array, out: Array, place: Array
) -> None:
    """The same, and which cell it was."""
    a = np.uintp(start)
    for c in range(np.uintp(out.size)):
        value, high = maps[a + c], best[c]
        better = (not (value <= high)) & (high == high)  # noqa: PLR0124 - not NaN
        out[c] = value if better else high
        place[c] = cell if better else was[c]


@compiled
def _bin(
    maps: Array, base: int, W: int, rows: Array, columns: Array, best: Array, place: Array
) -> int:
    """The maxima over some rows and columns (first, one past the last), and their cells.

    `best` and `place` are two buffers each, (2, C); the answer is which of them holds the end.
    Without entries in `place`, cells are not asked for.
    """
    C, now = best.shape[1], 0
    asked = place.size > 0
    start = (base + rows[0] * W + columns[0]) * C
    best[0] = maps[start : start + C]
    if asked:
        place[0] = rows[0] * W + columns[0]
    a, b = best[0], best[1]
    for y in range(rows[0], rows[1]):
        for x in range(columns[0] + (y == rows[0]), columns[1]):
            cell = y * W + x
            if asked:
                was, then = place[now], place[1 - now]
                _greatest_at(maps, (base + cell) * C, np.int32(cell), a, was, b, then)
            else:
                _greatest(maps, (base + cell) * C, a, b)
            a, b, now = b, a, 1 - now
    return now


@compiled
def _forward(
    maps: Array,
    shape: tuple[int, int, int],
    where: tuple[Array, Array],
    out: Array,
    place: Array,
    first: int,
    end: int,
) -> None:
    """Regions first … end of `out` (R, h, w, C) from `maps`, flat (B, H, W, C).

    `place`, as `out`, is −1 for empty bins; it has no entries where nobody will ask.
    """
    H, W, C = shape
    corners, image = where
    h, w = out.shape[1], out.shape[2]
    rows, columns = np.empty((h, 2), np.int64), np.empty((w, 2), np.int64)
    best = np.empty((2, C), np.float32)
    cells = np.empty((2, C if place.size else 0), np.int32)
    for r in range(first, end):
        _edges(corners[r, 1], corners[r, 3], H, rows)
        _edges(corners[r, 0], corners[r, 2], W, columns)
        base = image[r] * H * W
        for i in range(h):
            for j in range(w):
                if rows[i, 0] >= rows[i, 1] or columns[j, 0] >= columns[j, 1]:
                    out[r, i, j] = 0
                    if place.size:
                        place[r, i, j] = -1
                    continue
                now = _bin(maps, base, W, rows[i], columns[j], best, cells)
                out[r, i, j] = best[now]
                if place.size:
                    place[r, i, j] = cells[now]


@compiled
def _backward(
    gradient: Array, cells: int, image: Array, place: Array, out: Array, first: int, end: int
) -> None:
    """Channels first … end of `out`, flat (B, H · W, C)."""
    R, h, w, C = gradient.shape
    for r in range(R):
        base = image[r] * cells
        for i in range(h):
            for j in range(w):
                own, cell = gradient[r, i, j], place[r, i, j]
                for c in range(first, end):
                    if cell[c] >= 0:
                        out[(base + cell[c]) * C + c] += own[c]


class _RoiPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, where: tuple[Array, Array], size: tuple[int, int], wanted: bool
    ) -> Tensor:
        C, H, W = features.shape[1:]
        flat = features.detach().permute(0, 2, 3, 1).contiguous().view(-1).numpy()
        out = features.new_empty(len(where[1]), *size, C)
        rows = out.numpy()
        place = np.empty(rows.shape if wanted else (0, 0, 0, 0), np.int32)

        def work(first: int, end: int) -> None:
            _forward(flat, (H, W, C), where, rows, place, first, end)

        share(len(rows), 8, work)
        ctx.place, ctx.image, ctx.shape = place, where[1], features.shape
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        B, C, H, W = ctx.shape
        answer = outer[0].new_zeros(B, H, W, C)
        gradient = outer[0].permute(0, 2, 3, 1).contiguous().numpy()
        flat, place, image = answer.view(-1).numpy(), ctx.place, ctx.image

        def channels(first: int, end: int) -> None:
            _backward(gradient, H * W, image, place, flat, first, end)

        share(C, 16, channels)
        return answer.permute(0, 3, 1, 2), None, None, None


def roi_pool(
    features: Tensor, boxes: Tensor, image: Tensor, size: tuple[int, int], scale: float
) -> Tensor:
    """The definition's very numbers, channels last in memory.

    Half precisions are read into single first; double is left to the definition.
    """
    require_regions(features, boxes, image, size, scale)
    if features.dtype == torch.float64:
        return definition.roi_pool.reference(features, boxes, image, size, scale)
    corners = definition.whole_cells(boxes.detach(), scale).numpy()
    wanted = torch.is_grad_enabled() and features.requires_grad
    where = (corners, image.long().numpy())
    answer: Tensor = _RoiPool.apply(features.float(), where, size, wanted)
    return answer.to(features.dtype)
