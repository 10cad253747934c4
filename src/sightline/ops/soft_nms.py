"""Soft-NMS: lower the scores of overlapping boxes instead of dropping them (Bodla et al. 2017).

Pick the best box, multiply the scores of those of its group that overlap it by a factor < 1, go on
with the best that is left. In crowds two true neighbours survive where plain suppression keeps one.
Computed in single precision; equal scores go by index; non-finite rows take no part. Scores are
meant to be 0 or more: a decayed margin below 0 would rise.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.errors import UsageError
from sightline.ops.checks import require_fraction, require_limit, require_rows

Picked = tuple[Int[Tensor, "M"], Float[Tensor, "M"]]
"""Rows, best first, and the scores they end with."""


def soft_nms_linear(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    groups: Int[Tensor, "R"],
    threshold: float,
    floor: float = 0.001,
    limit: int | None = None,
) -> Picked:
    """Scores times 1 − IoU for boxes with an IoU above `threshold` (equation 2 of the paper).

    Boxes whose score is not above `floor` (≥ 0) are gone; `limit` stops after so many.
    """
    require_fraction("the IoU threshold", threshold)

    def decay(iou: Tensor) -> Tensor:
        return torch.where(iou > threshold, 1 - iou, 1.0)

    return _pick(boxes, scores, groups, decay, floor, limit)


def soft_nms_gaussian(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    groups: Int[Tensor, "R"],
    sigma: float = 0.5,
    floor: float = 0.001,
    limit: int | None = None,
) -> Picked:
    """Scores times exp(−IoU² / `sigma`), without a threshold and so without a jump (equation 3)."""
    if not sigma > 0:
        raise UsageError(f"sigma is {sigma}, not above 0", code="usage.out_of_range")

    def decay(iou: Tensor) -> Tensor:
        return (-iou.square() / sigma).exp()

    return _pick(boxes, scores, groups, decay, floor, limit)


def _pick(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    decay: Callable[[Tensor], Tensor],
    floor: float,
    limit: int | None,
) -> tuple[Tensor, Tensor]:
    require_rows(boxes, scores, groups)
    require_limit(limit)
    if not floor >= 0:
        raise UsageError(f"the score floor is {floor}, not 0 or more", code="usage.out_of_range")
    boxes, scores = boxes.float(), scores.float().clone()
    left = (boxes.isfinite().all(dim=1) & scores.isfinite()).nonzero()[:, 0]
    picked: list[Tensor] = []
    while limit is None or len(picked) < limit:
        left = left[scores[left] > floor]
        if len(left) == 0:
            break
        best = left[scores[left].argmax()]  # of equal ones the first
        picked.append(best)
        left = left[left != best]
        factor = decay(geometry.iou(boxes[best][None], boxes[left])[0])
        scores[left] *= torch.where(groups[left] == groups[best], factor, 1.0)
    rows = torch.stack(picked) if picked else left[:0]
    return rows, scores[rows]
