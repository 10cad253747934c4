"""Warping a region to a square of pixels, whatever its shape, with context around it (R-CNN).

R-CNN's appendix A: the region is grown so that `context` pixels of the *warped* square lie around
it, then both sides are scaled, each by itself, to `size`. What lies outside the image is 0, the
mean colour of normalised pixels. As both axes are apart, a warp is two small matrices.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import require_regions
from sightline.ops.dispatch import carried_kernel

__all__ = ["grown", "region_warp"]


def grown(boxes: Float[Tensor, "R 4"], size: int, context: int) -> Float[Tensor, "R 4"]:
    """Boxes with so much around them that it has `context` pixels a side once warped to `size`.

    Raises UsageError (usage.out_of_range) where the context leaves nothing of the square.
    """
    if context < 0 or 2 * context >= size:
        raise UsageError(
            f"{context} pixels of context on both sides leave nothing of {size}",
            code="usage.out_of_range",
        )
    sides = boxes[:, 2:] - boxes[:, :2]
    more = sides * (context / (size - 2 * context))
    return torch.cat([boxes[:, :2] - more, boxes[:, 2:] + more], dim=1)


def taps(low: float, high: float, count: int, size: int) -> Float[Tensor, "size count"]:
    """What each of `count` pixels of an axis counts in each of `size` warped ones.

    A warped pixel is the mean of ⌈step⌉ points at regular places, where it covers `step` pixels, so
    that a large region is not read with holes; a point is bilinear between two pixels' centres,
    and reads nothing outside of the image.
    """
    step = (high - low) / size
    each = max(1, math.ceil(abs(step)))
    points = low + (torch.arange(size * each, dtype=torch.float64) + 0.5) * (step / each)
    inside = ((points >= 0) & (points < count)).double() / each
    places = (points - 0.5).clamp(0, count - 1)
    first = places.floor().long().clamp(max=max(count - 2, 0))
    share = places - first
    weights = torch.zeros(size * each, count + 1, dtype=torch.float64)
    rows = torch.arange(size * each)
    weights[rows, first] = (1 - share) * inside
    weights[rows, first + 1] += share * inside
    return weights[:, :count].view(size, each, count).sum(dim=1)


@carried_kernel
def region_warp(
    images: Float[Tensor, "B C H W"],
    boxes: Float[Tensor, "R 4"],
    image: Int[Tensor, "R"],
    size: int,
    context: int,
) -> Float[Tensor, "R C S S"]:
    """The regions as squares of `size` pixels, with `context` of them around the box on each side.

    `boxes` are in the pixels of `images`, whose colours are normalised; `image` says whose each is.
    No gradient passes. Raises UsageError for shapes that disagree, images that are not there, boxes
    that are not finite or absurdly large, and a context that leaves nothing.
    """
    around = grown(boxes, size, context)
    require_regions(images, around, image, (size, size), 1.0)
    height, width = images.shape[-2:]
    answer = images.new_empty(len(boxes), images.shape[1], size, size)
    for row, (x1, y1, x2, y2) in enumerate(around.double().tolist()):
        down, along = (
            taps(low, high, count, size).to(images)
            for low, high, count in ((y1, y2, height), (x1, x2, width))
        )
        answer[row] = down @ images[image[row]].detach() @ along.T
    return answer
