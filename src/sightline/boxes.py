"""Pure functions on boxes: (…, 4) tensors, xyxy, continuous absolute pixels, no "+1" anywhere."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LOG_SCALE_LIMIT = math.log(1000.0 / 16)
"""The bound on tw and th before exp: no box grows more than 62.5-fold (Detectron's figure)."""


def area(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Width × height; 0 for a box whose corners are swapped."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def intersection(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """The area that each box of `a` shares with each box of `b`."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = (high - low).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every pair; 0, never NaN, where the union is empty."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return torch.where(union > 0, shared / union.clamp(min=torch.finfo(union.dtype).tiny), 0.0)


def coverage(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over the area of `a`: how much of each `a` lies in each `b` (crowds, tiles)."""
    own = area(a)[:, None]
    shared = intersection(a, b)
    return torch.where(own > 0, shared / own.clamp(min=torch.finfo(own.dtype).tiny), 0.0)


def iou_pairs(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    """IoU of the pairs (a[i], b[i]); 0 where both are empty."""
    shared = _shared(a, b)
    return shared / (area(a) + area(b) - shared).clamp(min=1e-7)


def _shared(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    return (high - low).clamp(min=0).prod(dim=1)


def giou(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    """Generalised IoU of the pairs (a[i], b[i]), in (−1, 1] (Rezatofighi 2019)."""
    shared = _shared(a, b)
    union = area(a) + area(b) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0)
    around = hull.prod(dim=1).clamp(min=1e-7)
    return shared / union.clamp(min=1e-7) - (around - union) / around


def clip(boxes: Float[Tensor, "*n 4"], size: tuple[int, int]) -> Float[Tensor, "*n 4"]:
    """The part of each box inside an image of `size` (height, width)."""
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def centres(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 2"]:
    """The (x, y) centre of each box."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def inside(points: Float[Tensor, "n 2"], boxes: Float[Tensor, "m 4"]) -> Bool[Tensor, "n m"]:
    """Whether each point lies strictly inside each box."""
    after = points[:, None] > boxes[None, :, :2]
    before = points[:, None] < boxes[None, :, 2:]
    return (after & before).all(dim=2)


def encode(
    targets: Float[Tensor, "*n 4"],
    regions: Float[Tensor, "*n 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*n 4"]:
    """Offsets (tx, ty, tw, th) that turn `regions` into `targets`, times `weights`.

    tx = (Gx − Px) / Pw, tw = log(Gw / Pw), and so for y and h (R-CNN, Girshick 2014, appendix C).
    Sides of zero are taken as a thousandth of a pixel, so the answer is always finite.
    """
    size = (regions[..., 2:] - regions[..., :2]).clamp(min=1e-3)
    goal = (targets[..., 2:] - targets[..., :2]).clamp(min=1e-3)
    shift = (centres(targets) - centres(regions)) / size
    return torch.cat([shift, (goal / size).log()], dim=-1) * regions.new_tensor(weights)


def decode(
    offsets: Float[Tensor, "*n 4"],
    regions: Float[Tensor, "*n 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*n 4"]:
    """The boxes that `offsets` make of `regions`: the inverse of `encode`.

    tw and th are bounded by log(1000/16) before exp, so no network output overflows.
    """
    offsets = offsets / offsets.new_tensor(weights)
    size = regions[..., 2:] - regions[..., :2]
    centre = regions[..., :2] + size / 2 + offsets[..., :2] * size
    half = offsets[..., 2:].clamp(max=LOG_SCALE_LIMIT).exp() * size / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def flip(boxes: Float[Tensor, "*n 4"], width: float) -> Float[Tensor, "*n 4"]:
    """Boxes of the image mirrored left to right."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def to_xywh(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(left, top, width, height), as COCO's files hold boxes."""
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], dim=-1)
