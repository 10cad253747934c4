"""How well do proposals cover what is there, before anything says what it is?

Each object's *best overlap* is the highest IoU of any proposal of its image. From it: recall at an
IoU; ABO, the mean of a class, and MABO, the mean of the classes (Uijlings 2013, section 4.1); and
average recall, the mean of recall at IoU 0.50, 0.55, … 0.95. All of it at several numbers of
proposals, the best first. What a class is called plays no part in a match.

Letters: G objects, N numbers of proposals, R proposals of an image.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from sightline import boxes as geometry
from sightline.data.records import Dataset, Objects
from sightline.errors import DatasetError, UsageError
from sightline.evaluate.pictures import ACCENT, new_figure, save
from sightline.pipeline import Detector
from sightline.types import Detections

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERS = (100, 1000, 2000)
"""At how many proposals an image is judged; and at all of them."""

IOUS = np.linspace(0.5, 0.95, 10)
"""What average recall is the mean of."""

CURVE = np.unique(np.logspace(0, 4.5, 91).astype(int))
"""The numbers of proposals that the curves are drawn through."""


@dataclass(frozen=True)
class Figures:
    """Of the best `limit` proposals an image (None: all), `count` on average."""

    limit: int | None
    count: float
    recall: dict[float, float]
    mabo: float
    average_recall: float


@dataclass(frozen=True)
class ProposalReport:
    """Best overlaps of all objects, at every number of proposals that is asked for or drawn.

    `best[i]` are the overlaps at `numbers[i]` proposals, the last row those at all; `counts` are
    the proposals of each image; `labels` index `classes`.
    """

    best: Float64[ndarray, "N G"]
    numbers: Int64[ndarray, "N"]
    counts: Int64[ndarray, "I"]
    labels: Int64[ndarray, "G"]
    classes: tuple[str, ...]
    limits: tuple[int, ...] = NUMBERS

    def recall(self, iou: float, limit: int | None = None) -> float:
        """The share of objects with a proposal of at least this IoU among the best `limit`."""
        return float((self._row(limit) >= iou).mean())

    def abo(self, limit: int | None = None) -> dict[str, float]:
        """The average best overlap of each class that has objects."""
        row = self._row(limit)
        return {
            self.classes[k]: float(row[self.labels == k].mean()) for k in np.unique(self.labels)
        }

    def figures(self, limit: int | None = None) -> Figures:
        """All measures of the best `limit` proposals an image."""
        shown = self.counts if limit is None else np.minimum(self.counts, limit)
        return Figures(
            limit=limit,
            count=float(shown.mean()),
            recall={iou: self.recall(iou, limit) for iou in (0.5, 0.7)},
            mabo=float(np.mean(list(self.abo(limit).values()))),
            average_recall=float(np.mean([self.recall(iou, limit) for iou in IOUS])),
        )

    def _row(self, limit: int | None) -> Float64[ndarray, "G"]:
        if limit is None:
            return cast(ndarray, self.best[-1])
        place = int(np.searchsorted(self.numbers[:-1], limit))
        if place == len(self.numbers) - 1 or self.numbers[place] != limit:
            raise UsageError(
                f"nothing was measured at {limit} proposals",
                code="usage.value",
                hint="name it in the limits of `evaluate_proposals`",
            )
        return cast(ndarray, self.best[place])

    @property
    def rows(self) -> list[Figures]:
        """The figures at each limit, and of all proposals."""
        return [self.figures(limit) for limit in (*self.limits, None)]

    def summary(self) -> str:
        """A table for people."""
        images, objects = len(self.counts), len(self.labels)
        lines = [
            f"{images} images, {objects} objects of {len(self.abo())} classes",
            "proposals  an image  recall@0.5  recall@0.7   MABO     AR",
        ]
        for row in self.rows:
            name = "all" if row.limit is None else f"{row.limit:,}"
            lines.append(
                f"{name:>9}  {row.count:8.1f}  {row.recall[0.5]:10.3f}  {row.recall[0.7]:10.3f}"
                f"  {row.mabo:5.3f}  {row.average_recall:5.3f}"
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain data: the table, and the average best overlap of every class by all proposals."""
        rows = [
            {
                "limit": row.limit,
                "proposals": row.count,
                "recall": {f"{iou:g}": value for iou, value in row.recall.items()},
                "mabo": row.mabo,
                "average_recall": row.average_recall,
            }
            for row in self.rows
        ]
        return {
            "images": len(self.counts), "objects": len(self.labels), "rows": rows, "abo": self.abo()
        }  # fmt: skip

    def draw(self, path: str | Path, title: str = "Proposals") -> Path:
        """A PNG: recall and MABO against the number of proposals, recall against IoU."""
        figure = new_figure(10, 4.2)
        left, right = figure.subplots(1, 2)
        self._draw_numbers(left)
        self._draw_ious(right)
        figure.suptitle(title)
        return save(figure, path)

    def _draw_numbers(self, axes: "Axes") -> None:
        most = max(int(self.counts.max()), 2)
        numbers = [int(n) for n in self.numbers[:-1] if n < most] + [None]
        places = [most if n is None else n for n in numbers]
        for iou, style in ((0.5, "-"), (0.7, "--")):
            values = [self.recall(iou, n) for n in numbers]
            axes.plot(places, values, style, color=ACCENT, label=f"recall at IoU {iou:g}")
        mabo = [self.figures(n).mabo for n in numbers]
        axes.plot(places, mabo, color="#c0504d", label="MABO")
        axes.set(xscale="log", xlabel="proposals an image", xlim=(1, most))
        _finish(axes)

    def _draw_ious(self, axes: "Axes") -> None:
        grid = np.linspace(0.5, 1, 101)
        for row in self.rows:
            name = "all" if row.limit is None else f"best {row.limit:,}"
            values = [self.recall(iou, row.limit) for iou in grid]
            axes.plot(grid, values, label=f"{name}: AR {row.average_recall:.2f}")
        axes.set(xlabel="IoU", ylabel="recall", xlim=(0.5, 1))
        _finish(axes)


