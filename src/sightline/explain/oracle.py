"""The oracle ladder: what AP would be if one stage after the other were perfect.

TIDE (Bolya 2020) asks what mending each kind of error is worth, seen from the answers alone. With
the stage that every object was lost at, the same can be asked of a detector's inside, in the order
of its stages:

    as it is             COCO's AP at one IoU
    perfect proposals    objects without a region, or whose regions were lost early, are found
    perfect classes      … also those of the wrong class or of a low score; answers on nothing and
                         answers of a wrong class are gone
    perfect boxes        … also those badly localised; so are badly placed answers
    perfect suppression  … also those that gave way to a neighbour; so are second answers

What an oracle finds it finds with certainty, before all else; what it has mended is not lost again
by a later stage, so each rung is an upper bound of what that stage can give. A right answer more at
the top, or a wrong one less, never lowers the precision at any recall: the ladder never goes down;
and every object and every wrong answer has its rung, so it ends at 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sightline.evaluate.matching import average_precision, ranked
from sightline.explain.records import Lost
from sightline.explain.words import Stage

RUNGS = (
    "as it is",
    "perfect proposals",
    "perfect classes",
    "perfect boxes",
    "perfect suppression",
)

FOUND_AT = {
    Stage.MATCHED: 0,
    Stage.NOT_PROPOSED: 1,
    Stage.LOST_EARLY: 1,
    Stage.WRONG_CLASS: 2,
    Stage.LOW_SCORE: 2,
    Stage.BADLY_LOCALISED: 3,
    Stage.SUPPRESSED: 4,
}
"""The rung from which on an object is found."""

GONE_AT = {"background": 2, "classification": 2, "localisation": 3, "both": 3, "duplicate": 4}
"""The rung from which on a wrong answer is gone."""


@dataclass(frozen=True)
class Ladder:
    """AP on every rung; all None where there are no objects."""

    values: Mapping[str, float | None]

    def gains(self) -> dict[str, float | None]:
        """What each rung adds to the one before."""
        rungs = list(self.values.items())
        return {
            name: None if value is None or before is None else value - before
            for (_, before), (name, value) in pairwise(rungs)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"AP": dict(self.values), "gains": self.gains()}


Sights = Iterable[tuple[list[tuple[str, Stage]], list[tuple[str, float, str]]]]
"""Of each image its objects (class, stage) and its answers (class, score, kind)."""


def sight(story: Lost) -> tuple[list[tuple[str, Stage]], list[tuple[str, float, str]]]:
    """What the ladder has to know of one image."""
    objects = [
        (one.name if one.label < 0 else story.classes[one.label], one.stage)
        for one in story.objects
    ]
    return objects, [(one.name, one.score, str(one.kind)) for one in story.answers]


def ladder(stories: Iterable[Lost]) -> Ladder:
    """The ladder of a detector, from what it lost in each image."""
    return ladder_of(map(sight, stories))


def ladder_of(sights: Sights) -> Ladder:
    """The same from `sight`s."""
    objects: list[tuple[str, Stage]] = []
    answers: list[tuple[str, float, str]] = []
    for some, others in sights:
        objects += some
        answers += [one for one in others if one[2] not in ("ignored", "foreign")]
    names = sorted({name for name, _ in objects})
    rows = {}
    for rung, title in enumerate(RUNGS):
        scores = [_ap(name, objects, answers, rung) for name in names]
        rows[title] = float(np.mean(scores)) if scores else None
    return Ladder(rows)


def _ap(
    name: str, objects: list[tuple[str, Stage]], answers: list[tuple[str, float, str]], rung: int
) -> float:
    """One class's AP on a rung."""
    found = [FOUND_AT[stage] for own, stage in objects if own == name]
    added = sum(0 < at <= rung for at in found)
    left = [
        (score, kind == "right")
        for own, score, kind in answers
        if own == name and GONE_AT.get(kind, len(RUNGS)) > rung
    ]
    order = ranked(np.array([score for score, _ in left], np.float64))
    hits = np.array([right for _, right in left], bool)[order]
    value = average_precision(np.concatenate([np.ones(added, bool), hits]), len(found))
    assert value is not None  # the class has objects
    return value
