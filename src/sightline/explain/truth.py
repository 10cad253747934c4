"""What is truly in the image of a trace, in the detector's own words; and which answers are right.

Key of shapes: G objects, D answers, P keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from torch import Tensor

from sightline.data.records import Objects
from sightline.errors import UsageError
from sightline.evaluate.columns import as_written
from sightline.evaluate.errors import causes
from sightline.evaluate.matching import assign, cap, overlaps, ranked
from sightline.ops.oks import oks_with_truth
from sightline.pipeline import Detector
from sightline.skeletons import Skeleton
from sightline.types import Detections

ANYTHING = ("object",)
"""The classes of a detector that finds objects without knowing what they are."""

BACKGROUND = 0.1
"""What overlaps an object by less has nothing to do with it (TIDE, Bolya 2020)."""


@dataclass(frozen=True)
class Truth:
    """Objects in pixels of the original image; `labels` index the detector's classes, −1 for a
    class that it does not know. `known` are the detector's classes that the data have too.
    """

    objects: Objects
    names: tuple[str, ...]
    labels: Int64[ndarray, "G"]
    known: Bool[ndarray, "K"]

    @property
    def boxes(self) -> Float[Tensor, "G 4"]:
        """The boxes, as the evaluator reads them."""
        return torch.from_numpy(as_written(self.objects.boxes))


def truth_of(objects: Objects, classes: Sequence[str] | None, detector: Detector) -> Truth:
    """The objects as `detector` would name them; `classes` are the data's, None its own.

    Classes are matched by name. One that finds things of whatever class ("object") finds all of
    them. Raises UsageError (usage.class_count) for labels that are none of the classes.
    """
    own = tuple(detector.classes)
    names = own if classes is None else tuple(classes)
    labels = objects.labels
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(names):
        raise UsageError(
            f"objects are labelled up to {int(labels.max())}, there are {len(names)} classes",
            code="usage.class_count",
            hint="give the classes of the data set",
        )
    told = tuple(names[label] for label in labels.tolist())
    if own == ANYTHING and "object" not in names:
        return Truth(objects, told, labels * 0, np.ones(1, bool))
    place = {name: label for label, name in enumerate(own)}
    own_labels = np.array([place.get(name, -1) for name in told], np.int64)
    return Truth(objects, told, own_labels, np.array([name in names for name in own], bool))


def alike(answers: Detections, truth: Truth, skeleton: Skeleton | None) -> Float64[ndarray, "D G"]:
    """IoU of the answers with the objects, of crowds the share of an answer that they cover.

    With a `skeleton` it is OKS (Lin 2014) for objects that have labelled points.
    """
    objects, boxes = truth.objects, truth.boxes.numpy()
    table = overlaps(answers.boxes.detach().cpu().double().numpy(), boxes, objects.crowd)
    points, found = objects.keypoints, answers.keypoints
    if skeleton is None or points is None or found is None or points.shape[1] != found.shape[1]:
        return table
    there = points[..., 2] > 0
    rows = there.any(axis=1) & ~objects.crowd
    known = torch.from_numpy(points[rows]), torch.from_numpy(objects.area[rows])
    sigmas = torch.tensor(skeleton.sigmas, dtype=torch.float64)
    table[:, rows] = oks_with_truth(found.cpu()[..., :2], *known, sigmas).numpy()
    return table


@dataclass(frozen=True)
class Judged:
    """Which object each answer found (−1: none) and what it is: "right", one of TIDE's kinds of
    errors, "ignored" (in a crowd, or after the 100th of its class), "foreign" (a class that the
    data do not have). `table` is what they were judged by.
    """

    table: Float64[ndarray, "D G"]
    owner: Int64[ndarray, "D"]
    kinds: tuple[str, ...]

    def finder(self, row: int) -> int:
        """The answer that found an object, −1 where none did."""
        places = np.flatnonzero(self.owner == row)
        return int(places[0]) if len(places) else -1


def judge(answers: Detections, truth: Truth, table: Float64[ndarray, "D G"], iou: float) -> Judged:
    """Match answers to objects by COCO's rules, best score first; the others by TIDE's causes."""
    labels, scores = answers.labels.cpu().numpy(), answers.scores.cpu().double().numpy()
    crowd = truth.objects.crowd
    foreign = ~truth.known[labels] if len(labels) else np.zeros(0, bool)
    ignored = foreign.copy()
    cap(ignored, np.arange(len(labels)), labels, scores)
    same = labels[:, None] == truth.labels[None, :]
    order = ranked(scores)
    owner, excused = assign(
        np.where(same, table, -1.0), order[~ignored[order]], crowd, min(iou, 1 - 1e-10)
    )
    kinds = np.full(len(labels), "background", dtype="U16")
    if (~crowd).any() and len(labels):
        kinds = causes(table[:, ~crowd], same[:, ~crowd], iou, BACKGROUND)[0].astype("U16")
    kinds[ignored | excused], kinds[foreign], kinds[owner >= 0] = "ignored", "foreign", "right"
    return Judged(table, owner, tuple(kinds.tolist()))
