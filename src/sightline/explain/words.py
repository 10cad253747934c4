"""What became of candidates and of objects, in words."""

from enum import IntEnum

from sightline.reasons import Outcome


class Stage(IntEnum):
    """How far an object came on its way to an answer: the furthest stage that it reached."""

    NOT_PROPOSED = 0
    """No region lies on it."""
    LOST_EARLY = 1
    """Regions lie on it, and none of them came as far as suppression."""
    WRONG_CLASS = 2
    LOW_SCORE = 3
    SUPPRESSED = 4
    """A neighbour's answer took its place."""
    BADLY_LOCALISED = 5
    MATCHED = 6

    @property
    def words(self) -> str:
        """The stage as people say it."""
        return STAGES[self]


STAGES: dict[Stage, str] = {
    Stage.NOT_PROPOSED: "no region proposed",
    Stage.LOST_EARLY: "lost before suppression",
    Stage.WRONG_CLASS: "wrong class",
    Stage.LOW_SCORE: "low score",
    Stage.SUPPRESSED: "suppressed by its neighbour",
    Stage.BADLY_LOCALISED: "badly localised",
    Stage.MATCHED: "matched",
}

OUTCOMES: dict[Outcome, str] = {
    Outcome.BELOW_SCORE: "below the threshold",
    Outcome.NON_FINITE: "not finite",
    Outcome.BEYOND_LEVEL: "not among the best of its level",
    Outcome.BEYOND_CLASS: "not among the best of its class",
    Outcome.OUTSIDE: "outside the image",
    Outcome.TOO_SMALL: "too small",
    Outcome.UNJOINED: "joined to no other part",
    Outcome.TOO_FEW_PARTS: "one of too few parts",
    Outcome.SUPPRESSED: "suppressed",
    Outcome.MERGED: "merged into a better one",
    Outcome.BEYOND_LIMIT: "beyond the limit",
    Outcome.KEPT: "kept",
}


def told(outcome: Outcome, by: int, iou: float) -> str:
    """One candidate's reason in words; answers are counted from 1."""
    words = OUTCOMES[outcome]
    if by < 0:
        return words
    if outcome == Outcome.KEPT:
        return f"kept as #{by + 1}"
    if outcome == Outcome.MERGED:
        return f"merged into #{by + 1}, IoU {iou:.2f}"
    return f"{words} by #{by + 1} at IoU {iou:.2f}"
