"""Precision against recall, and F1 against the score threshold, as numbers and as pictures."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from sightline.data.records import Dataset
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.matching import RECALLS, match, precision_at_recalls, ranked
from sightline.evaluate.pictures import ACCENT, QUIET, new_figure, plain, save
from sightline.types import Detections

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 10
"""So many classes get colours and names of their own; more stand behind their mean in grey."""


@dataclass(frozen=True)
class Curves:
    """One row for each class that has objects.

    `precision[k]` is interpolated as COCO does at the 101 recalls 0, 0.01, … 1; `f1[k]`,
    `recall_above[k]` and `precision_above[k]` belong to keeping detections with score > t for each
    t of `thresholds`. `precision_above` is 1 where nothing is kept.
    """

    classes: tuple[str, ...]
    iou: float
    precision: Float64[ndarray, "K 101"]
    thresholds: Float64[ndarray, "T"]
    f1: Float64[ndarray, "K T"]
    precision_above: Float64[ndarray, "K T"]
    recall_above: Float64[ndarray, "K T"]

    @property
    def best(self) -> tuple[float, float] | None:
        """The threshold with the best mean F1, and that F1; None without ground truth."""
        if not self.classes:
            return None
        mean = self.f1.mean(axis=0)
        place = int(mean.argmax())
        return float(self.thresholds[place]), float(mean[place])

    def to_json(self) -> dict[str, Any]:
        """Plain data: recalls, thresholds and every class's curves by name."""
        parts = {
            "precision": self.precision,
            "f1": self.f1,
            "precision_above": self.precision_above,
            "recall_above": self.recall_above,
        }
        named = {
            title: dict(zip(self.classes, rows.tolist(), strict=True))
            for title, rows in parts.items()
        }
        axes = {"recall": RECALLS.tolist(), "thresholds": self.thresholds.tolist()}
        return {"iou": self.iou, **axes, **named, "best": self.best}

    def draw_precision_recall(self, path: str | Path) -> Path:
        """A PNG of precision against recall, each class and their mean."""
        title = f"Precision and recall at IoU {self.iou:g}"
        figure = new_figure(7, 5)
        axes = figure.add_subplot()
        values = self.precision.mean(axis=1) if self.classes else np.zeros(0)
        mean = (
            f"mean of {len(self.classes)} classes: AP{100 * self.iou:.0f} {100 * _mean(values):.1f}"
        )
        labels = [f"{c}: {100 * v:.1f}" for c, v in zip(self.classes, values, strict=True)]
        _lines(axes, RECALLS, self.precision, labels, mean)
        axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        return save(figure, path)

    def draw_f1(self, path: str | Path) -> Path:
        """A PNG of F1 against the score threshold, each class and their mean."""
        figure = new_figure(7, 5)
        axes = figure.add_subplot()
        mean = "mean"
        if self.best is not None:
            threshold, value = self.best
            mean = f"mean of {len(self.classes)} classes: best {value:.2f} above {threshold:.2f}"
            axes.axvline(threshold, color=ACCENT, linestyle=":", linewidth=1)
        _lines(axes, self.thresholds, self.f1, list(self.classes), mean)
        axes.set(title=f"F1 at IoU {self.iou:g}", xlabel="score threshold", ylabel="F1")
        axes.set(xlim=(self.thresholds[0], self.thresholds[-1]), ylim=(0, 1.02))
        return save(figure, path)


def _mean(values: ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _lines(axes: "Axes", x: ndarray, rows: ndarray, labels: list[str], mean: str) -> None:
    """One line a class and a thick one for their mean."""
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if not len(rows):
        axes.text(0.5, 0.5, "no objects to find", ha="center", transform=axes.transAxes)
        return
    for row, label in zip(rows, labels, strict=True):
        if len(rows) <= NAMED:
            axes.plot(x, row, linewidth=1.1, label=plain(label))
        else:
            axes.plot(x, row, linewidth=0.6, color=QUIET)
    axes.plot(x, rows.mean(axis=0), linewidth=2.6, color=ACCENT, label=mean)
    axes.legend(frameon=False, fontsize=8, loc="best")


def curves(dataset: Dataset, results: Iterable[Detections], iou: float = 0.5) -> Curves:
    """The curves of `results`, one `Detections` an image in the data set's order.

    Matching is COCO's: crowds are ignored, at most 100 detections of a class in an image count.
    Raises what `columns.gather` raises.
    """
    return curves_of(gather(dataset, results), iou)


def curves_of(columns: Columns, iou: float = 0.5) -> Curves:
    """The curves of columns gathered before."""
    matches = match(columns, iou)
    scores = columns.found.scores
    low, high = (min(0.0, scores.min()), max(1.0, scores.max())) if len(scores) else (0.0, 1.0)
    thresholds = np.linspace(low, high, 201)
    order = ranked(scores)
    order = order[~matches.ignored[order]]
    present = [k for k, count in enumerate(columns.counts) if count]
    precision = np.empty((len(present), len(RECALLS)))
    f1, exact, reached = (np.empty((len(present), len(thresholds))) for _ in range(3))
    for row, k in enumerate(present):
        rows = order[columns.found.label[order] == k]
        hits, objects = matches.hits[rows], int(columns.counts[k])
        precision[row] = precision_at_recalls(hits, objects)
        kept = np.searchsorted(-scores[rows], -thresholds, side="left")
        right = np.concatenate([[0], np.cumsum(hits)])[kept]
        f1[row] = 2 * right / (kept + objects)
        exact[row] = np.where(kept > 0, right / np.maximum(kept, 1), 1.0)
        reached[row] = right / objects
    names = tuple(columns.classes[k] for k in present)
    return Curves(names, iou, precision, thresholds, f1, exact, reached)
