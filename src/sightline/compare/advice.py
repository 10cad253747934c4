"""The recommendation in words: which model under which need, and where nobody can tell."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sightline.compare.rows import Row, Times
from sightline.evaluate.bootstrap import tied

LIMITS = ((30, 1000 / 30), (10, 1000 / 10))
"""Images a second that one thread is asked for, and the milliseconds that leaves for one."""

ALIKE = 1.05
"""Costs up to this many times the least are no reason to prefer one: a budget of time is nearly the
same for all, and so is the memory of the library itself.
"""

FEW = 100
"""Test images from which on an interval is not worth a warning."""


def advice(rows: Sequence[Row], times: Mapping[str, Times], images: int) -> list[str]:
    """Sentences: the most accurate, the best at each speed, the lightest, the quickest to train.

    Who ties with whom is told by the interval of their difference on the same resamples.
    """
    known = [row for row in rows if not row.failed and row.figures.get("AP") is not None]
    if not known:
        return ["No model has a figure: there is nothing to recommend."]
    if max(map(_ap, known)) == 0:
        return ["No model found anything here (AP 0): give them a longer budget, or a --start."]
    answer = [_best("Most accurate", known, times)]
    for rate, limit in LIMITS:
        quick = [r for r in known if r.name in times and times[r.name].milliseconds <= limit]
        need = f"Best at {rate} images a second on one thread"
        slow = f"{need}: none, the quickest takes {_quickest(known, times)}."
        answer.append(_best(need, quick, times) if quick else slow)
    answer += _least(
        "Least memory", known, times, lambda t: t.memory, lambda v: f"{v / 1e6:.0f} MB"
    )
    answer += _least("Least training", known, times, lambda t: t.training, lambda v: f"{v:.0f} s")
    spread = known[0].intervals.get("AP")
    if images < FEW and spread is not None:
        half = (spread[1] - spread[0]) / 2
        answer.append(
            f"With {images} test images an AP is known to about ±{half:.2f}: "
            "more of them would tell more than another model."
        )
    return answer


def _best(need: str, rows: Sequence[Row], times: Mapping[str, Times]) -> str:
    """The highest AP, and who cannot be told apart from it."""
    order = sorted(rows, key=_ap, reverse=True)
    first, equals = order[0], [row for row in order[1:] if are_tied(order[0], row)]
    said = f"{need}: {first.name} (AP {_ap(first):.3f}{_interval(first)})"
    if not equals:
        return said + (", clearly ahead of the others." if len(order) > 1 else ".")
    names = ", ".join(f"{row.name} ({_ap(row):.3f})" for row in equals)
    said += f", tied with {names}: the difference is within the noise of these images."
    quickest = min((first, *equals), key=lambda row: _milliseconds(row, times))
    if quickest.name in times and quickest is not first:
        said += (
            f" Of these {quickest.name} is the quickest ({_milliseconds(quickest, times):.0f} ms)."
        )
    return said


def _least(
    need: str,
    rows: Sequence[Row],
    times: Mapping[str, Times],
    value: Callable[[Times], float | None],
    shown: Callable[[float], str],
) -> list[str]:
    """The highest AP among those with the smallest of a figure of `Times`, where any is known."""
    given = [(cost, row) for row in rows if row.name in times and (cost := value(times[row.name]))]
    if not given:
        return []
    least = min(cost for cost, _ in given)
    near = [(cost, row) for cost, row in given if cost <= ALIKE * least]
    cost, row = max(near, key=lambda pair: _ap(pair[1]))
    return [f"{need}: {row.name} ({shown(cost)}, AP {_ap(row):.3f})."]


def are_tied(one: Row, other: Row) -> bool:
    """Whether the images cannot tell two rows apart."""
    first, second = (np.array(row.samples, np.float64) for row in (one, other))
    return len(first) != len(second) or tied(first, second)


def _ap(row: Row) -> float:
    return row.figures["AP"] or 0.0


def _interval(row: Row) -> str:
    spread = row.intervals.get("AP")
    return "" if spread is None else f", 95 %: {spread[0]:.3f}–{spread[1]:.3f}"


def _milliseconds(row: Row, times: Mapping[str, Times]) -> float:
    return times[row.name].milliseconds if row.name in times else float("inf")


def _quickest(rows: Sequence[Row], times: Mapping[str, Times]) -> str:
    row = min(rows, key=lambda one: _milliseconds(one, times))
    return f"{_milliseconds(row, times):.0f} ms ({row.name})"
