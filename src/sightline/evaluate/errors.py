"""What kinds of mistakes cost how much: TIDE (Bolya, Foley, Hays, Hoffman, ECCV 2020).

Every false positive has one of five causes, told by its largest IoU with the image's objects, of
its own class (own) and of others (other); a foreground t_f = 0.5 and a background t_b = 0.1:

    localisation     t_b ≤ own < t_f: the right class, badly placed
    classification   other ≥ t_f: well placed, the wrong class
    duplicate        own ≥ t_f, but a better detection has that object
    background       own, other < t_b: nothing is there
    both             what remains: badly placed and of the wrong class

The order of the first three is that of the list, as in the authors' program. An object is missed
when nothing found it and no classification or localisation error points at it. The weight of a
cause is dAP: how much AP at t_f rises when an oracle mends just these errors (§2.3 of the paper).
A class whose last object an oracle forgives is no part of the mean any more. The six weights do
not sum to what is missing to AP 1.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from sightline.data.records import Dataset
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.matching import Matches, average_precision, match, overlaps, ranked
from sightline.types import Detections

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")


@dataclass(frozen=True)
class Errors:
    """TIDE's answer.

    `AP` is at the foreground threshold; `dAP` what mending each kind would add, and beside the six
    kinds what no false positive at all (`false_positives`) and no missed object at all
    (`false_negatives`) would; all None without ground truth. `counts` are how many of each kind;
    `images` how many errors of each kind lie in each image of the data set (its worst images).
    """

    AP: float | None
    dAP: Mapping[str, float | None]  # noqa: N815 - the paper's name
    counts: Mapping[str, int]
    images: Mapping[str, Int64[ndarray, "images"]]

    def worst(self, limit: int = 10) -> list[int]:
        """The images (indices of the data set) with the most errors, worst first."""
        total = np.sum(list(self.images.values()), axis=0)
        order = np.argsort(-total, kind="stable")[:limit]
        return [int(i) for i in order if total[i] > 0]

    def to_json(self) -> dict[str, Any]:
        """Plain data: AP, dAP and counts by kind."""
        return {"AP": self.AP, "dAP": dict(self.dAP), "counts": dict(self.counts)}

    def summary(self) -> str:
        """A table for people, AP in per cent."""
        lines = [f"{'error':16}{'dAP':>7}{'count':>8}"]
        for kind, gain in self.dAP.items():
            count = self.counts.get(kind)
            share = "–" if gain is None else f"{100 * gain:.1f}"
            lines.append(f"{kind:16}{share:>7}{'' if count is None else count:>8}")
        whole = "–" if self.AP is None else f"{100 * self.AP:.1f}"
        return "\n".join([*lines, f"{'AP now':16}{whole:>7}"])


@dataclass(frozen=True)
class _World:
    """Ranked answers, as they are or as an oracle mends them: what AP is computed from."""

    label: Int64[ndarray, "D"]
    hit: Bool[ndarray, "D"]
    keep: Bool[ndarray, "D"]
    objects: Int64[ndarray, "K"]


def tide(
    dataset: Dataset,
    results: Iterable[Detections],
    foreground: float = 0.5,
    background: float = 0.1,
) -> Errors:
    """TIDE's six errors of `results`, one `Detections` an image in the data set's order.

    Boxes only; detections in crowds and after the 100th of a class in an image are left out.
    Raises what `columns.gather` raises.
    """
    return errors_of(gather(dataset, results), foreground, background)


def errors_of(columns: Columns, foreground: float = 0.5, background: float = 0.1) -> Errors:
    """The errors of columns gathered before."""
    matches = match(columns, foreground)
    kind, target = _causes(columns, matches, foreground, background)
    missed = (matches.found < 0) & ~columns.truth.crowd
    pointed = target[target >= 0]
    unfound = missed.copy()
    missed[pointed] = False
    world = _World(
        columns.found.label, matches.hits, ~matches.ignored, columns.counts.astype(np.int64)
    )
    order = ranked(columns.found.scores)
    now = _mean_ap(world, order)

    def gain(mended: _World) -> float | None:
        then = _mean_ap(mended, order)
        # mending may leave nothing to find: then nothing is missing any more
        return None if now is None else (1.0 if then is None else then) - now

    mend: dict[str, Callable[[], _World]] = {
        name: lambda name=name: _suppress(world, kind == name)  # type: ignore[misc]
        for name in ("both", "duplicate", "background")
    }
    for name in ("classification", "localisation"):
        mend[name] = lambda name=name: _correct(  # type: ignore[misc]
            world, columns, matches, np.where(kind == name, target, -1)
        )
    mend["missed"] = lambda: _forget(world, columns, missed)
    mend["false_positives"] = lambda: _suppress(world, ~world.hit)
    mend["false_negatives"] = lambda: _forget(world, columns, unfound)
    where = {name: columns.found.image[kind == name] for name in KINDS[:-1]}
    where["missed"] = columns.truth.image[missed]
    return Errors(
        AP=now,
        dAP={name: gain(mend[name]()) for name in (*KINDS, "false_positives", "false_negatives")},
        counts={name: len(where[name]) for name in KINDS},
        images={name: np.bincount(where[name], minlength=columns.images) for name in KINDS},
    )


def _causes(
    columns: Columns, matches: Matches, foreground: float, background: float
) -> tuple[ndarray, Int64[ndarray, "D"]]:
    """The kind of each false positive ("" for others), and the object (row) that it was after."""
    truth, found = columns.truth, columns.found
    kind = np.full(len(found), "", dtype="U16")
    target = np.full(len(found), -1)
    wrong = ~matches.hits & ~matches.ignored
    for all_rows, all_goals in columns.image_rows():
        rows, goals = all_rows[wrong[all_rows]], all_goals[~truth.crowd[all_goals]]
        if not len(rows):
            continue
        if not len(goals):
            kind[rows] = "background"
            continue
        table = overlaps(found.boxes[rows], truth.boxes[goals], truth.crowd[goals])
        same = found.label[rows][:, None] == truth.label[goals][None, :]
        kind[rows], goal = causes(table, same, foreground, background)
        target[rows] = np.where(goal >= 0, goals[goal], -1)
    return kind, target


def causes(
    table: Float64[ndarray, "d g"],
    same: Bool[ndarray, "d g"],
    foreground: float,
    background: float,
) -> tuple[ndarray, Int64[ndarray, "d"]]:
    """The kind of each of an image's wrong detections, and the object that it was after, −1 where
    that is none. There is one object at least; `same` says where the classes agree.
    """
    own, other = np.where(same, table, -1.0), np.where(same, -1.0, table)
    best_own, best_other = own.max(axis=1), other.max(axis=1)
    local = (background <= best_own) & (best_own < foreground)
    named = ~local & (best_other >= foreground)
    twice = ~local & ~named & (best_own >= foreground)
    empty = ~(local | named | twice) & (np.maximum(best_own, best_other) < background)
    cases = [local, named, twice, empty]
    names = ["localisation", "classification", "duplicate", "background"]
    goal = np.where(local, own.argmax(axis=1), other.argmax(axis=1))
    return np.select(cases, names, "both"), np.where(local | named, goal, -1)


def _suppress(world: _World, rows: Bool[ndarray, "D"]) -> _World:
    """The oracle that takes detections away."""
    return replace(world, keep=world.keep & ~rows)


def _forget(world: _World, columns: Columns, rows: Bool[ndarray, "G"]) -> _World:
    """The oracle that lowers the number of objects to be found."""
    fewer = np.bincount(columns.truth.label[rows], minlength=len(world.objects))
    return replace(world, objects=world.objects - fewer)


def _correct(
    world: _World, columns: Columns, matches: Matches, target: Int64[ndarray, "D"]
) -> _World:
    """The oracle that gives detections their target's class and place.

    Where several claim one object then (one may have had it before), the best scored stays.
    """
    claim = np.where(target >= 0, target, matches.truth)
    rows = np.flatnonzero(claim >= 0)
    order = rows[ranked(columns.found.scores[rows])]
    _, first = np.unique(claim[order], return_index=True)
    best = np.zeros(len(claim), bool)
    best[order[first]] = True
    label = np.where(best, columns.truth.label[claim], world.label) if len(rows) else world.label
    return _World(label, best, world.keep & (best | (claim < 0)), world.objects)


def _mean_ap(world: _World, order: Int64[ndarray, "D"]) -> float | None:
    """AP over the classes that have objects."""
    order = order[world.keep[order]]
    scores = [
        average_precision(world.hit[order[world.label[order] == k]], int(count))
        for k, count in enumerate(world.objects)
    ]
    counted = [score for score in scores if score is not None]
    return float(np.mean(counted)) if counted else None
