"""Every stage that an object can reach, each by a small scene made for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.data.records import Objects
from sightline.detectors.anchored import OnePass
from sightline.errors import UsageError
from sightline.explain import Stage, lost
from sightline.pipeline import Trace
from sightline.preparation import Preparation
from sightline.reasons import Outcome
from sightline.suppress import Selection, select
from sightline.types import Batch, Features, Frame, Regions, Scored

CLASSES = ("cat", "dog")
FRAME = Frame((100, 150), (100, 150))
CAT = [10.0, 10, 50, 50]
"""Where the cat is."""


class Stub(OnePass):
    """A detector whose answers are what was written down."""

    def __init__(self, scored: Scored, selection: Selection) -> None:
        super().__init__(CLASSES, torch.nn.Identity(), Preparation(), selection)
        self.scored = scored

    def propose(self, batch: Batch, features: Features) -> Regions:
        return self.scored.regions

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        return self.scored


def scene(
    rows: list[tuple[list[float], list[float]]], selection: Selection | None = None
) -> tuple[Trace, Stub]:
    """A trace of (box, scores) regions, and the detector that it is of."""
    rule = Selection(score=0.3) if selection is None else selection
    boxes = torch.tensor([box for box, _ in rows]).reshape(-1, 4)
    scores = torch.tensor([each for _, each in rows]).reshape(-1, 2)
    none = torch.zeros(len(rows), dtype=torch.int64)
    batch = Batch(torch.zeros(1, 3, 100, 150), (FRAME,))
    regions = Regions(boxes, none, none)
    scored = Scored(regions, scores, boxes)
    answers = select(scored, batch, rule, CLASSES)
    return Trace(batch, (), regions, scored, answers), Stub(scored, rule)


FAR = ([100.0, 60, 140, 90], [0.9, 0.0])
STAGES = {
    "matched": ([(CAT, [0.8, 0.1])], None, Stage.MATCHED, Outcome.KEPT),
    "nothing near": ([FAR], None, Stage.NOT_PROPOSED, None),
    "no regions": ([], None, Stage.NOT_PROPOSED, None),
    "beyond its level": (
        [FAR, (CAT, [0.5, 0.0])],
        Selection(score=0.3, per_level=1),
        Stage.LOST_EARLY,
        Outcome.BEYOND_LEVEL,
    ),
    "too small": (
        [(CAT, [0.5, 0.0])],
        Selection(score=0.3, min_size=60),
        Stage.LOST_EARLY,
        Outcome.TOO_SMALL,
    ),
    "taken for a dog": ([(CAT, [0.1, 0.9])], None, Stage.WRONG_CLASS, Outcome.KEPT),
    "unsure": ([(CAT, [0.2, 0.1])], None, Stage.LOW_SCORE, Outcome.BELOW_SCORE),
    "beyond the limit": (
        [FAR, (CAT, [0.5, 0.0])],
        Selection(score=0.3, limit=1),
        Stage.LOW_SCORE,
        Outcome.BEYOND_LIMIT,
    ),
    "badly placed": (
        [([10.0, 10, 28, 50], [0.8, 0.0]), (CAT, [0.2, 0.0])],
        None,
        Stage.BADLY_LOCALISED,
        Outcome.KEPT,
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage(name: str) -> None:
    rows, selection, stage, why = STAGES[name]
    trace, detector = scene(rows, selection)
    story = lost(trace, detector, Objects.of([CAT], [0]), CLASSES)
    (fate,) = story.objects
    assert (fate.stage, fate.why) == (stage, why)
    assert fate.name == "cat" and fate.text().startswith(stage.words)
    assert sum(story.reasons().values()) == len(rows)


def test_what_a_neighbour_suppressed_and_what_its_answer_took() -> None:
    """Two cats side by side: the second's own candidate gives way; or both have one candidate."""
    other = [22.0, 10, 62, 50]  # IoU 28/52 with the first
    pair = Objects.of([CAT, other], [0, 0])
    trace, detector = scene([(CAT, [0.9, 0]), (other, [0.8, 0])], Selection(score=0.3, iou=0.4))
    told = lost(trace, detector, pair, CLASSES).objects[1]
    assert (told.stage, told.why, told.by) == (Stage.SUPPRESSED, Outcome.SUPPRESSED, 0)
    assert told.iou == pytest.approx(28 / 52) and "#1 at IoU 0.54" in told.text()
    trace, detector = scene([([16.0, 10, 56, 50], [0.9, 0])])
    first, second = lost(trace, detector, pair, CLASSES).objects
    assert {first.stage, second.stage} == {Stage.MATCHED, Stage.SUPPRESSED}
    assert {first.why, second.why} == {Outcome.KEPT}  # one candidate for both


def test_classes_are_matched_by_name_and_crowds_are_no_objects() -> None:
    trace, detector = scene([(CAT, [0.9, 0.1]), (FAR[0], [0.1, 0.9])])
    truth = Objects.of([CAT, FAR[0], [0, 0, 150, 100]], [1, 0, 1])
    truth = replace(truth, crowd=np.array([False, False, True]))
    story = lost(trace, detector, truth, ("hen", "cat"))
    assert [one.stage for one in story.objects] == [Stage.MATCHED, Stage.WRONG_CLASS]
    assert "does not know" in story.objects[1].text()
    assert [one.kind for one in story.answers] == ["right", "foreign"]
    with pytest.raises(UsageError, match="2 classes"):
        lost(trace, detector, Objects.of([CAT], [2]), ("hen", "cat"))


def test_a_score_to_show_from_counts_like_the_detectors_own() -> None:
    trace, detector = scene([(CAT, [0.9, 0]), (FAR[0], [0.5, 0]), ([100, 62, 140, 90], [0.4, 0])])
    shown = replace(trace, detections=[trace.detections[0].above(0.6)])
    truth = Objects.of([CAT, FAR[0]], [0, 0])
    story = lost(shown, detector, truth, CLASSES)
    assert [one.stage for one in story.objects] == [Stage.MATCHED, Stage.LOW_SCORE]
    assert story.reasons()[Outcome.BELOW_SCORE] == 2 and story.reasons()[Outcome.KEPT] == 1
    assert story.reason(0) == "kept as #1" and story.reason(2) == "below the threshold"


def test_wrong_answers_have_a_kind_and_crowds_excuse() -> None:
    rows = [(CAT, [0.9, 0]), (FAR[0], [0.1, 0.8]), ([70.0, 5, 80, 15], [0.7, 0])]
    trace, detector = scene(rows)
    truth = Objects.of([CAT, FAR[0], [65, 0, 95, 30]], [0, 0, 0])
    story = lost(trace, detector, truth, CLASSES)
    kinds = {one.name + str(round(one.score, 1)): one.kind for one in story.answers}
    assert kinds == {"cat0.9": "right", "dog0.8": "classification", "cat0.7": "localisation"}
    truth = replace(truth, crowd=np.array([False, False, True]))
    story = lost(trace, detector, truth, CLASSES)
    assert story.answers[2].kind == "ignored"
