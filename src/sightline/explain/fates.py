"""What became of every candidate of a trace, whatever method it comes from.

Candidates are the rows of a trace's regions. Most detectors end with `suppress.select`, whose steps
`reasons` walks once more. Selective Search drops equal boxes; people from the parts up are joined
from candidate parts; for what remains it is told which rows the answers name, and which better
answer lies nearest. A score below which answers are not shown counts like the detector's own.
"""

from dataclasses import replace

import torch
from torch import Tensor

from sightline import boxes as geometry
from sightline.detectors.bottom_up import BottomUp
from sightline.detectors.selective_search import SelectiveSearch
from sightline.pipeline import Detector, Trace
from sightline.reasons import Outcome, Outcomes, PairFates, of_regions, pair_fates
from sightline.suppress import Pairs, Selection
from sightline.types import Detections


def fates(trace: Trace, detector: Detector, index: int = 0) -> PairFates:
    """What became of every (region, class) pair of image `index` that had a chance.

    With a threshold these are the pairs above it; methods without one give all of their regions.
    """
    selection = getattr(detector, "selection", None)
    if isinstance(selection, Selection):
        found = pair_fates(trace.scored, trace.batch, selection)[index]
    elif isinstance(detector, SelectiveSearch):
        found = _first_of_equals(trace, detector, index)
    elif isinstance(detector, BottomUp):
        found = _joined(trace, detector, index)
    else:
        found = _named(trace, detector, index)
    return _shown(found, len(trace.detections[index]))


def outcomes(trace: Trace, found: PairFates, index: int = 0) -> Outcomes:
    """The one thing that became of each region of image `index`."""
    return of_regions(trace.scored, index, found)


def _shown(found: PairFates, count: int) -> PairFates:
    """The same where only the first `count` answers are shown, because the rest scores too low."""
    hidden = found.by >= count
    return replace(
        found,
        outcome=torch.where(hidden, int(Outcome.BELOW_SCORE), found.outcome),
        by=torch.where(hidden, -1, found.by),
        iou=torch.where(hidden, 0.0, found.iou),
    )


def _all_pairs(trace: Trace, index: int) -> Pairs:
    """Every region of an image with its best class, on the CPU."""
    scored = trace.scored
    rows = (scored.regions.image == index).nonzero()[:, 0]
    scores, labels = scored.scores[rows].float().max(dim=1)
    boxes = scored.boxes[rows] if scored.boxes.ndim == 2 else scored.boxes[rows, labels]
    columns = (rows, labels, scored.regions.level[rows], scores, boxes.float())
    return Pairs(*(column.cpu() for column in columns))


def _answers(trace: Trace, detector: Detector, index: int) -> Detections:
    """All of the detector's answers, those too that score too low to be shown."""
    return detector.postprocess(trace.batch, trace.features, trace.scored)[index]


def _places(answers: Detections, pairs: Pairs) -> Tensor:
    """The place of the answer that names each pair's region, −1 where none does."""
    place = torch.full_like(pairs.region, -1)
    region = answers.region.cpu()
    place[torch.searchsorted(pairs.region, region)] = torch.arange(len(region))
    return place


def _first_of_equals(trace: Trace, detector: Detector, index: int) -> PairFates:
    """Of equal boxes the best one is kept, as far as the limit goes."""
    pairs = _all_pairs(trace, index)
    place = _places(_answers(trace, detector, index), pairs)
    _, group = torch.unique(pairs.boxes, dim=0, return_inverse=True)
    groups = int(group.max()) + 1 if len(group) else 0
    winner = torch.full((groups,), -1).scatter_reduce(0, group, place, "amax")[group]
    outcome = torch.full_like(place, int(Outcome.BEYOND_LIMIT))
    outcome[winner >= 0] = int(Outcome.SUPPRESSED)
    outcome[place >= 0] = int(Outcome.KEPT)
    return PairFates(pairs, outcome, winner, (winner >= 0).float())


def _named(trace: Trace, detector: Detector, index: int) -> PairFates:
    """What an answer names is kept; the rest gave way to the answer that overlaps it most."""
    pairs, answers = _all_pairs(trace, index), _answers(trace, detector, index)
    place = _places(answers, pairs)
    outcome = torch.full_like(place, int(Outcome.BELOW_SCORE))
    iou, by = torch.zeros_like(pairs.scores), place
    if len(answers):
        boxes = trace.batch.frames[index].to_prepared(answers.boxes.cpu())
        table = geometry.iou(pairs.boxes, boxes.float())
        better = answers.scores.cpu()[None] >= pairs.scores[:, None]
        iou, nearest = table.where(better, torch.tensor(0.0)).max(dim=1)
        lost = (place < 0) & (iou > 0)
        outcome[lost] = int(Outcome.SUPPRESSED)
        by = torch.where(lost, nearest, place)
    outcome[place >= 0] = int(Outcome.KEPT)
    return PairFates(pairs, outcome, by, torch.where(place >= 0, 1.0, iou))


def _joined(trace: Trace, detector: BottomUp, index: int) -> PairFates:
    """Candidate parts: whose they are, and what became of that person."""
    pairs, rule = _all_pairs(trace, index), detector.decoding
    answers = _answers(trace, detector, index)
    people, score = detector.people(trace.scored)
    own = trace.scored.regions.image.cpu()[people.amax(1)] == index
    place = torch.full((len(people),), -1)
    for row, region in enumerate(answers.region.tolist()):
        place[(people == region).any(1)] = row
    rows = people[:, detector.points]
    fate = torch.full_like(place, int(Outcome.BEYOND_LIMIT))
    fate[score < rule.score] = int(Outcome.BELOW_SCORE)
    fate[(rows >= 0).sum(1) < rule.least_parts] = int(Outcome.TOO_FEW_PARTS)
    fate[place >= 0] = int(Outcome.KEPT)
    outcome, by = torch.full_like(pairs.region, int(Outcome.UNJOINED)), pairs.region * 0 - 1
    for person in own.nonzero()[:, 0].tolist():
        members = torch.searchsorted(pairs.region, people[person][people[person] >= 0])
        outcome[members], by[members] = fate[person], place[person]
    return PairFates(pairs, outcome, by, (by >= 0).float())
