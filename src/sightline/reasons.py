"""Why: what became of every region of an image, and by whose doing.

Told from the values that `suppress.select` saw, through the same steps, after the fact: nothing
has to be watched or recorded while a detector runs.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.ops.nms import nms_suppressors
from sightline.suppress import Pairs, Selection, Survivors, candidates, clipped, fit, survivors
from sightline.types import Batch, Frame, Scored


class Outcome(IntEnum):
    """What became of a region: from the first test that it can fail to having passed them all."""

    BELOW_SCORE = 0
    NON_FINITE = 1
    BEYOND_LEVEL = 2
    """Not among the best of its level."""
    BEYOND_CLASS = 3
    """Not among the best of its class."""
    OUTSIDE = 4
    """Nothing of it lies in the image."""
    TOO_SMALL = 5
    UNJOINED = 6
    """A part of a body that belongs to nobody: no limb joins it to another."""
    TOO_FEW_PARTS = 7
    """A part of somebody of whom too little was found."""
    SUPPRESSED = 8
    MERGED = 9
    """Fused into a better one."""
    BEYOND_LIMIT = 10
    KEPT = 11


@dataclass(frozen=True)
class Outcomes:
    """What became of each region of one image: exactly one thing, that of its luckiest class.

    `region` are the rows of the batch's `Regions`, ascending; `label` the class that got furthest
    (of equal fates the best score) and `score` what it had before any suppression; `outcome` an
    `Outcome`. `by` is the place, among the image's detections, of the one that suppressed or
    absorbed the region, or that it became itself, and `iou` its overlap with that; −1 and 0 where
    there is none.
    """

    region: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    score: Float[Tensor, "N"]
    outcome: Int[Tensor, "N"]
    by: Int[Tensor, "N"]
    iou: Float[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.region)

    def count(self) -> dict[Outcome, int]:
        """How many regions met each fate; together all of them."""
        return {fate: int((self.outcome == fate).sum()) for fate in Outcome}


def reasons(scored: Scored, batch: Batch, selection: Selection) -> list[Outcomes]:
    """The fate of every region of each image under `select` with the same arguments.

    The regions KEPT are those that `select`'s detections name, and `by` counts among these.
    """
    return [
        of_regions(scored, index, fates)
        for index, fates in enumerate(pair_fates(scored, batch, selection))
    ]


@dataclass(frozen=True)
class PairFates:
    """What became of (region, class) pairs of one image; `outcome`, `by` and `iou` as `Outcomes`'s.

    The pairs that are missing had no score above the threshold.
    """

    pairs: Pairs
    outcome: Int[Tensor, "C"]
    by: Int[Tensor, "C"]
    iou: Float[Tensor, "C"]


def pair_fates(scored: Scored, batch: Batch, selection: Selection) -> list[PairFates]:
    """The fate of every pair above the threshold, of each image, under `select`."""
    every = candidates(scored, batch, replace(selection, per_level=None, per_class=None))
    level = candidates(scored, batch, replace(selection, per_class=None))
    best = level if selection.per_class is None else candidates(scored, batch, selection)
    return [
        _fates(every[index], level[index], best[index], frame, selection)
        for index, frame in enumerate(batch.frames)
    ]


def of_regions(scored: Scored, index: int, fates: PairFates) -> Outcomes:
    """The fates of all regions of image `index`, told by those of their pairs."""
    return _with_pairs(_unscored(scored, index), fates)


def _unscored(scored: Scored, index: int) -> Outcomes:
    """The regions of an image as if no score were above the threshold."""
    region = (scored.regions.image == index).nonzero()[:, 0]
    scores = scored.scores[region].float()
    finite = torch.where(scores.isfinite(), scores, -torch.inf)
    score, label = finite.max(dim=1)
    broken = (scores.isnan() | scores.isposinf()).any(dim=1) | score.isneginf()
    outcome = torch.where(broken, int(Outcome.NON_FINITE), int(Outcome.BELOW_SCORE))
    nobody = torch.full_like(region, -1)
    columns = (region, label, score, outcome, nobody, torch.zeros_like(score))
    return Outcomes(*(column.cpu() for column in columns))


def _with_pairs(outcomes: Outcomes, fates: PairFates) -> Outcomes:
    """Each region as the class of it that got furthest; of equal ones the best, then the first."""
    order = fates.pairs.scores.sort(descending=True, stable=True).indices
    order = order[fates.outcome[order].sort(descending=True, stable=True).indices]
    order = order[fates.pairs.region[order].sort(stable=True).indices]
    region = fates.pairs.region[order]
    first = torch.ones_like(region, dtype=torch.bool)
    first[1:] = region[1:] != region[:-1]
    order = order[first]
    place = torch.searchsorted(outcomes.region, region[first])

    def put(column: Tensor, values: Tensor) -> Tensor:
        return column.index_put((place,), values[order])

    return Outcomes(
        region=outcomes.region,
        label=put(outcomes.label, fates.pairs.label),
        score=put(outcomes.score, fates.pairs.scores),
        outcome=put(outcomes.outcome, fates.outcome),
        by=put(outcomes.by, fates.by),
        iou=put(outcomes.iou, fates.iou),
    )


def _fates(
    every: Pairs, level: Pairs, best: Pairs, frame: Frame, selection: Selection
) -> PairFates:
    """Of all pairs above the threshold, of which `level` are the best of their levels, and `best`
    those of their classes too.
    """
    outcome = torch.full_like(every.region, int(Outcome.BEYOND_LEVEL))
    by, iou = torch.full_like(every.region, -1), torch.zeros_like(every.scores)
    outcome[_places(every, level)] = int(Outcome.BEYOND_CLASS)
    among = _places(every, best)
    cut = clipped(best, frame)
    finite, good = cut.boxes.isfinite().all(dim=1), fit(cut, selection)
    there = (cut.boxes[:, 2:] > cut.boxes[:, :2]).all(dim=1)
    outcome[among[~finite]] = int(Outcome.NON_FINITE)
    outcome[among[finite & ~there]] = int(Outcome.OUTSIDE)
    outcome[among[there & ~good]] = int(Outcome.TOO_SMALL)
    rows, cut = among[good], cut[good]
    everyone = survivors(cut, selection, None)
    fate = {"nms": _suppressed, "fusion": _fused}.get(selection.method, _decayed)
    outcome[rows], by[rows], iou[rows] = fate(cut, everyone, selection)
    return PairFates(every, outcome, by, iou)


def _places(every: Pairs, few: Pairs) -> Int[Tensor, "M"]:
    """The rows of `few` among `every`: both are ordered by region and class, so one key does."""
    span = int(every.label.max()) + 1 if len(every.label) else 1
    return torch.searchsorted(every.region * span + every.label, few.region * span + few.label)


def _kept(pairs: Pairs, everyone: Survivors, limit: int) -> tuple[Tensor, Tensor]:
    """(outcome, place) of the survivors; of the others BEYOND_LIMIT and −1."""
    outcome = torch.full_like(pairs.region, int(Outcome.BEYOND_LIMIT))
    place = torch.full_like(pairs.region, -1)
    kept = everyone.rows[:limit]
    outcome[kept] = int(Outcome.KEPT)
    place[kept] = torch.arange(len(kept))
    return outcome, place


def _suppressed(
    pairs: Pairs, everyone: Survivors, selection: Selection
) -> tuple[Tensor, Tensor, Tensor]:
    """Outcome, by and IoU under plain suppression.

    What a box beyond the limit suppressed is itself beyond it: it scored lower.
    """
    outcome, place = _kept(pairs, everyone, selection.limit)
    groups = pairs.groups(selection)
    winner, overlap = nms_suppressors(pairs.boxes, pairs.scores, groups, selection.iou)
    lost = (winner >= 0) & (place[winner] >= 0)
    outcome[lost] = int(Outcome.SUPPRESSED)
    by = torch.where(lost, place[winner], place)
    iou = torch.where(lost, overlap, (outcome == Outcome.KEPT).float())
    return outcome, by, iou


def _decayed(
    pairs: Pairs, everyone: Survivors, selection: Selection
) -> tuple[Tensor, Tensor, Tensor]:
    """The same under soft-NMS: what fell below the threshold is blamed on its nearest detection."""
    outcome, place = _kept(pairs, everyone, selection.limit)
    kept, groups = everyone.rows[: selection.limit], pairs.groups(selection)
    fallen = torch.ones_like(place, dtype=torch.bool)
    fallen[everyone.rows] = False
    overlap = geometry.iou(pairs.boxes, pairs.boxes[kept])
    overlap[groups[:, None] != groups[kept][None]] = 0
    if len(kept) == 0:
        return outcome, place, torch.zeros_like(pairs.scores)
    iou, by = overlap.max(dim=1)
    least = selection.iou if selection.method == "soft_linear" else 0.0
    lost = fallen & (iou > least)
    outcome[lost] = int(Outcome.SUPPRESSED)
    iou = torch.where(lost, iou, (outcome == Outcome.KEPT).float())
    return outcome, torch.where(lost, by, place), iou


def _fused(
    pairs: Pairs, everyone: Survivors, selection: Selection
) -> tuple[Tensor, Tensor, Tensor]:
    """The same under fusion; IoUs are with the fused boxes."""
    outcome, place = _kept(pairs, everyone, selection.limit)
    cluster = everyone.cluster
    assert cluster is not None  # every fusion tells its clusters
    within = (cluster >= 0) & (cluster < selection.limit)
    outcome[within & (place < 0)] = int(Outcome.MERGED)
    home = cluster.clamp(min=0)[:, None]
    overlap = geometry.iou(pairs.boxes, everyone.boxes).gather(1, home)[:, 0]
    return outcome, torch.where(within, cluster, -1), torch.where(within, overlap, 0.0)
