"""Masks as COCO's files write them, checked: polygons, run lengths as numbers, as text."""

from typing import Any

import numpy as np

from sightline.data.masks import covering, from_counts, from_text, to_text
from sightline.data.records import Polygons, Runs, Segment
from sightline.errors import AnnotationError
from sightline.types import Size

VERTEX_LIMIT, RING_LIMIT = 100_000, 1_000
"""Corners and polygons that one mask may have."""

FINITE = "coordinates are finite pixels"
RINGS = "write [[x1, y1, x2, y2, …]]"
FEWER = "draw it with fewer, or as run lengths"


def parse_segment(value: Any, size: Size) -> Segment | None:
    """A mask of an image of `size`; None for null and for an empty list, which mean "no mask".

    AnnotationError without a place, by rule: `polygon.format`, `.short` (fewer than three
    corners), `.odd`, `.not_finite`, `.outside` (further than an image's side away), `.too_many`;
    `rle.format`, `.size`, `.negative`, `.sum`, `.text`; `mask.empty`.
    """
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        return covering(_runs(value, size))
    if not isinstance(value, list):
        raise AnnotationError(
            "a mask is a list of polygons or an RLE", code="polygon.format", hint=RINGS
        )
    if not all(isinstance(ring, list) for ring in value):
        raise AnnotationError(
            "a mask is a list of polygons, each a list of numbers",
            code="polygon.format",
            hint=RINGS,
        )
    if sum(len(ring) for ring in value) > 2 * VERTEX_LIMIT:
        raise AnnotationError(
            f"more than {VERTEX_LIMIT:,} corners in one mask", code="polygon.too_many", hint=FEWER
        )
    if len(value) > RING_LIMIT:
        raise AnnotationError(
            f"more than {RING_LIMIT:,} polygons in one mask", code="polygon.too_many", hint=FEWER
        )
    rings = []
    for i, ring in enumerate(value, 1):
        try:
            rings.append(_ring(ring, size))
        except AnnotationError as error:
            if len(value) > 1:
                error.message = f"polygon {i}: {error.message}"
            raise
    return Polygons(tuple(rings))


def _ring(values: list[Any], size: Size) -> np.ndarray:
    if len(values) % 2:
        raise AnnotationError(
            f"{len(values)} numbers are no x, y pairs", code="polygon.odd", hint=RINGS
        )
    if len(values) < 6:
        raise AnnotationError(
            f"a polygon of {len(values) // 2} corners encloses nothing",
            code="polygon.short",
            hint="draw three corners or more, or delete it",
        )
    if not all(type(value) in (int, float) for value in values):
        raise AnnotationError(
            "a polygon holds something but numbers", code="polygon.format", hint=RINGS
        )
    try:
        ring = np.array(values, np.float64).reshape(-1, 2)
    except OverflowError as error:
        raise AnnotationError(
            "a polygon's corner lies nowhere", code="polygon.outside", hint=FINITE
        ) from error
    if not np.isfinite(ring).all():
        raise AnnotationError(
            "a polygon's corner is not finite", code="polygon.not_finite", hint=FINITE
        )
    side = max(size)
    if ring.min() < -side or ring.max() > 2 * side:
        raise AnnotationError(
            f"a polygon's corner lies further than {side} pixels outside its image",
            code="polygon.outside",
            hint="does it belong to another image, or to one of another size?",
        )
    return ring


def parse_ring(values: list[Any], size: Size) -> Polygons:
    """A mask of one polygon x, y, x, y, …; AnnotationError as in `parse_segment`."""
    if len(values) > 2 * VERTEX_LIMIT:
        raise AnnotationError(
            f"more than {VERTEX_LIMIT:,} corners in one mask", code="polygon.too_many", hint=FEWER
        )
    return Polygons((_ring(values, size),))


def _runs(value: dict[str, Any], size: Size) -> Runs:
    if value.get("size") != list(size):
        raise AnnotationError(
            f"the RLE's size {str(value.get('size'))[:80]} is not the image's {list(size)}",
            code="rle.size",
            hint="it is [height, width]; was the image resized after labelling?",
        )
    counts = value.get("counts")
    if isinstance(counts, str | bytes):
        return from_text(counts, size)
    if not isinstance(counts, list) or not all(type(count) is int for count in counts):
        raise AnnotationError(
            "an RLE's counts are whole numbers or a text", code="rle.format", hint="encode it anew"
        )
    return from_counts(counts, size)


def segment_to_json(segment: Segment) -> Any:
    """A mask as COCO's files write it: polygons as lists, run lengths as text."""
    if isinstance(segment, Polygons):
        return [ring.ravel().tolist() for ring in segment.rings]
    return {"size": list(segment.size), "counts": to_text(segment)}
