"""Greedy non-maximum suppression: keep the best box, drop all that overlap it, go on.

Common to all that follows: boxes are (R, 4) xyxy, computed with in single precision; the order is
by score, best first, equal scores by index; a box is suppressed by a kept one if their IoU is
*greater* than `threshold`; empty or swapped boxes have no overlap with anything; a row with a
non-finite coordinate or score is never kept and never suppresses.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.ops.checks import require_fraction, require_limit, require_rows
from sightline.ops.dispatch import carried_kernel


def best_first(boxes: Float[Tensor, "R 4"], scores: Float[Tensor, "R"]) -> Int[Tensor, "F"]:
    """The rows that are finite, by falling score; equal scores keep their order."""
    order = scores.float().sort(descending=True, stable=True).indices
    finite = boxes.float().isfinite().all(dim=1) & scores.float().isfinite()
    return order[finite[order]]


@carried_kernel
def nms_classwise(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    groups: Int[Tensor, "R"],
    threshold: float,
    limit: int | None = None,
) -> Int[Tensor, "M"]:
    """The rows to keep, best first; boxes of different groups (classes, levels) never meet.

    `limit` stops after so many. Raises UsageError for a threshold outside [0, 1], a negative limit
    or shapes that disagree.
    """
    require_rows(boxes, scores, groups)
    require_fraction("the IoU threshold", threshold)
    require_limit(limit)
    boxes, left = boxes.float(), best_first(boxes, scores)
    kept: list[Tensor] = []
    while len(left) and (limit is None or len(kept) < limit):
        best, left = left[0], left[1:]
        kept.append(best)
        overlap = geometry.iou(boxes[best][None], boxes[left])[0]
        left = left[(groups[left] != groups[best]) | (overlap <= threshold)]
    return torch.stack(kept) if kept else left[:0]


@carried_kernel
def nms(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    threshold: float,
    limit: int | None = None,
) -> Int[Tensor, "M"]:
    """The rows to keep, best first, whatever their classes; `limit` and errors as above."""
    require_rows(boxes, scores)
    one = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return nms_classwise.reference(boxes, scores, one, threshold, limit)


def nms_suppressors(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    groups: Int[Tensor, "R"],
    threshold: float,
) -> tuple[Int[Tensor, "R"], Float[Tensor, "R"]]:
    """Who suppressed whom: for each row the kept row that dropped it, and their IoU.

    −1 and 0 for the rows that `nms_classwise` keeps, and for the non-finite ones. A box that
    several kept ones overlap is the victim of the best of them.
    """
    by = torch.full((len(boxes),), -1, dtype=torch.int64, device=boxes.device)
    overlaps = torch.zeros(len(boxes), device=boxes.device)
    boxes32, victims = boxes.float(), best_first(boxes, scores)
    for best in nms_classwise(boxes, scores, groups, threshold):
        victims = victims[victims != best]
        overlap = geometry.iou(boxes32[best][None], boxes32[victims])[0]
        hit = (groups[victims] == groups[best]) & (overlap > threshold)
        by[victims[hit]], overlaps[victims[hit]] = best, overlap[hit]
        victims = victims[~hit]
    return by, overlaps
