"""Which part of a picture is shown: more than all of it, or a patch around its objects.

The two augmentations that SSD needs (Liu 2016, sections 2.2 and 3.6): zooming out shows objects
smaller than they are anywhere in the data, and patches show them larger and cut. Both only choose a
view; where it is drawn, with all that is labelled in it, is one `Placement`'s business.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.random import Generator

from sightline.data.placement import Picture, Placement
from sightline.data.records import Objects
from sightline.types import Size

__all__ = ["View", "cropped", "placed", "whole", "zoomed_out"]

View = tuple[float, float, float, float]
"""(left, top, right, bottom) in the pixels of a picture; beyond its borders there is nothing."""

Window = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of the canvas."""

TRIALS = 50
"""How many patches are tried for each overlap."""


def whole(size: Size) -> View:
    """All of a picture of `size`, and no more."""
    return 0.0, 0.0, float(size[1]), float(size[0])


def zoomed_out(view: View, most: float, rng: Generator) -> View:
    """A view of 1 to `most` times the sides, in which `view` lies anywhere."""
    left, top, right, bottom = view
    factor, (x, y) = rng.uniform(1, most), rng.random(2)
    width, height = right - left, bottom - top
    left, top = left - x * (factor - 1) * width, top - y * (factor - 1) * height
    return float(left), float(top), float(left + factor * width), float(top + factor * height)


def cropped(
    view: View,
    objects: Objects,
    overlaps: Sequence[float],
    scale: tuple[float, float],
    ratio: float,
    rng: Generator,
) -> View:
    """A patch of `view` that holds the centre of an object and overlaps it enough.

    The IoU of the patch and one of the objects whose centre lies in it is at least one of
    `overlaps`: the first, in an order that is drawn, for which one of `TRIALS` patches is so.
    `scale` bounds the square root of the patch's share of the view, `ratio` how much wider or
    higher than the view it may be in shape. Without objects any patch will do; where none is found
    it is `view` itself.
    """
    for place in rng.permutation(len(overlaps)):
        patches = _patches(view, scale, ratio, rng)
        good = np.flatnonzero(_hold(patches, objects, overlaps[place]))
        if len(good):
            x1, y1, x2, y2 = patches[good[0]].tolist()
            return x1, y1, x2, y2
    return view


def _patches(
    view: View, scale: tuple[float, float], ratio: float, rng: Generator
) -> Float[ndarray, "T 4"]:
    """`TRIALS` patches that lie anywhere in `view`, in its picture's pixels."""
    left, top, right, bottom = view
    size = rng.uniform(*scale, TRIALS)
    low, high = np.maximum(1 / ratio, size**2), np.minimum(ratio, size**-2)
    root = np.sqrt(np.exp(rng.uniform(np.log(low), np.log(high))))
    sides = np.stack([size * root, size / root], axis=1).clip(max=1)
    corner = rng.random((TRIALS, 2)) * (1 - sides)
    shares = np.concatenate([corner, corner + sides], axis=1)
    span = np.array([right - left, bottom - top] * 2)
    answer: ndarray = np.array([left, top] * 2) + shares * span
    return answer


def _hold(patches: Float[ndarray, "T 4"], objects: Objects, least: float) -> Bool[ndarray, "T"]:
    """Which patches hold the centre of an object that each overlaps by an IoU of `least`."""
    boxes = objects.boxes[~objects.crowd].astype(np.float64)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if len(boxes) == 0:
        return np.ones(len(patches), bool)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    tiles = patches[:, None]
    within = ((tiles[..., :2] < centre) & (centre < tiles[..., 2:])).all(axis=2)
    shared = np.minimum(tiles[..., 2:], boxes[:, 2:]) - np.maximum(tiles[..., :2], boxes[:, :2])
    both = shared.clip(min=0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = (patches[:, 2:] - patches[:, :2]).prod(axis=1)[:, None] + areas - both
    answer: ndarray = (within & (both >= least * union)).any(axis=1)
    return answer


def placed(
    picture: Picture,
    view: View,
    scales: tuple[float, float],
    corner: tuple[float, float],
    window: Window,
    mirror: bool,
) -> Placement:
    """The view's left top on `corner`, drawn within `window`: so much of it as is picture.

    `scales` are canvas pixels a pixel of the picture, along x and y.
    """
    (sx, sy), (x, y) = scales, corner
    left, top, right, bottom = view
    height, width = picture.size
    affine = [-sx, x + sx * right, sy, y - sy * top]
    if not mirror:
        affine[:2] = [sx, x - sx * left]
    before, after = max(0.0, -left), max(0.0, right - width)  # what is empty on each side
    if mirror:
        before, after = after, before
    above, below = max(0.0, -top), max(0.0, bottom - height)
    x1 = max(window[0], int(np.floor(x + sx * before)))
    y1 = max(window[1], int(np.floor(y + sy * above)))
    x2 = min(window[2], int(np.ceil(x + sx * (right - left - after))))
    y2 = min(window[3], int(np.ceil(y + sy * (bottom - top - below))))
    clip = np.array([x1, y1, max(x1, x2), max(y1, y2)], np.int64)
    return Placement(np.array(affine, np.float64), clip)
