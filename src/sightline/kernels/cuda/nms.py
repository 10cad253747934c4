"""Greedy suppression on a GPU: all pairs at once into bits, then one program that walks them.

The first kernel writes, for each row in the order of the scores, one bit for every later row:
whether it would suppress that. The IoU is computed with the very operations of `boxes.iou`, in
single precision, in the same order, divided as IEEE has it and never contracted (`_EXACT`), so the
bits are the definition's. A row's own bit says that it is not finite and can not be kept.

The second kernel walks 32 rows at a time. Within a block it decides row by row on 32 words; then
the rows it keeps are joined into the words of all later blocks at once. So the chain of dependent
reads is n / 32 long, whatever is kept, and the host waits once: for the number of rows.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from sightline.ops import nms as definition
from sightline.ops.checks import require_fraction, require_limit, require_rows

ROWS = tl.constexpr(64)
"""Rows a program of the first kernel."""

MOST = 2**17
"""More boxes are left to the definition: their bits would take more than 2 GiB."""

TINY = tl.constexpr(torch.finfo(torch.float32).tiny)
INFINITE = tl.constexpr(float("inf"))

_EXACT = {"enable_fp_fusion": False}
"""No product and sum in one rounding, which the definition's are not."""


@triton.jit
def _corners(boxes: tl.tensor, rows: tl.tensor, real: tl.tensor) -> tl.tensor:
    """x1, y1, x2, y2 of some rows; zeros for those that are not there."""
    return (
        tl.load(boxes + rows * 4, mask=real, other=0.0),
        tl.load(boxes + rows * 4 + 1, mask=real, other=0.0),
        tl.load(boxes + rows * 4 + 2, mask=real, other=0.0),
        tl.load(boxes + rows * 4 + 3, mask=real, other=0.0),
    )


@triton.jit
def _area(x1: tl.tensor, y1: tl.tensor, x2: tl.tensor, y2: tl.tensor) -> tl.tensor:
    return tl.maximum(x2 - x1, 0.0) * tl.maximum(y2 - y1, 0.0)


@triton.jit
def _iou(a: tl.tuple, b: tl.tuple) -> tl.tensor:
    """`boxes.iou` of a (n) and b (m), corners of each: (n, m)."""
    ax1, ay1, ax2, ay2 = a
    bx1, by1, bx2, by2 = b
    left = tl.maximum(ax1[:, None], bx1[None, :])
    top = tl.maximum(ay1[:, None], by1[None, :])
    right = tl.minimum(ax2[:, None], bx2[None, :])
    bottom = tl.minimum(ay2[:, None], by2[None, :])
    shared = _area(left, top, right, bottom)
    union = (_area(ax1, ay1, ax2, ay2)[:, None] + _area(bx1, by1, bx2, by2)[None, :]) - shared
    return tl.where(union > 0.0, tl.div_rn(shared, tl.maximum(union, TINY)), 0.0)


@triton.jit
def _finite(corners: tl.tuple, score: tl.tensor) -> tl.tensor:
    x1, y1, x2, y2 = corners
    finite = (tl.abs(x1) < INFINITE) & (tl.abs(y1) < INFINITE) & (tl.abs(score) < INFINITE)
    return finite & (tl.abs(x2) < INFINITE) & (tl.abs(y2) < INFINITE)


@triton.jit(do_not_specialize=["count", "words"])
def _bits(
    columns: tl.tuple,
    order: tl.tensor,
    bits: tl.tensor,
    count: tl.tensor,
    words: tl.tensor,
    threshold: tl.tensor,
    GROUPED: tl.constexpr,
) -> None:
    """Word w of row r in `bits` (rows, words): which of rows 32 w … 32 w + 31 it suppresses.

    `columns` are boxes, scores and groups; rows are places in `order`. Words that lie before the
    row's own are not written.
    """
    boxes, scores, groups = columns
    first, word = tl.program_id(0) * ROWS, tl.program_id(1)
    if word * 32 + 31 >= first:
        row, victim = first + tl.arange(0, ROWS), word * 32 + tl.arange(0, 32)
        r = tl.load(order + row, mask=row < count, other=0)
        v = tl.load(order + victim, mask=victim < count, other=0)
        corners = _corners(boxes, r, row < count)
        overlap = _iou(corners, _corners(boxes, v, victim < count))
        hit = (overlap > threshold) & (row[:, None] < victim[None, :])
        if GROUPED:
            own = tl.load(groups + r, mask=row < count, other=0)
            theirs = tl.load(groups + v, mask=victim < count, other=0)
            hit = hit & (own[:, None] == theirs[None, :])
        score = tl.load(scores + r, mask=row < count, other=INFINITE)
        out = _finite(corners, score) == 0
        hit = hit | ((row[:, None] == victim[None, :]) & out[:, None])
        value = tl.sum(hit.to(tl.int32) << tl.arange(0, 32)[None, :], axis=1)
        tl.store(bits + row * words + word, value)