def _finish(axes: "Axes") -> None:
    axes.set_ylim(0, 1.02)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="best")


def evaluate_proposals(
    dataset: Dataset,
    found: Iterable[Detections | Float[ndarray, "_ 4"]],
    limits: Sequence[int] = NUMBERS,
) -> ProposalReport:
    """Judge the boxes of each image, best first, in the data set's order.

    Crowds and difficult objects are not looked for. Raises UsageError for a limit below 1 and
    another number of answers than images, DatasetError (dataset.no_objects) where there is nothing
    to find.
    """
    wanted = tuple(sorted(set(limits)))
    if not wanted or wanted[0] < 1:
        raise UsageError("limits are 1 or more", code="usage.value")
    numbers = np.unique(np.concatenate([CURVE, np.array(wanted)]))
    best, labels, counts = [], [], []
    answers = iter(found)
    for example in dataset:
        answer = next(answers, None)
        if answer is None:
            raise UsageError("fewer answers than images", code="usage.value")
        boxes: ndarray = answer.boxes.numpy() if isinstance(answer, Detections) else answer
        goals = _goals(example.objects)
        best.append(_best_overlaps(boxes, example.objects.boxes[goals], numbers))
        labels.append(example.objects.labels[goals])
        counts.append(len(boxes))
    if next(answers, None) is not None:
        raise UsageError("more answers than images", code="usage.value")
    every = np.concatenate(best, axis=1)
    if not every.size:
        raise DatasetError("there are no objects to find", code="dataset.no_objects")
    return ProposalReport(
        every,
        np.append(numbers, max(counts)),
        np.array(counts, np.int64),
        np.concatenate(labels).astype(np.int64),
        tuple(dataset.classes),
        wanted,
    )


def _goals(objects: Objects) -> ndarray:
    answer: ndarray = np.flatnonzero(~(objects.crowd | objects.difficult))
    return answer


def _best_overlaps(boxes: ndarray, goals: ndarray, numbers: ndarray) -> Float64[ndarray, "N G"]:
    """The best IoU with each object of the first so many boxes; the last row is of all."""
    if not len(boxes) or not len(goals):
        return np.zeros((len(numbers) + 1, len(goals)))
    a, b = (torch.from_numpy(np.asarray(x, np.float64)) for x in (boxes, goals))
    reached = np.maximum.accumulate(geometry.iou(a, b).numpy(), axis=0)
    places = np.append(np.minimum(numbers, len(boxes)), len(boxes)) - 1
    answer: ndarray = reached[places]
    return answer


def proposer(detector: Detector) -> Detector:
    """Whose answers are a detector's regions: its first stage, where that is a detector itself."""
    first = getattr(detector, "proposer", None)
    return first if isinstance(first, Detector) else detector
