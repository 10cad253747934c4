"""Who found what at one IoU threshold, by COCO's rules; and precision over ranked answers.

COCO's own figures come from hotcoco; curves, confusion and error types need to know *which*
detection is right, and get it here. Letters: G objects, D detections.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from sightline import boxes as geometry
from sightline.evaluate.columns import Columns

RECALLS = np.linspace(0.0, 1.0, 101)
"""Where COCO reads precision."""

LIMIT = 100
"""Detections of one class in one image that count."""


@dataclass(frozen=True)
class Matches:
    """For each detection the object (row) that it found, −1 where none; and the other way round.

    `ignored` detections are neither right nor wrong: they lie in a crowd, or come after the 100th
    of their class in their image.
    """

    truth: Int64[ndarray, "D"]
    found: Int64[ndarray, "G"]
    ignored: Bool[ndarray, "D"]

    @property
    def hits(self) -> Bool[ndarray, "D"]:
        """Which detections are right."""
        return self.truth >= 0


def overlaps(
    found: Float64[ndarray, "d 4"], truth: Float64[ndarray, "g 4"], crowd: Bool[ndarray, "g"]
) -> Float64[ndarray, "d g"]:
    """IoU of detections with objects; with crowds the share of the detection that lies inside."""
    a, b = torch.from_numpy(found), torch.from_numpy(truth)
    shared = geometry.iou(a, b)
    if crowd.any():
        column = torch.from_numpy(crowd)
        shared[:, column] = geometry.coverage(a, b[column])
    answer: ndarray = shared.numpy()
    return answer


def match(columns: Columns, iou: float = 0.5) -> Matches:
    """Match detections to objects of their class, best score first, each to its best free object.

    An IoU of exactly `iou` is enough. Objects come before crowds, which any number may match.
    """
    truth, found = columns.truth, columns.found
    answer = Matches(
        np.full(len(found), -1), np.full(len(truth), -1), np.zeros(len(found), dtype=bool)
    )
    least = min(iou, 1 - 1e-10)
    for rows, goals in columns.image_rows():
        if len(rows):
            cap(answer.ignored, rows, found.label[rows], found.scores[rows])
        if len(rows) and len(goals):
            _match_image(answer, columns, rows, goals, least)
    return answer


def cap(ignored: ndarray, rows: ndarray, labels: ndarray, scores: ndarray) -> None:
    """Ignore what comes after the 100th detection of a class in one image."""
    if len(rows) > LIMIT:
        order = np.lexsort((-scores, labels))
        ranked = labels[order]
        rank = np.arange(len(rows)) - np.searchsorted(ranked, ranked)
        ignored[rows[order[rank >= LIMIT]]] = True


def _match_image(
    answer: Matches, columns: Columns, rows: ndarray, goals: ndarray, least: float
) -> None:
    """Fill in the matches of one image, greedily."""
    truth, found, crowd = columns.truth, columns.found, columns.truth.crowd[goals]
    table = overlaps(found.boxes[rows], truth.boxes[goals], crowd)
    table[found.label[rows][:, None] != truth.label[goals][None, :]] = -1
    order = ranked(found.scores[rows])
    owner, ignored = assign(table, order[~answer.ignored[rows[order]]], crowd, least)
    hits = owner >= 0
    answer.truth[rows[hits]] = goals[owner[hits]]
    answer.found[goals[owner[hits]]] = rows[hits]
    answer.ignored[rows[ignored]] = True


def assign(
    table: Float64[ndarray, "d g"],
    order: Int64[ndarray, "n"],
    crowd: Bool[ndarray, "g"],
    least: float,
) -> tuple[Int64[ndarray, "d"], Bool[ndarray, "d"]]:
    """The object of each detection, −1 where it has none, and which detections a crowd excuses.

    Those named by `order` choose in that order, each the best object that is still free and
    overlaps by `least`; `table` is negative where the classes differ.
    """
    owner, ignored = np.full(len(table), -1), np.zeros(len(table), bool)
    taken = np.zeros(table.shape[1], bool)
    for i in order[(table[order] >= least).any(axis=1)]:
        line = table[i]
        free = np.flatnonzero(~taken & ~crowd & (line >= least))
        if len(free):
            # of equally good objects the last, as COCO's loop leaves it
            best = free[len(free) - 1 - np.argmax(line[free][::-1])]
            taken[best] = True
            owner[i] = best
        elif (crowd & (line >= least)).any():
            ignored[i] = True
    return owner, ignored


def ranked(scores: Float[ndarray, "D"]) -> Int64[ndarray, "D"]:
    """Indices by falling score; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def precision_at_recalls(hits: Bool[ndarray, "D"], objects: int) -> Float64[ndarray, "101"]:
    """COCO's interpolated precision of answers in ranked order, at `RECALLS`.

    The best precision at this recall or a higher one; 0 beyond the highest recall reached.
    `objects` > 0 is how many there were to find.
    """
    right = np.cumsum(hits)
    recall = right / objects
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS, side="left")
    return np.concatenate([envelope, [0.0]])[np.minimum(place, len(hits))]


def average_precision(hits: Bool[ndarray, "D"], objects: int) -> float | None:
    """The mean of `precision_at_recalls`; None where there was nothing to find."""
    return float(precision_at_recalls(hits, objects).mean()) if objects > 0 else None
