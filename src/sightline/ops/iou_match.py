"""Which object each of many regions answers for, by overlap alone.

A region proposal network asks this of a quarter of a million anchors a step, of which nearly all
touch nothing.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.ops.dispatch import kernel

BACKGROUND = -1
IGNORED = -2


@kernel
def match_by_iou(
    regions: Float[Tensor, "R 4"],
    objects: Float[Tensor, "N 4"],
    positive: float,
    negative: float,
    best_too: bool,
) -> Int[Tensor, "R"]:
    """The row of the object that each region overlaps most, BACKGROUND, or IGNORED.

    BACKGROUND where the best IoU is below `negative`, else the object where it reaches `positive`;
    of objects with equal IoUs the first. With `best_too` also the regions that overlap some object
    more than any other region does, all of them where several do, answer for the one that they
    themselves overlap most. Compared in the boxes' own precision.
    """
    if len(objects) == 0:
        return torch.full((len(regions),), BACKGROUND, device=regions.device)
    overlap = geometry.iou(regions, objects)
    best, matched = overlap.max(dim=1)
    answer = torch.where(best >= positive, matched, IGNORED)
    answer = torch.where(best < negative, BACKGROUND, answer)
    if best_too and len(regions):
        top = overlap.amax(dim=0)
        is_best = ((overlap == top) & (top > 0)).any(dim=1)
        answer = torch.where(is_best, matched, answer)
    return answer


@kernel
def covered(
    regions: Float[Tensor, "R 4"], crowds: Float[Tensor, "N 4"], least: float
) -> Bool[Tensor, "R"]:
    """Whether more than `least` of a region's area lies in one of the crowds."""
    return (geometry.coverage(regions, crowds) > least).any(dim=1)
