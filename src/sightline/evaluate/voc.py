"""Pascal VOC's average precision (Everingham 2010; the development kit's VOCevaldet).

Detections of a class, best score first over all images, each go to the object with which they
overlap most. At IoU ≥ 0.5 the first one there is right, later ones are wrong; whatever goes to a
`difficult` object is neither, and difficult objects need not be found. AP is then read off
precision and recall in one of two ways: at eleven recalls (VOC 2007), or as the area under the
curve made monotone (2010 on). The kit's own boxes have inclusive corners, one pixel wider than
ours: in our continuous coordinates they become the same boxes on reading.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.matching import overlaps, ranked
from sightline.types import Detections

METHODS = ("area", "eleven_points")


@dataclass(frozen=True)
class VocReport:
    """VOC's mean average precision and that of each class; None where there is no object."""

    mAP: float | None  # noqa: N815 - the literature's name
    per_class: Mapping[str, float | None]
    method: str
    iou: float

    def to_json(self) -> dict[str, Any]:
        """Plain data, null where there was nothing to find."""
        classes = dict(self.per_class)
        return {"mAP": self.mAP, "per_class": classes, "method": self.method, "iou": self.iou}


def evaluate_voc(
    dataset: Dataset,
    results: Iterable[Detections],
    method: str = "area",
    iou: float = 0.5,
) -> VocReport:
    """VOC's AP of `results`, one `Detections` an image in the data set's order.

    Crowds are taken as difficult. Raises UsageError for an unknown method, else what
    `columns.gather` raises.
    """
    if method not in METHODS:
        raise UsageError(
            f"no method {method!r}", code="usage.value", hint="'area' or 'eleven_points'"
        )
    columns = gather(dataset, results)
    right, wrong = _judge(columns, iou)
    aside = columns.truth.difficult | columns.truth.crowd
    per_class: dict[str, float | None] = {}
    for label, name in enumerate(columns.classes):
        rows = np.flatnonzero(columns.found.label == label)
        rows = rows[ranked(columns.found.scores[rows])]
        objects = int(((columns.truth.label == label) & ~aside).sum())
        recall, precision = curve(right[rows], wrong[rows], objects)
        read = eleven_points if method == "eleven_points" else area_under
        per_class[name] = read(recall, precision) if objects else None
    counted = [value for value in per_class.values() if value is not None]
    return VocReport(float(np.mean(counted)) if counted else None, per_class, method, iou)


def _judge(columns: Columns, iou: float) -> tuple[Bool[ndarray, "D"], Bool[ndarray, "D"]]:
    """Which detections are right, and which are wrong."""
    truth, found = columns.truth, columns.found
    right, wrong = np.zeros(len(found), bool), np.ones(len(found), bool)
    aside = truth.difficult | truth.crowd
    taken = np.zeros(len(truth), bool)
    for rows, goals in columns.image_rows():
        if not len(rows) or not len(goals):
            continue
        table = overlaps(found.boxes[rows], truth.boxes[goals], truth.crowd[goals])
        table[found.label[rows][:, None] != truth.label[goals][None, :]] = -1
        for i in ranked(found.scores[rows]):
            best = int(table[i].argmax())
            row, goal = rows[i], goals[best]
            if table[i, best] < iou:
                continue
            wrong[row] = not aside[goal] and taken[goal]
            right[row] = not aside[goal] and not taken[goal]
            taken[goal] = True
    return right, wrong


def curve(
    right: Bool[ndarray, "D"], wrong: Bool[ndarray, "D"], objects: int
) -> tuple[Float64[ndarray, "D"], Float64[ndarray, "D"]]:
    """Recall and precision after each detection of a ranked list; those left aside repeat."""
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    return hits / max(objects, 1), hits / np.maximum(hits + misses, 1)


def eleven_points(recall: Float64[ndarray, "D"], precision: Float64[ndarray, "D"]) -> float:
    """VOC 2007: the mean, over recalls 0, 0.1, … 1, of the best precision at that or more."""
    levels = np.arange(11) / 10
    best = [precision[recall >= level].max(initial=0.0) for level in levels]
    return float(np.mean(best))


def area_under(recall: Float64[ndarray, "D"], precision: Float64[ndarray, "D"]) -> float:
    """VOC 2010 on: the area under precision made monotone, over the steps of recall."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((steps * envelope).sum())