@triton.jit
def _either(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    return a | b


@triton.jit(do_not_specialize=["words", "limit"])
def _walk(
    bits: tl.tensor,
    order: tl.tensor,
    kept: tl.tensor,
    words: tl.tensor,
    limit: tl.tensor,
    WORDS: tl.constexpr,
) -> None:
    """`kept`: the number of rows that stay, then those rows, best first.

    No block is begun once `limit` rows stay; the last one may lead a few rows beyond it.
    """
    word, lane = tl.arange(0, WORDS), tl.arange(0, 32)
    suppressed = tl.zeros([WORDS], tl.int32)
    count = tl.full((), 0, tl.int32)
    block = tl.full((), 0, tl.int32)
    while (block < words) & (count < limit):
        start = block * 32
        gone = tl.sum(tl.where(word == block, suppressed, 0))
        taken = tl.full((), 0, tl.int32)
        for i in tl.static_range(32):
            own = tl.load(bits + (start + i) * words + block)
            free = (((gone | own) >> i) & 1) == 0
            gone = tl.where(free, gone | own, gone)
            taken = taken | (free.to(tl.int32) << i)
        stays = (taken >> lane) & 1
        place = 1 + count + tl.cumsum(stays, 0) - stays
        row = tl.load(order + start + lane, mask=stays == 1, other=0)
        tl.store(kept + place, row, mask=stays == 1)
        count += tl.sum(stays)
        later = (word > block) & (word < words)
        at = bits + (start + lane)[:, None] * words + word[None, :]
        theirs = tl.load(at, mask=(stays == 1)[:, None] & later[None, :], other=0)
        suppressed = suppressed | tl.reduce(theirs, 0, _either)
        block += 1
    tl.store(kept, count.to(tl.int64))


def _run(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float, limit: int | None
) -> Tensor:
    count = len(boxes)
    most = count if limit is None else min(limit, count)
    if most == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    boxes = boxes.detach().float().contiguous()
    scores = scores.detach().float() + 0.0  # −0 becomes 0, with which it ties
    order = scores.sort(descending=True, stable=True).indices
    words, blocks = -(-count // 32), -(-count // ROWS.value)
    bits = torch.empty(blocks * ROWS.value, words, dtype=torch.int32, device=boxes.device)
    kept = torch.empty(count + 1, dtype=torch.int64, device=boxes.device)
    columns = (boxes, scores, order if groups is None else groups)
    given, grouped = (columns, order, bits, count, words, float(threshold)), groups is not None
    size = int(max(triton.next_power_of_2(words), 32))
    with torch.cuda.device_of(boxes):
        _bits[(blocks, words)](*given, GROUPED=grouped, **_EXACT)
        _walk[(1,)](bits, order, kept, words, most, WORDS=size, num_warps=min(size // 32, 16))
    return kept[1 : 1 + min(int(kept[0]), most)]


def nms_classwise(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int | None = None
) -> Tensor:
    """The kernel of `ops.nms.nms_classwise`."""
    require_rows(boxes, scores, groups)
    require_fraction("the IoU threshold", threshold)
    require_limit(limit)
    if len(boxes) > MOST:
        return definition.nms_classwise.reference(boxes, scores, groups, threshold, limit)
    return _run(boxes, scores, groups.long().contiguous(), threshold, limit)


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int | None = None) -> Tensor:
    """The kernel of `ops.nms.nms`."""
    require_rows(boxes, scores)
    require_fraction("the IoU threshold", threshold)
    require_limit(limit)
    if len(boxes) > MOST:
        return definition.nms.reference(boxes, scores, threshold, limit)
    return _run(boxes, scores, None, threshold, limit)
