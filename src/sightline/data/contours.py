"""Masks of label files as outlines: the exact border of the pixels (`sightline.bitmaps`).

An outline found here, rasterised by `sightline.data.masks`, gives the same pixels again.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sightline import bitmaps
from sightline.data import masks
from sightline.data.records import Polygons, Segment
from sightline.types import Size


def outline(segment: Segment, size: Size) -> Polygons:
    """A mask as rings of outlines, one a part; the holes of a part are cut out of its ring."""
    if isinstance(segment, Polygons):
        return segment
    return Polygons(tuple(bitmaps.polygons(bitmaps.crop(masks.rasterise(segment, size)))))


def one_ring(segment: Segment, size: Size) -> Float[ndarray, "_ 2"] | None:
    """A mask as a single ring that covers the same pixels; None for an empty mask.

    Parts are joined by bridges. Where parts overlap, which a ring cannot say by the even-odd rule,
    it is the border of their pixels.
    """
    rings = list(outline(segment, size).rings)
    if len(rings) <= 1:
        return rings[0] if rings else None
    joined = bitmaps.bridge(rings)
    pixels = masks.rasterise(segment, size)
    if np.array_equal(masks.fill_ring(joined, size), pixels):
        return joined
    rings = bitmaps.polygons(bitmaps.crop(pixels))
    return bitmaps.bridge(rings) if rings else None
