"""Masks as outlines: the exact border of the pixels, walked along their edges.

An outline found here, rasterised by `sightline.data.masks`, gives the same pixels again.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from sightline.data import masks
from sightline.data.records import Polygons, Segment
from sightline.types import Size

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: each is a right turn from the one before it (y points down)."""

Corner = tuple[int, int]


def trace(mask: Bool[ndarray, "H W"]) -> list[Float[ndarray, "_ 2"]]:
    """The closed rings around a mask's pixels, in pixel corners; only corners where they turn.

    Rings keep the mask on their right: outlines run clockwise as seen on the screen, holes the
    other way. Pixels that only touch at a corner are apart (4-connected).
    """
    leaving = _edges(mask)
    rings = []
    while leaving:
        start = corner = next(iter(leaving))
        ring: list[Corner] = []
        before = -1
        while corner in leaving:
            ways = leaving[corner]
            # where two pixels touch, two ways leave: the right turn stays with ours
            way = (before + 1) % 4 if len(ways) > 1 and before >= 0 else ways[0]
            ways.remove(way)
            if not ways:
                del leaving[corner]
            if way != before:
                ring.append(corner)
            corner = (corner[0] + STEPS[way][0], corner[1] + STEPS[way][1])
            before = way
            if corner == start and (start not in leaving or (way + 1) % 4 not in leaving[start]):
                break
        rings.append(np.array(_corners(ring), np.float64))
    return rings


def _corners(ring: list[Corner]) -> list[Corner]:
    """The ring without a start that lies in the middle of an edge."""
    before, first, after = ring[-1], ring[0], ring[1]
    straight = before[0] == first[0] == after[0] or before[1] == first[1] == after[1]
    return ring[1:] if straight else ring


def _edges(mask: Bool[ndarray, "H W"]) -> dict[Corner, list[int]]:
    """For each pixel corner on the border the ways that leave it, the mask on their right."""
    inside = np.pad(mask, 1)
    below, above = inside[1:, 1:-1], inside[:-1, 1:-1]
    right, left = inside[1:-1, 1:], inside[1:-1, :-1]
    leaving: dict[Corner, list[int]] = {}
    for way, edge, (dx, dy) in (
        (0, below & ~above, (0, 0)),
        (2, above & ~below, (1, 0)),
        (3, right & ~left, (0, 1)),
        (1, left & ~right, (0, 0)),
    ):
        for y, x in np.argwhere(edge).tolist():
            leaving.setdefault((x + dx, y + dy), []).append(way)
    return leaving


def signed_area(ring: Float[ndarray, "_ 2"]) -> float:
    """The area inside a ring, square pixels; negative where it runs anti-clockwise (a hole)."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def outline(segment: Segment, size: Size) -> Polygons:
    """A mask as rings of outlines; one that has holes becomes a single ring (`bridge`)."""
    if isinstance(segment, Polygons):
        return segment
    rings = trace(masks.rasterise(segment, size))
    if any(signed_area(ring) < 0 for ring in rings):
        return Polygons((bridge(rings),))
    return Polygons(tuple(rings))


def one_ring(segment: Segment, size: Size) -> Float[ndarray, "_ 2"] | None:
    """A mask as a single ring that covers the same pixels; None for an empty mask.

    Parts are joined by bridges. Where parts overlap, which a ring cannot say by the even-odd rule,
    it is the border of their pixels.
    """
    rings = list(outline(segment, size).rings)
    if len(rings) <= 1:
        return rings[0] if rings else None
    joined = bridge(rings)
    pixels = masks.rasterise(segment, size)
    if np.array_equal(masks.fill_ring(joined, size), pixels):
        return joined
    rings = trace(pixels)
    return bridge(rings) if rings else None


def bridge(rings: list[Float[ndarray, "_ 2"]]) -> Float[ndarray, "_ 2"]:
    """Rings as one: from the first corner of the first a line leads to each other ring and back.

    A line walked both ways encloses nothing, so by the even-odd rule holes stay holes.
    """
    home = rings[0][:1]
    parts = [rings[0], home]
    for ring in rings[1:]:
        parts += [ring, ring[:1], home]
    return np.ascontiguousarray(np.concatenate(parts))
