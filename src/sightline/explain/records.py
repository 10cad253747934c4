"""What became of candidates, objects and answers of one image: the records that are passed on."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from sightline.explain.words import Stage, told
from sightline.reasons import Outcome, Outcomes

Box = tuple[float, ...]
"""x1, y1, x2, y2 in pixels of the original image."""


@dataclass(frozen=True)
class ObjectFate:
    """How far one object came, and which candidate took it there.

    `row` is its place among the image's objects, `label` the detector's class (−1: unknown to it).
    `region` is the candidate that came furthest (−1: none), `why` what became of that, with `score`
    and `overlap` (IoU with the object, of the best candidate where none lies on it); `by` the place
    of the answer by whose doing (−1: none), at `iou`. `first` says that `why` is the first stage's.
    """

    row: int
    name: str
    label: int
    box: Box
    stage: Stage
    why: Outcome | None = None
    region: int = -1
    score: float | None = None
    overlap: float = 0.0
    by: int = -1
    iou: float = 0.0
    first: bool = False

    def because(self, stage: Stage, other: "ObjectFate") -> "ObjectFate":
        """The same object, with the reason that the first stage gives."""
        why = None if other.why == Outcome.KEPT else other.why
        return replace(
            self,
            stage=stage,
            why=why,
            overlap=max(self.overlap, other.overlap),
            by=-1 if why is None else other.by,
            iou=0.0 if why is None else other.iou,
            first=True,
        )

    def text(self) -> str:
        """One line for people."""
        if self.stage is Stage.MATCHED:
            return f"matched by #{self.by + 1}, {self.score:.2f}, at IoU {self.overlap:.2f}"
        words = [self.stage.words]
        if self.label < 0:
            words.append("the model does not know this class")
        if self.stage is Stage.BADLY_LOCALISED and self.by >= 0:
            words.append(f"#{self.by + 1} overlaps it by {self.overlap:.2f}")
        elif self.why is not None:
            stage = "first stage: " if self.first else "its best candidate: "
            words.append(stage + told(self.why, self.by, self.iou))
        if self.score is not None:
            words.append(f"score {self.score:.2f}")
        if self.stage is Stage.NOT_PROPOSED:
            words.append(f"best overlap {self.overlap:.2f}")
        return "; ".join(words)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "object": self.row,
            "label": self.name,
            "box": list(self.box),
            "stage": self.stage.name.lower(),
            "why": None if self.why is None else self.why.name.lower(),
            "region": None if self.region < 0 else self.region,
            "score": self.score,
            "overlap": self.overlap,
            "by": None if self.by < 0 else self.by,
            "iou": self.iou,
            "first_stage": self.first,
            "text": self.text(),
        }


@dataclass(frozen=True)
class Answer:
    """One of the answers. `kind` is "right", one of TIDE's kinds of errors, "ignored" or "foreign"
    (None without the truth); `owner` the object that it found, −1 where none.
    """

    name: str
    score: float
    box: Box
    kind: str | None = None
    owner: int = -1


@dataclass(frozen=True)
class Lost:
    """One image's story. `candidates` are the regions, each with its one reason; `objects` those
    that are no crowds; `first` the same of the stage that proposed the regions, where it was asked.
    """

    classes: tuple[str, ...]
    candidates: Outcomes
    objects: tuple[ObjectFate, ...]
    answers: tuple[Answer, ...]
    first: "Lost | None" = None

    def stages(self) -> dict[Stage, int]:
        """How many objects came how far; together all of them."""
        count = Counter(one.stage for one in self.objects)
        return {stage: count[stage] for stage in Stage}

    def reasons(self) -> dict[Outcome, int]:
        """How many candidates met each end; together all of them."""
        return self.candidates.count()

    def reason(self, place: int) -> str:
        """What became of the candidate at a place among `candidates`, in words."""
        one = self.candidates
        return told(Outcome(int(one.outcome[place])), int(one.by[place]), float(one.iou[place]))

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Plain data; of the candidates the `limit` best scored (None: all), and counts of all."""
        one = self.candidates
        order = one.score.sort(descending=True, stable=True).indices[:limit].tolist()
        rows = [
            {
                "region": int(one.region[i]),
                "label": self.classes[int(one.label[i])],
                "score": float(one.score[i]) if bool(one.score[i].isfinite()) else None,
                "outcome": Outcome(int(one.outcome[i])).name.lower(),
                "by": None if int(one.by[i]) < 0 else int(one.by[i]),
                "iou": float(one.iou[i]),
            }
            for i in order
        ]
        answers = [
            {
                "label": answer.name, "score": answer.score, "box": list(answer.box),
                "kind": answer.kind, "object": None if answer.owner < 0 else answer.owner,
            }
            for answer in self.answers
        ]  # fmt: skip
        return {
            "reasons": {key.name.lower(): value for key, value in self.reasons().items()},
            "stages": {key.name.lower(): value for key, value in self.stages().items()},
            "candidates": rows,
            "objects": [fate.to_json() for fate in self.objects],
            "answers": answers,
            "first_stage": None if self.first is None else self.first.to_json(limit),
        }
