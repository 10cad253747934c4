"""How far a run is before each step: decided once a step, so that a run by the clock can be
repeated.

The share of a budget of minutes depends on how fast the machine is. It is read in thousandths, once
for each step (the loader, which is ahead, may be the first to ask), and what was read is kept:
learning rate, image sizes, the calm end, evaluations and the last step all follow from it.
"""

from bisect import bisect_right
from collections.abc import Sequence

from sightline.errors import UsageError
from sightline.train.course import Progress
from sightline.train.schedule import Budget

PARTS = 1000
"""A run by the clock moves in so many parts."""

Marks = Sequence[Sequence[int]]
"""(step, thousandths) wherever the thousandths change: they hold from that 0-based step on."""


class Pace:
    """The share of `budget` that is spent before a step; its marks are kept in a `Progress`."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._decided = 0

    def fraction(self, step: int, at: Progress) -> float:
        """The share before 0-based `step`; for one that was asked about before, the same again.

        Only that the time is over is seen at once: the step that is next is then the end.
        """
        if self.budget.steps is not None:
            return self.budget.fraction(step, at.seconds)
        if at.repeats:
            return _at(at.marks, step) / PARTS
        now = int(PARTS * self.budget.fraction(step, at.seconds))
        if now >= PARTS and step == at.step:
            self._keep(step, at)
            at.marks.append([step, PARTS])
        elif step >= self._decided and (not at.marks or at.marks[-1][1] < now):
            at.marks.append([step, now])
        self._decided = max(self._decided, step + 1)
        return _at(at.marks, step) / PARTS

    def go_on(self, at: Progress) -> None:
        """Go on from where a saved run is: what was decided about later steps is forgotten."""
        if not at.repeats:
            self._keep(at.step, at)

    def _keep(self, step: int, at: Progress) -> None:
        at.marks = [mark for mark in at.marks if mark[0] < step]
        self._decided = step


def realised(at: Progress) -> list[list[int]]:
    """The marks of a run that is over, with its end; ended by patience, it ends there."""
    kept = [mark for mark in at.marks if mark[0] < at.step]
    return [*kept, [at.step, PARTS]]


def repeat(marks: Marks, at: Progress) -> None:
    """Let a run that begins follow the marks of another; UsageError for what are none."""
    try:
        pairs = [[int(step), int(parts)] for step, parts in marks]
    except (TypeError, ValueError):
        pairs = []
    steps, parts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rising = steps == sorted(set(steps)) and parts == sorted(parts)
    if not pairs or not rising or (steps[0], parts[-1]) != (0, PARTS) or parts[0] < 0:
        raise UsageError("no schedule of a run", code="train.record", hint="it was changed by hand")
    at.marks, at.repeats = pairs, True


def _at(marks: Marks, step: int) -> int:
    return marks[bisect_right(marks, step, key=lambda mark: mark[0]) - 1][1]
