"""RoIPool on a GPU, over channels that lie side by side.

Forward has one program a bin, which walks its cells and keeps the maxima and where they lay.
Backward has one program for a few cells of the map: it looks through its image's regions in their
order, a hundred at a time, and sums the gradients of the bins whose maximum it was. Nobody adds to
another's sum, so the bits are the same at every run, and the host does not wait for the device.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sightline.kernels.cuda.regions import CHUNK, by_image, channel_blocks
from sightline.ops import roi_pool as definition
from sightline.ops.checks import require_regions


@triton.jit
def _edges(
    number: tl.tensor, first: tl.tensor, last: tl.tensor, cells: tl.tensor, count: tl.tensor
) -> tl.tensor:
    """`ops.roi_pool.edges` of bins `number`, in single precision and divided as IEEE has it."""
    each = tl.div_rn(tl.maximum(last - first + 1, 1).to(tl.float32), count.to(tl.float32))
    start = tl.floor(number.to(tl.float32) * each).to(tl.int32) + first
    end = tl.ceil((number + 1).to(tl.float32) * each).to(tl.int32) + first
    return tl.minimum(tl.maximum(start, 0), cells), tl.minimum(tl.maximum(end, 0), cells)


@triton.jit
def _forward(
    maps: tl.tensor,
    made: tl.tuple,
    given: tl.tuple,
    C: tl.tensor,
    shape: tl.tuple,
    KEEP: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """One bin of `made` from `maps` (B, H, W, C), for CHANNELS channels.

    `made` are two (R, h, w, C): the maxima, 0 in empty bins, and, where KEEP, which cell of the
    image each was, −1 in empty bins. `given` are the regions' corners and images, `shape` is
    (H, W, h, w).
    """
    out, place = made
    corners, image = given
    H, W, h, w = shape
    number = tl.program_id(0)
    region, i, j = (number // (h * w)).to(tl.int64), number // w % h, number % w
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = channel < C
    own = corners + region * 4
    top, bottom = _edges(i, tl.load(own + 1), tl.load(own + 3), H, h)
    left, right = _edges(j, tl.load(own), tl.load(own + 2), W, w)
    base = tl.load(image + region) * H * W
    high = tl.zeros([CHANNELS], maps.dtype.element_ty).to(tl.float32)
    cell = tl.full([CHANNELS], -1, tl.int32)
    for y in range(top, bottom):
        for x in range(left, right):
            at = maps + (base + y * W + x) * C + channel
            value = tl.load(at, mask=real, other=0.0).to(tl.float32)
            # Greater, or the first that is not a number
            better = (cell < 0) | (((value <= high) == 0) & (high == high))  # noqa: PLR0124
            high = tl.where(better, value, high)
            cell = tl.where(better, y * W + x, cell)
    to = number.to(tl.int64) * C + channel
    tl.store(out + to, high.to(out.dtype.element_ty), mask=real)
    if KEEP:
        tl.store(place + to, cell, mask=real)


@triton.jit
def _bins(
    at: tl.tensor,
    first: tl.tensor,
    last: tl.tensor,
    cells: tl.tensor,
    count: tl.tensor,
    BINS: tl.constexpr,
) -> tl.tensor:
    """First and end of the bins that hold cell `at` of an axis."""
    number = tl.arange(0, BINS)
    start, end = _edges(number, first, last, cells, count)
    holds = (start <= at) & (at < end) & (number < count)
    return tl.min(tl.where(holds, number, count)), tl.max(tl.where(holds, number + 1, 0))


@triton.jit
def _backward(
    gradient: tl.tensor,
    out: tl.tensor,
    given: tl.tuple,
    C: tl.tensor,
    shape: tl.tuple,
    CHANNELS: tl.constexpr,
    BINS: tl.constexpr,
) -> None:
    """One cell of `out` (B, H, W, C) from the `gradient` (R, h, w, C).

    `given` are the cells of the maxima, the regions' corners and `ByImage`, `shape` is
    (H, W, h, w).
    """
    place, corners, order, starts = given
    H, W, h, w = shape
    number = tl.program_id(0)
    x, y, image = number % W, number // W % H, number // (H * W)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = channel < C
    total = tl.zeros([CHANNELS], tl.float32)
    begin, end = tl.load(starts + image).to(tl.int32), tl.load(starts + image + 1).to(tl.int32)
    for chunk in range(begin, end, CHUNK):
        lane = chunk + tl.arange(0, CHUNK)
        there = lane < end
        own = corners + tl.load(order + lane, mask=there, other=0) * 4
        left, top = tl.load(own, mask=there, other=0), tl.load(own + 1, mask=there, other=0)
        right, bottom = tl.load(own + 2, mask=there, other=0), tl.load(own + 3, mask=there, other=0)
        # Wider by a cell: rounding may lift the last bin's end, and a swapped region has one cell
        hit = there & (left <= x) & (x <= tl.maximum(right, left) + 1)
        hit = hit & (top <= y) & (y <= tl.maximum(bottom, top) + 1)
        following = tl.min(tl.where(hit, lane, end))
        while following < end:
            region = tl.load(order + following)
            its = corners + region * 4
            i0, i1 = _bins(y, tl.load(its + 1), tl.load(its + 3), H, h, BINS)
            j0, j1 = _bins(x, tl.load(its), tl.load(its + 2), W, w, BINS)
            for i in range(i0, i1):
                for j in range(j0, j1):
                    at = ((region * h + i) * w + j) * C + channel
                    won = tl.load(place + at, mask=real, other=-1) == y * W + x
                    total += tl.load(gradient + at, mask=won, other=0.0).to(tl.float32)
            following = tl.min(tl.where(hit & (lane > following), lane, end))
    to = number.to(tl.int64) * C + channel
    tl.store(out + to, total.to(out.dtype.element_ty), mask=real)


class _RoiPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        corners: Tensor,
        image: Tensor,
        size: tuple[int, int],
        wanted: bool,
    ) -> Tensor:
        C, H, W = features.shape[1:]
        out = features.new_empty(len(corners), *size, C)
        place = torch.empty(out.shape if wanted else 0, dtype=torch.int32, device=out.device)
        ctx.where, ctx.place, ctx.shape = (corners, image), place, features.shape
        if out.numel():
            # No copy where the channels lie side by side already
            maps = features.detach().permute(0, 2, 3, 1).contiguous()
            each, blocks = channel_blocks(C)
            with torch.cuda.device_of(out):
                _forward[(len(corners) * size[0] * size[1], blocks)](
                    *(maps, (out, place), (corners, image), C, (H, W, *size)),
                    KEEP=wanted,
                    CHANNELS=each,
                    num_warps=1,
                    enable_fp_fusion=False,
                )
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (B, C, H, W), (corners, image) = ctx.shape, ctx.where
        answer = outer[0].new_empty(B, H, W, C)
        if answer.numel():
            gradient = outer[0].permute(0, 2, 3, 1).contiguous()
            (each, blocks), size = channel_blocks(C), outer[0].shape[2:]
            with torch.cuda.device_of(answer):
                given = (ctx.place, corners, *by_image(image, B))
                _backward[(B * H * W, blocks)](
                    *(gradient, answer, given, C, (H, W, *size)),
                    CHANNELS=each,
                    BINS=int(triton.next_power_of_2(max(size))),
                    num_warps=1,
                    enable_fp_fusion=False,
                )
        return answer.permute(0, 3, 1, 2), None, None, None, None


def roi_pool(
    features: Tensor, boxes: Tensor, image: Tensor, size: tuple[int, int], scale: float
) -> Tensor:
    """The definition's very numbers, channels last in memory; double is left to the definition."""
    require_regions(features, boxes, image, size, scale)
    if features.dtype == torch.float64:
        return definition.roi_pool.reference(features, boxes, image, size, scale)
    corners = definition.whole_cells(boxes.detach(), scale).int().contiguous()
    wanted = torch.is_grad_enabled() and features.requires_grad
    answer: Tensor = _RoiPool.apply(features, corners, image.long().contiguous(), size, wanted)
    return answer
