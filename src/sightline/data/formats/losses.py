"""What a format cannot hold, counted, so that nothing is lost without a word."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightline.data import masks
from sightline.data.records import Dataset, Objects, Polygons, Runs, Segment
from sightline.types import Size

KINDS = {
    "crowd": "crowd regions, left out: as plain objects they would teach something wrong",
    "difficult": "objects whose flag 'difficult' is dropped",
    "masks": "objects whose mask is dropped; the box stays",
    "runs": "masks of run lengths that become outlines; the pixels stay",
    "parts": "masks of several parts that become one ring; the pixels stay",
    "boxes": "objects whose box becomes the one around their mask",
    "keypoints": "objects whose keypoints are dropped",
    "outside": "keypoints outside their image, left out",
    "names": "names of keypoints",
    "limbs": "limbs of the skeleton",
    "points": "keypoints of the skeleton that no object has",
    "area": "objects whose area is not that of mask or box",
    "ids": "objects whose own id is not kept; they are counted anew",
    "thin": "objects left out: no side of more than one pixel",
    "empty": "images left out, as they have no objects",
    "classes": "classes left out, as nothing belongs to them",
    "category_ids": "classes whose own id is not kept",
    "splits": "names of splits, or splits that are made of others (trainval)",
}
"""Everything a format may hold or not, and what is said of it where it does not."""

ROUNDING = 0.02
"""Pixels that boxes may differ by without a word: label files have two decimals or more."""


@dataclass
class Losses:
    """How much of each kind of `KINDS` was not written."""

    counts: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return any(self.counts.values())

    def rows(self) -> list[tuple[str, int]]:
        """Kind and count, where something was lost, in the order of `KINDS`."""
        return [(kind, self.counts[kind]) for kind in KINDS if self.counts[kind]]

    def table(self) -> str:
        """A line a kind, for people."""
        return "\n".join(f"{count:8,} {KINDS[kind]}" for kind, count in self.rows())

    def to_json(self) -> dict[str, Any]:
        """Kind → count."""
        return dict(self.rows())


def count(datasets: Iterable[Dataset], holds: frozenset[str]) -> Losses:
    """What a format that holds only `holds` loses of the data sets."""
    losses = Losses()
    found = losses.counts
    used: set[int] = set()
    seen: set[int] = set()
    classes: tuple[str, ...] = ()
    for dataset in datasets:
        classes = dataset.classes
        if dataset.skeleton is not None:
            found["limbs"] = len(dataset.skeleton.limbs)
            found["names"] = len(dataset.skeleton.points)
        plain = (tuple(range(len(classes))), tuple(range(1, len(classes) + 1)))
        found["category_ids"] = 0 if dataset.category_ids in plain else len(classes)
        found["splits"] += dataset.split is not None
        for example in dataset:
            kept = keep(example.objects, holds)
            used.update(kept.labels.tolist())
            if kept.keypoints is not None:
                seen.update(np.flatnonzero((kept.keypoints[..., 2] > 0).any(axis=0)).tolist())
            own = example.objects.ids
            found["ids"] += int((own != np.arange(1, len(own) + 1)).sum())
            found["crowd"] += int(example.objects.crowd.sum())
            found["empty"] += not len(kept)
            found["thin"] += int(thin(example.objects).sum())
            _objects(found, kept, example.size)
    found["classes"] = len(classes) - len(used)
    found["points"] = found["names"] - len(seen)
    for kind in holds:
        found[kind] = 0
    if "masks" not in holds:
        found["runs"] = found["parts"] = found["boxes"] = 0
    if "keypoints" not in holds:
        found["names"] = found["outside"] = 0
    if not {"keypoints", "names"} <= holds:  # then they have no names to be known by
        found["points"] = 0
    return losses


def keep(objects: Objects, holds: frozenset[str]) -> Objects:
    """The objects that a format with `holds` writes at all."""
    rows = np.ones(len(objects), bool)
    if "crowd" not in holds:
        rows &= ~objects.crowd
    if "thin" not in holds:
        rows &= ~thin(objects)
    return objects[rows]


def thin(objects: Objects) -> np.ndarray:
    """(N,) bool: a side of no more than a pixel, which VOC's whole pixels cannot tell from a slip.

    Compared as VOC's reader does it, in the numbers that are written.
    """
    corners = objects.boxes.astype(np.float64)
    return np.asarray(((corners[:, 2:] - corners[:, :2]) <= 1).any(axis=1))


def _objects(found: Counter[str], objects: Objects, size: Size) -> None:
    found["difficult"] += int(objects.difficult.sum())
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    plain = np.prod(sides, axis=1)
    for i, segment in enumerate(objects.segments or ()):
        if segment is not None:
            plain[i] = masks.area(segment, size)
            found["masks"] += 1
            found["runs"] += isinstance(segment, Runs)
            found["parts"] += isinstance(segment, Polygons) and len(segment.rings) > 1
            found["boxes"] += _moves(objects.boxes[i], segment, size)
    found["area"] += int((np.abs(plain - objects.area) > 1e-3 * np.maximum(plain, 1)).sum())
    if objects.keypoints is not None:
        found["keypoints"] += int((objects.keypoints[..., 2] > 0).any(axis=1).sum())
        found["outside"] += int(outside(objects.keypoints, size).sum())


def outside(keypoints: np.ndarray, size: Size) -> np.ndarray:
    """(N, P) bool: labelled points beyond the edges of an image of `size`."""
    places = keypoints[..., :2]
    beyond = (places < 0) | (places > np.array([size[1], size[0]], np.float32))
    return np.asarray(beyond.any(axis=-1) & (keypoints[..., 2] > 0))


def _moves(box: np.ndarray, segment: Segment, size: Size) -> bool:
    """Whether the box around a mask, in its image, differs by more than rounding."""
    height, width = size
    around = np.clip(masks.box_of(segment, size), 0, [width, height] * 2)
    return bool(np.abs(around - box).max() > ROUNDING)
