"""Masks: polygons and run lengths to pixels, and back, by COCO's rules.

A mask is an (H, W) boolean array; `Runs` hold it as COCO's RLE does: run lengths down the columns,
first of zeros. COCO writes them as a list of numbers or as text, six bits a character.
Run lengths in row order (other tools) cannot be told from these; their area gives them away.

Polygons are rasterised as COCO's own evaluator does it, to the pixel (`fill_ring`).
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from sightline import bitmaps
from sightline.data.records import Polygons, Runs, Segment
from sightline.errors import AnnotationError
from sightline.ops.dispatch import kernel
from sightline.types import Size

LATTICE = 5
"""Corners are snapped to fifths of a pixel before anything else."""

TEXT_LIMIT = 13
"""Characters that one number of a text RLE may take: 13 × 5 bits hold every int64."""

ANEW = "encode the mask anew, for the image as it is"


@kernel
def fill_ring(ring: Float[ndarray, "V 2"], size: Size) -> Bool[ndarray, "H W"]:
    """The pixels inside one closed ring, by the even-odd rule, as COCO rasterises it.

    Corners are snapped to a lattice of fifths of a pixel and joined by lattice lines. Where the
    outline passes a column's centre (between lattice columns 5x + 2 and 5x + 3), the column's
    pixels from there downwards change sides; the row is that of the upper of the two lattice
    points, rounded to the first pixel centre at or below it. So the outline's own pixels belong
    to the mask on its upper and left sides. `size` is (height, width); what lies outside is cut.
    """
    height, width = size
    x, y = _outline(ring)
    low = np.minimum(x[1:], x[:-1])
    crossing = (x[1:] != x[:-1]) & (low % LATTICE == LATTICE // 2)
    crossing &= (low >= 0) & (low < LATTICE * width)
    columns = low[crossing] // LATTICE
    upper = np.minimum(y[1:], y[:-1])[crossing]
    rows = np.ceil((upper + 0.5) / LATTICE - 0.5).clip(0, height).astype(np.int64)
    changes = np.zeros((height + 1, width), np.int64)
    np.add.at(changes, (rows, columns), 1)
    return np.asarray(np.cumsum(changes[:-1], axis=0) % 2 == 1)


def _outline(ring: Float[ndarray, "V 2"]) -> tuple[Int[ndarray, "n"], Int[ndarray, "n"]]:
    """The lattice points along a closed ring.

    An edge takes one step a lattice column or row, whichever it spans more of; the other
    coordinate is rounded. It is computed from its lower end, whatever way the ring turns.
    """
    corners = np.trunc(LATTICE * ring + 0.5).astype(np.int64)
    xs, ys = [corners[:1, 0]], [corners[:1, 1]]
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = int(abs(end[0] - start[0]) < abs(end[1] - start[1]))
        backwards = start[along] > end[along]
        first, last = (end, start) if backwards else (start, end)
        steps = np.arange(last[along] - first[along] + 1)
        slope = (last[1 - along] - first[1 - along]) / max(len(steps) - 1, 1)
        points = [first[along] + steps, np.trunc(first[1 - along] + slope * steps + 0.5)]
        if along:
            points.reverse()
        way = slice(None, None, -1) if backwards else slice(None)
        xs.append(points[0][way].astype(np.int64))
        ys.append(points[1][way].astype(np.int64))
    return np.concatenate(xs), np.concatenate(ys)


def rasterise(segment: Segment, size: Size) -> Bool[ndarray, "H W"]:
    """The mask of a segment on an image of `size`; several rings are united."""
    if isinstance(segment, Runs):
        return decode(segment)
    mask = np.zeros(size, bool)
    for ring in segment.rings:
        mask |= fill_ring(np.ascontiguousarray(ring, np.float64), size)
    return mask


def encode(mask: Bool[ndarray, "H W"]) -> Runs:
    """The run lengths of a mask."""
    size = mask.shape[0], mask.shape[1]
    return Runs(bitmaps.run_lengths(bitmaps.Window(0, 0, np.asarray(mask, bool)), size), size)


def decode(runs: Runs) -> Bool[ndarray, "H W"]:
    """The mask of run lengths."""
    ones = np.arange(len(runs.counts)) % 2 == 1
    height, width = runs.size
    return np.repeat(ones, runs.counts).reshape(width, height).T


def to_text(runs: Runs) -> str:
    """Run lengths as COCO's text (`bitmaps.to_text`)."""
    return bitmaps.to_text(runs.counts)


def from_text(text: str | bytes, size: Size) -> Runs:
    """The run lengths of COCO's text for a mask of `size`.

    AnnotationError (`rle.text`, `rle.negative`, `rle.sum`) where it is none, before any mask is
    allocated.
    """
    raw = text.encode("ascii", "replace") if isinstance(text, str) else bytes(text)
    counts: list[int] = []
    value = shift = 0
    for character in raw:
        group = character - 48
        if not 0 <= group < 64 or shift >= 5 * TEXT_LIMIT:
            raise AnnotationError("the text is no run-length code", code="rle.text", hint=ANEW)
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if len(counts) > 2 * size[0] * size[1]:
            raise _too_many(size[0] * size[1])
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise AnnotationError(
            "the run-length text ends in the middle of a number", code="rle.text", hint=ANEW
        )
    return from_counts(counts, size)


def _too_many(pixels: int) -> AnnotationError:
    message = f"more runs than an image of {pixels} pixels can have"
    return AnnotationError(message, code="rle.sum", hint=ANEW)


def from_counts(counts: list[int], size: Size) -> Runs:
    """Checked run lengths: none negative, their sum the number of pixels of `size`."""
    pixels = size[0] * size[1]
    if len(counts) > 2 * pixels + 2:
        raise _too_many(pixels)
    if any(count < 0 or count > pixels for count in counts):
        raise AnnotationError(
            "a run is negative or longer than the image", code="rle.negative", hint=ANEW
        )
    total = sum(counts)
    if total != pixels:
        raise AnnotationError(
            f"the runs sum to {total}, the image has {pixels} pixels", code="rle.sum", hint=ANEW
        )
    return Runs(np.array(counts, np.int64), size)


def covering(runs: Runs) -> Runs:
    """The runs themselves; AnnotationError `mask.empty` where they cover no pixel."""
    if not runs.counts[1::2].any():
        raise AnnotationError(
            "the mask covers no pixel", code="mask.empty", hint="draw it again, or delete it"
        )
    return runs


def area(segment: Segment, size: Size) -> int:
    """How many pixels a segment covers on an image of `size`."""
    if isinstance(segment, Runs):
        return int(segment.counts[1::2].sum())
    return int(rasterise(segment, size).sum())


def bounding_box(mask: Bool[ndarray, "H W"]) -> tuple[int, int, int, int]:
    """The xyxy box around a mask's pixels; four zeros for an empty mask."""
    top, left, pixels = bitmaps.crop(mask)
    return left, top, left + pixels.shape[1], top + pixels.shape[0]


def box_of(segment: Segment, size: Size) -> tuple[float, float, float, float]:
    """The xyxy box around a segment: around its corners for polygons, its pixels for runs."""
    if isinstance(segment, Polygons):
        points = np.concatenate(segment.rings)
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)
    return bounding_box(rasterise(segment, size))
