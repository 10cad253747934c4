"""RoIPool over channels that lie side by side: maxima over four cells of a bin at a time.

Where a gradient will be asked for, the place of each maximum is kept; backward then is one addition
a bin and channel, each thread with channels of its own.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.blocks import copy
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
def _greatest(maps: Array, cells: Array, k: int, best: Array, out: Array) -> None:
    """out = max(best, the values of cells k … k + 3); what is not a number stays.

    Four at once, so that `best` is read and written a quarter as often; from one array into
    another, so that the compiler stores without asking whether to. Places are unsigned: a signed
    one could count from the end, which would have to be looked out for.
    """
    C = np.uintp(out.size)
    p, q = np.uintp(cells[k]) * C, np.uintp(cells[k + 1]) * C
    s, t = np.uintp(cells[k + 2]) * C, np.uintp(cells[k + 3]) * C
    for c in range(C):
        left = np.maximum(maps[p + c], maps[q + c])
        right = np.maximum(maps[s + c], maps[t + c])
        out[c] = np.maximum(np.maximum(left, right), best[c])


@compiled
def _better(value: Any, high: Any) -> Any:
    """Greater, or the first that is not a number."""
    return (not (value <= high)) & (high == high)  # noqa: PLR0124 - not NaN


@compiled
def _greatest_at(
    maps: Array, cells: Array, k: int, best: Array, was: Array, out: Array, place: Array
) -> None:
    """The same, and which cell it was, counted from the image's first one."""
    C, base = np.uintp(out.size), cells[-1]
    p, q = np.uintp(cells[k]) * C, np.uintp(cells[k + 1]) * C
    s, t = np.uintp(cells[k + 2]) * C, np.uintp(cells[k + 3]) * C
    first, second = np.int32(cells[k] - base), np.int32(cells[k + 1] - base)
    third, fourth = np.int32(cells[k + 2] - base), np.int32(cells[k + 3] - base)
    for c in range(C):
        high, cell = best[c], was[c]
        value = maps[p + c]
        better = _better(value, high)
        high, cell = value if better else high, first if better else cell
        value = maps[q + c]
        better = _better(value, high)
        high, cell = value if better else high, second if better else cell
        value = maps[s + c]
        better = _better(value, high)
        high, cell = value if better else high, third if better else cell
        value = maps[t + c]
        better = _better(value, high)
        out[c], place[c] = value if better else high, fourth if better else cell


@compiled
def _cells(base: int, W: int, rows: Array, columns: Array, out: Array) -> int:
    """The cells of a bin in reading order, and how many but the first; the last again and again,
    to a multiple of four, which changes no maximum. The image's first cell is the last entry.
    """
    n = 0
    for y in range(rows[0], rows[1]):
        for x in range(columns[0], columns[1]):
            out[n] = base + y * W + x
            n += 1
    last, most = out[n - 1], n - 1
    for k in range(n, n + 3):
        out[k] = last
    out[-1] = base
    return most


@compiled
def _bin(maps: Array, cells: Array, most: int, best: Array, place: Array, out: Array) -> int:
    """The maxima over the first cell and `most` more go to `out`.

    `best` and `place` are two buffers each, (2, C); the answer is which of `place` holds the cells
    they come from. Without entries in `place`, cells are not asked for.
    """
    C, now = out.size, 0
    start, asked = cells[0] * C, place.size > 0
    a, b = maps[start : start + C], best[0]
    if asked:
        for c in range(C):
            place[0, c] = cells[0] - cells[-1]
    if most == 0:
        copy(a, out)
    for k in range(1, most + 1, 4):
        to = out if k + 4 > most else b
        if asked:
            _greatest_at(maps, cells, k, a, place[now], to, place[1 - now])
            now = 1 - now
        else:
            _greatest(maps, cells, k, a, to)
        a, b = to, best[1] if k % 8 == 1 else best[0]
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
    cells, best = np.empty(H * W + 4, np.int64), np.empty((2, C), np.float32)
    places = np.empty((2, C if place.size else 0), np.int32)
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
                most = _cells(base, W, rows[i], columns[j], cells)
                now = _bin(maps, cells, most, best, places, out[r, i, j])
                if place.size:
                    place[r, i, j] = places[now]


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
