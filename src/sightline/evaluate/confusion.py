"""Which class is taken for which: the confusion matrix, as numbers and as a picture."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from sightline.data.records import Dataset
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.matching import overlaps
from sightline.evaluate.pictures import new_figure, plain, save
from sightline.types import Detections

BACKGROUND = "background"

WRITTEN = 16
"""Up to so many classes the picture's cells hold their numbers."""


@dataclass(frozen=True)
class Confusion:
    """`matrix[i, j]`: so many objects of class i were found as class j.

    Row K, "background": detections where nothing is. Column K: objects that were not found.
    """

    matrix: Int64[ndarray, "side side"]
    classes: tuple[str, ...]
    score: float
    iou: float

    def to_json(self) -> dict[str, Any]:
        """Plain data; the names of rows and columns end with "background"."""
        return {
            "names": [*self.classes, BACKGROUND],
            "matrix": self.matrix.tolist(),
            "score": self.score,
            "iou": self.iou,
        }

    def pairs(self, limit: int = 10) -> list[tuple[str, str, int]]:
        """The most frequent confusions of two classes: (truth, taken for, how often)."""
        table = self.matrix[:-1, :-1].copy()
        np.fill_diagonal(table, 0)
        order = np.argsort(-table.ravel(), kind="stable")[:limit]
        places = [divmod(int(i), len(self.classes)) for i in order if table.flat[i] > 0]
        return [(self.classes[i], self.classes[j], int(table[i, j])) for i, j in places]

    def draw(self, path: str | Path) -> Path:
        """A PNG; colours are shares of each row, numbers are counts. Empty classes are left out."""
        used = (self.matrix.sum(axis=0) + self.matrix.sum(axis=1)) > 0
        used[-1] = True
        names = [n for n, u in zip([*self.classes, BACKGROUND], used, strict=True) if u]
        table = self.matrix[used][:, used]
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        side = max(4.5, 2.5 + 0.17 * len(names) + (0.3 * len(names) if len(names) < 20 else 0))
        figure = new_figure(side + 1, side)
        axes = figure.add_subplot()
        shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        size = 9 if len(names) <= WRITTEN else 6
        ticks = range(len(names))
        axes.set_xticks(ticks, [plain(n) for n in names], rotation=90, fontsize=size)
        axes.set_yticks(ticks, [plain(n) for n in names], fontsize=size)
        axes.set(xlabel="found as", ylabel="truth")
        axes.set_title(f"Confusion at score > {self.score:g}, IoU ≥ {self.iou:g}", fontsize=11)
        if len(names) <= WRITTEN:
            for (i, j), count in np.ndenumerate(table):
                if count:
                    colour = "white" if share[i, j] > 0.5 else "black"
                    axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=8)
        figure.colorbar(shown, ax=axes, label="share of the row", shrink=0.8)
        return save(figure, path)


def confusion(
    dataset: Dataset, results: Iterable[Detections], score: float = 0.3, iou: float = 0.5
) -> Confusion:
    """The confusion matrix of the detections with a score greater than `score`.

    Objects and detections of an image are paired whatever their classes, best IoU first (≥ `iou`),
    each once; at equal IoU a pair of one class comes first, then the better score. Crowds are no
    objects, and detections that lie in one by `iou` of their area or more are left out. Raises what
    `columns.gather` raises.
    """
    return confusion_of(gather(dataset, results), score, iou)


def confusion_of(columns: Columns, score: float = 0.3, iou: float = 0.5) -> Confusion:
    """The confusion matrix of columns gathered before."""
    truth, found = columns.truth, columns.found
    last = len(columns.classes)
    matrix = np.zeros((last + 1, last + 1), np.int64)
    least = float(np.float32(score))  # scores are single precision: 0.3 is not above 0.3
    for all_rows, all_goals in columns.image_rows():
        rows = all_rows[found.scores[all_rows] > least]
        table = overlaps(found.boxes[rows], truth.boxes[all_goals], truth.crowd[all_goals])
        crowd = truth.crowd[all_goals]
        goals = all_goals[~crowd]
        pairs = _pair(
            table[:, ~crowd], found.label[rows], truth.label[goals], found.scores[rows], iou
        )
        paired = np.array(pairs, np.int64).reshape(-1, 2)
        np.add.at(matrix, (truth.label[goals[paired[:, 1]]], found.label[rows[paired[:, 0]]]), 1)
        loose = np.ones(len(rows), bool)
        loose[paired[:, 0]] = False
        loose &= ~(table[:, crowd] >= iou).any(axis=1)
        unfound = np.ones(len(goals), bool)
        unfound[paired[:, 1]] = False
        np.add.at(matrix, (last, found.label[rows[loose]]), 1)
        np.add.at(matrix, (truth.label[goals[unfound]], last), 1)
    return Confusion(matrix, columns.classes, score, iou)


def _pair(
    table: ndarray, found: ndarray, truth: ndarray, scores: ndarray, iou: float
) -> list[tuple[int, int]]:
    """Pairs (detection, object), each used once, best IoU first."""
    rows, goals = np.nonzero(table >= iou)
    same = found[rows] == truth[goals]
    order = np.lexsort((-scores[rows], ~same, -table[rows, goals]))
    pairs: list[tuple[int, int]] = []
    left, right = set(range(len(found))), set(range(len(truth)))
    for row, goal in zip(rows[order].tolist(), goals[order].tolist(), strict=True):
        if row in left and goal in right:
            pairs.append((row, goal))
            left.remove(row)
            right.remove(goal)
    return pairs
