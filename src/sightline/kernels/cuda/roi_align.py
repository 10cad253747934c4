"""RoIAlign on a GPU, over channels that lie side by side.

First `taps` writes down what each cell counts in each bin. Forward then has one program a bin,
which sums its cells. Backward has one program for a few cells of the map: it looks through its
image's regions in their order, a hundred at a time, and sums the bins that read it. Nobody adds to
another's sum, so the bits are the same at every run. Neither asks the device for a number, so the
host does not wait.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sightline.kernels.cuda.regions import CHUNK, by_image, channel_blocks, neighbours
from sightline.kernels.cuda.taps import write_taps
from sightline.ops import roi_align as definition
from sightline.ops.checks import require_regions


@triton.jit
def _forward(
    maps: tl.tensor,
    out: tl.tensor,
    given: tl.tuple,
    C: tl.tensor,
    shape: tl.tuple,
    CHANNELS: tl.constexpr,
) -> None:
    """One bin of `out` (R, h, w, C) from `maps` (B, H, W, C), for CHANNELS channels.

    `given` are weights, bins and image of `Taps`, `shape` is (H, W, h, w).
    """
    weights, bins, image = given
    H, W, h, w = shape
    place = tl.program_id(0)
    region, i, j = (place // (h * w)).to(tl.int64), place // w % h, place % w
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    real = channel < C
    down, across = bins + (region * (h + w) + i) * 2, bins + (region * (h + w) + h + j) * 2
    top, bottom, left, right = (
        tl.load(down),
        tl.load(down + 1),
        tl.load(across),
        tl.load(across + 1),
    )
    of_rows = weights + region * (H * h + W * w) + i
    of_columns = weights + region * (H * h + W * w) + H * h + j
    row = tl.load(image + region) * H
    total = tl.zeros([CHANNELS], tl.float32)
    for y in range(top, bottom):
        part = tl.load(of_rows + y * h)
        for x in range(left, right):
            share = part * tl.load(of_columns + x * w)
            if share != 0.0:  # between the points of a wide bin lie cells that count nothing
                at = maps + ((row + y) * W + x) * C + channel
                total += share * tl.load(at, mask=real, other=0.0).to(tl.float32)
    tl.store(out + place.to(tl.int64) * C + channel, total.to(out.dtype.element_ty), mask=real)


@triton.jit
def _add_region(
    total: tl.tensor,
    gradient: tl.tensor,
    taps: tl.tuple,
    region: tl.tensor,
    at: tl.tuple,
    C: tl.tensor,
    shape: tl.tuple,
) -> tl.tensor:
    """`total` (cells, channels) and what one region's bins pass to cells x (cells, 1) of row y.

    `taps` are weights and cells of `Taps`, `at` is (y, x, channel), `shape` is (H, W, h, w).
    """
    weights, cells = taps
    y, x, channel = at
    H, W, h, w = shape
    inside = x < W
    own = cells + region * (H + W) * 2
    top, bottom = tl.load(own + y * 2), tl.load(own + y * 2 + 1)
    left = tl.min(tl.load(own + (H + x) * 2, mask=inside, other=w))
    right = tl.max(tl.load(own + (H + x) * 2 + 1, mask=inside, other=0))
    of_rows = weights + region * (H * h + W * w) + y * h
    of_columns = weights + region * (H * h + W * w) + H * h + x * w
    for i in range(top, bottom):
        part = tl.load(of_rows + i)
        for j in range(left, right):
            share = part * tl.load(of_columns + j, mask=inside, other=0.0)
            theirs = gradient + ((region * h + i) * w + j) * C + channel
            total += share * tl.load(theirs, mask=channel < C, other=0.0).to(tl.float32)
    return total


@triton.jit
def _backward(
    gradient: tl.tensor,
    out: tl.tensor,
    given: tl.tuple,
    C: tl.tensor,
    shape: tl.tuple,
    NEIGHBOURS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """NEIGHBOURS cells of `out` (B, H, W, C) from the `gradient` (R, h, w, C).

    `given` are weights, cells and hull of `Taps` and `ByImage`, `shape` is (H, W, h, w).
    """
    weights, cells, hull, order, starts = given
    H, W = shape[0], shape[1]
    tiles = tl.cdiv(W, NEIGHBOURS)
    row, begin = tl.program_id(0) // tiles, tl.program_id(0) % tiles * NEIGHBOURS
    y, image = row % H, row // H
    x = begin + tl.arange(0, NEIGHBOURS)[:, None]
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    total = tl.zeros([NEIGHBOURS, CHANNELS], tl.float32)
    start, end = tl.load(starts + image).to(tl.int32), tl.load(starts + image + 1).to(tl.int32)
    for chunk in range(start, end, CHUNK):
        lane = chunk + tl.arange(0, CHUNK)
        there = lane < end
        own = hull + tl.load(order + lane, mask=there, other=0) * 4
        hit = there & (tl.load(own, mask=there, other=0) <= y)
        hit = hit & (tl.load(own + 1, mask=there, other=0) > y)
        hit = hit & (tl.load(own + 2, mask=there, other=0) < begin + NEIGHBOURS)
        hit = hit & (tl.load(own + 3, mask=there, other=0) > begin)
        following = tl.min(tl.where(hit, lane, end))
        while following < end:
            region = tl.load(order + following)
            at = (y, x, channel)
            total = _add_region(total, gradient, (weights, cells), region, at, C, shape)
            following = tl.min(tl.where(hit & (lane > following), lane, end))
    to = out + (row.to(tl.int64) * W + x) * C + channel
    tl.store(to, total.to(out.dtype.element_ty), mask=(x < W) & (channel < C))


class _RoiAlign(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        places: Tensor,
        image: Tensor,
        size: tuple[int, int],
        rule: tuple[int, bool],
    ) -> Tensor:
        C, H, W = features.shape[1:]
        out = features.new_empty(len(places), *size, C)
        with torch.cuda.device_of(features):
            taps = write_taps(places, image, features.shape, size, rule)
            ctx.taps, ctx.shape, ctx.size = taps, features.shape, size
            if out.numel():
                # No copy where the channels lie side by side already
                maps = features.detach().permute(0, 2, 3, 1).contiguous()
                each, blocks = channel_blocks(C)
                grid = (len(places) * size[0] * size[1], blocks)
                given = (taps.weights, taps.bins, image)
                _forward[grid](maps, out, given, C, (H, W, *size), CHANNELS=each, num_warps=1)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (B, C, H, W), taps = ctx.shape, ctx.taps
        answer = outer[0].new_empty(B, H, W, C)
        if answer.numel():
            gradient = outer[0].permute(0, 2, 3, 1).contiguous()
            (each, blocks), many = channel_blocks(C), neighbours(B, H, W)
            with torch.cuda.device_of(answer):
                given = (taps.weights, taps.cells, taps.hull, *by_image(taps.image, B))
                _backward[(B * H * -(-W // many), blocks)](
                    *(gradient, answer, given, C, (H, W, *ctx.size)),
                    NEIGHBOURS=many,
                    CHANNELS=each,
                    num_warps=1,
                )
        return answer.permute(0, 3, 1, 2), None, None, None, None


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

    Half precisions are summed in single; double is left to the definition.
    """
    require_regions(features, boxes, image, size, scale, sampling)
    if features.dtype == torch.float64:
        given = (boxes, image, size, scale, sampling, aligned)
        return definition.roi_align.reference(features, *given)
    places = (boxes.detach().double() * scale).contiguous()
    rule = (int(sampling), bool(aligned))
    answer: Tensor = _RoiAlign.apply(features, places, image.long().contiguous(), size, rule)
    return answer
