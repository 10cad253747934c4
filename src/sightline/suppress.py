"""Which answers stay: the threshold, the best of each level, suppression, the limit.

`select` is the last verb of most detectors. Its steps have names of their own, because
`reasons.reasons` walks the same ones to tell what became of every region.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.errors import UsageError
from sightline.ops.candidates import above, best_of_each
from sightline.ops.checks import require_fraction
from sightline.ops.fusion import fuse
from sightline.ops.nms import nms_classwise
from sightline.ops.soft_nms import soft_nms_gaussian, soft_nms_linear
from sightline.types import Batch, Detections, Frame, Regions, Scored

METHODS = ("nms", "soft_linear", "soft_gaussian", "fusion")


@dataclass(frozen=True)
class Selection:
    """What stays of a detector's answers.

    A (region, class) pair is a candidate if its score is greater than `score`. The `per_level`
    best candidates of each pyramid level, and of these the `per_class` best of each class (None:
    all), are clipped to the image and dropped if empty, or narrower or lower than `min_size`
    prepared pixels. Then, class by class or across
    classes (`class_agnostic`), and level by level where `by_level`, `method`: "nms" drops those
    with an IoU above `iou` with a better one; "soft_linear" lowers the scores of those instead,
    "soft_gaussian" of all by exp(−IoU² / `sigma`), and both drop what falls to `score`; "fusion"
    averages clusters. The best `limit` are the answer. Raises UsageError (usage.out_of_range,
    usage.unknown_method).
    """

    score: float = 0.05
    iou: float = 0.5
    limit: int = 100
    per_level: int | None = 1000
    method: str = "nms"
    sigma: float = 0.5
    class_agnostic: bool = False
    by_level: bool = False
    min_size: float = 0.0
    per_class: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"{self.method!r} is no method of suppression",
                code="usage.unknown_method",
                hint=f"one of {', '.join(METHODS)}",
            )
        require_fraction("iou", self.iou)
        wrong = {
            "score": not math.isfinite(self.score) or (self.method != "nms" and self.score < 0),
            "limit": self.limit < 1,
            "per_level": self.per_level is not None and self.per_level < 1,
            "per_class": self.per_class is not None and self.per_class < 1,
            "sigma": not 0 < self.sigma < math.inf,
            "min_size": not 0 <= self.min_size < math.inf,
        }
        for name in (name for name, bad in wrong.items() if bad):
            raise UsageError(
                f"{name} is {getattr(self, name)}, out of range", code="usage.out_of_range"
            )


@dataclass(frozen=True)
class Pairs:
    """(region, class) pairs of one image, by row and class; boxes in prepared pixels."""

    region: Int[Tensor, "C"]
    label: Int[Tensor, "C"]
    level: Int[Tensor, "C"]
    scores: Float[Tensor, "C"]
    boxes: Float[Tensor, "C 4"]

    def __getitem__(self, rows: Tensor) -> "Pairs":
        """A subset, by boolean mask or indices."""
        columns = (self.region, self.label, self.level, self.scores, self.boxes)
        return Pairs(*(column[rows] for column in columns))

    def groups(self, selection: Selection) -> Int[Tensor, "C"]:
        """What may suppress what: the classes or one group of all, of each level or of all."""
        owner = torch.zeros_like(self.label) if selection.class_agnostic else self.label
        if not selection.by_level or not len(self.level):
            return owner
        return owner * (self.level.max() + 1) + self.level


@dataclass(frozen=True)
class Survivors:
    """What suppression leaves, best first: rows of the pairs, boxes, scores.

    `cluster` tells for every pair which answer it was fused into, −1 for none.
    """

    rows: Int[Tensor, "M"]
    boxes: Float[Tensor, "M 4"]
    scores: Float[Tensor, "M"]
    cluster: Int[Tensor, "C"] | None = None

    def first(self, limit: int) -> "Survivors":
        """The best `limit` of them."""
        return replace(
            self, rows=self.rows[:limit], boxes=self.boxes[:limit], scores=self.scores[:limit]
        )


def select(
    scored: Scored,
    batch: Batch,
    selection: Selection,
    classes: Sequence[str],
    category_ids: Sequence[int] | None = None,
) -> list[Detections]:
    """The detections of each image, best first, in its original pixels, on the CPU.

    Everything is done image by image, ties go by region and class: neither neighbours in the batch
    nor threads change an answer. Non-finite scores and boxes never pass. `region` is the row of
    `scored.regions` (for a fused box, of its best member). Raises UsageError if the columns of the
    scores are not the classes.
    """
    if len(classes) != scored.scores.shape[1]:
        raise UsageError(
            f"{scored.scores.shape[1]} columns of scores for {len(classes)} classes",
            code="usage.class_count",
        )
    answers = []
    for (pairs, rest), frame in zip(kept(scored, batch, selection), batch.frames, strict=True):
        answers.append(
            Detections(
                boxes=geometry.clip(frame.to_original(rest.boxes), frame.original),
                scores=rest.scores,
                labels=pairs.label[rest.rows],
                region=pairs.region[rest.rows],
                size=frame.original,
                classes=tuple(classes),
                category_ids=None if category_ids is None else tuple(category_ids),
            )
        )
    return answers


def kept(scored: Scored, batch: Batch, selection: Selection) -> list[tuple[Pairs, Survivors]]:
    """What stays of each image, best first, in prepared pixels: the pairs and which of them."""
    answers = []
    for found, frame in zip(candidates(scored, batch, selection), batch.frames, strict=True):
        inside = clipped(found, frame)
        pairs = inside[fit(inside, selection)]
        best = survivors(pairs, selection, selection.limit).first(selection.limit)
        answers.append((pairs, best))
    return answers


def proposals(scored: Scored, batch: Batch, selection: Selection) -> Regions:
    """What stays as regions for a second stage: boxes in prepared pixels, with their scores.

    On the device of `scored`; no gradient passes.
    """
    found = kept(scored, batch, selection)
    count = torch.tensor([len(best.rows) for _, best in found])
    answer = Regions(
        boxes=torch.cat([best.boxes for _, best in found]),
        image=torch.arange(len(found)).repeat_interleave(count),
        level=torch.cat([pairs.level[best.rows] for pairs, best in found]),
        scores=torch.cat([best.scores for _, best in found]),
    )
    return answer.to(scored.scores.device)


def candidates(scored: Scored, batch: Batch, selection: Selection) -> list[Pairs]:
    """The pairs of each image above the threshold, the best of each level and of each class, on
    the CPU.
    """
    rows, labels = above(scored.scores, selection.score)
    scores = scored.scores[rows, labels].float()
    image, level = scored.regions.image[rows], scored.regions.level[rows]
    for of_class, limit in ((False, selection.per_level), (True, selection.per_class)):
        if limit is not None and len(rows) > limit:
            group = labels if of_class else level
            best = best_of_each(scores, image * (group.max() + 1) + group, limit)
            rows, labels, scores = rows[best], labels[best], scores[best]
            image, level = image[best], level[best]
    boxes = scored.boxes[rows] if scored.boxes.ndim == 2 else scored.boxes[rows, labels]
    columns = (rows, labels, level, scores.detach(), boxes.detach().float())
    pairs = Pairs(*(column.cpu() for column in columns))
    if len(batch) == 1:
        return [pairs]
    return [pairs[image.cpu() == index] for index in range(len(batch))]


def clipped(pairs: Pairs, frame: Frame) -> Pairs:
    """Boxes cut to the part of the prepared image that is picture, not padding.

    Non-finite boxes become NaN as a whole: infinity would be cut to a border.
    """
    (top, left), (height, width) = frame.offset, frame.resized
    low = pairs.boxes.new_tensor([left, top, left, top])
    high = pairs.boxes.new_tensor([left + width, top + height, left + width, top + height])
    finite = pairs.boxes.isfinite().all(dim=1, keepdim=True)
    inside = torch.minimum(torch.maximum(pairs.boxes, low), high)
    return replace(pairs, boxes=torch.where(finite, inside, math.nan))


def fit(pairs: Pairs, selection: Selection) -> Bool[Tensor, "C"]:
    """Which clipped boxes are finite, not empty and large enough."""
    sides = pairs.boxes[:, 2:] - pairs.boxes[:, :2]
    return ((sides > 0) & (sides >= selection.min_size)).all(dim=1)


def survivors(pairs: Pairs, selection: Selection, limit: int | None) -> Survivors:
    """What the method of `selection` leaves; `limit` may end it early (not a fusion)."""
    boxes, scores, groups = pairs.boxes, pairs.scores, pairs.groups(selection)
    if selection.method == "fusion":
        fused = fuse(boxes, scores, groups, selection.iou)
        return Survivors(fused.best, fused.boxes, fused.scores, fused.cluster)
    if selection.method == "nms":
        rows = nms_classwise(boxes, scores, groups, selection.iou, limit)
        return Survivors(rows, boxes[rows], scores[rows])
    if selection.method == "soft_linear":
        rows, scores = soft_nms_linear(
            boxes, scores, groups, selection.iou, floor=selection.score, limit=limit
        )
    else:
        rows, scores = soft_nms_gaussian(
            boxes, scores, groups, selection.sigma, floor=selection.score, limit=limit
        )
    return Survivors(rows, boxes[rows], scores)
