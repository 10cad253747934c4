"""Label files that know more of the same objects: their masks, their keypoints.

COCO itself tells of one photo in several files (instances, person_keypoints), and masks cost so
much work that often only some images have them. Objects are the same where image, id, class and
place agree; what only the second file lists is not taken.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sightline import boxes as bx
from sightline.data.checks import OnBad
from sightline.data.open import open_dataset
from sightline.data.records import Dataset, Example, Objects, Segment
from sightline.errors import AnnotationError, DatasetError, SightlineWarning

SAME_PLACE = 0.5
"""The IoU that the boxes of one object in two files have at least: one may be drawn, one computed
from the mask.
"""

Sets = tuple[Dataset | None, ...]


def with_more(
    datasets: Sequence[Dataset | None], files: Sequence[Path], on_bad: OnBad = "error"
) -> Sets:
    """Each data set with the masks and keypoints that `files` know of its objects.

    A file may be of one of the data sets alone. What an object has already stays. Warns of objects
    that only a file lists. DatasetError where a file is of other images or of another skeleton,
    AnnotationError where the same id is another object, and all that `open_dataset` raises.
    """
    known = tuple(datasets)
    for file in files:
        if not file.is_file():
            raise AnnotationError("there is no such file", code="file.not_found", path=file)
        more = open_dataset(file, on_bad=on_bad)
        examples = {example.path: example for example in more}
        if not any(e.path in examples for one in known if one is not None for e in one):
            raise DatasetError(
                f"none of its {len(more)} images is one of those to train or evaluate on",
                code="labels.other_images",
                path=file,
                hint="give a label file of the same images",
            )
        known = tuple(None if d is None else _joined(d, more, examples, file) for d in known)
    return known


def _joined(dataset: Dataset, more: Dataset, examples: dict[Path, Example], file: Path) -> Dataset:
    """The data set with what another one knows of the same objects."""
    skeleton = dataset.skeleton or more.skeleton
    if more.skeleton is not None and more.skeleton != skeleton:
        raise DatasetError(
            "its keypoints are not those of the first labels", code="labels.skeleton", path=file
        )
    points = None if skeleton is None else len(skeleton.points)
    answer, lost = [], 0
    for example in dataset:
        other = examples.get(example.path)
        objects = example.objects
        if points is not None and objects.keypoints is None:
            blank = np.zeros((len(objects), points, 3), np.float32)
            objects = replace(objects, keypoints=blank)
        if other is not None:
            rows, alone = _partners(example, other, (dataset, more), file)
            objects, lost = _taught(objects, other.objects, rows), lost + alone
        answer.append(replace(example, objects=objects))
    if lost:
        text = f"{file}: {lost} objects that the first labels do not list were left out"
        warnings.warn(text, SightlineWarning, stacklevel=4)
    return replace(dataset, examples=tuple(answer), skeleton=skeleton)


def _partners(
    example: Example, other: Example, sets: tuple[Dataset, Dataset], file: Path
) -> tuple[list[tuple[int, int]], int]:
    """(our row, their row) of each object that both list, and how many only they list."""
    ours, theirs = example.objects, other.objects
    place = {number: row for row, number in enumerate(ours.ids.tolist())}
    numbers = theirs.ids.tolist()
    pairs = [(place[number], row) for row, number in enumerate(numbers) if number in place]
    mine, rows = np.array(pairs, np.int64).reshape(-1, 2).T
    boxes = ours.boxes[mine], theirs.boxes[rows]
    overlap = bx.iou_pairs(*map(torch.from_numpy, boxes)).tolist()
    for i, (own, row) in enumerate(pairs):
        names = sets[0].classes[ours.labels[own]], sets[1].classes[theirs.labels[row]]
        if names[0] != names[1] or overlap[i] < SAME_PLACE:
            raise AnnotationError(
                f"in {example.path.name} the id {numbers[row]} is a {names[1]} at "
                f"{_corners(boxes[1][i])}, and a {names[0]} at {_corners(boxes[0][i])} "
                "in the first labels",
                code="labels.disagree",
                path=file,
                pointer=f"id {numbers[row]}",
                hint="both files must give one object one id",
            )
    return pairs, len(theirs) - len(pairs)


def _corners(box: Float[ndarray, "4"]) -> str:
    return ", ".join(f"{value:g}" for value in box.round(1))


def _taught(ours: Objects, theirs: Objects, pairs: Sequence[tuple[int, int]]) -> Objects:
    """Our objects with the masks and keypoints of theirs, where we have none."""
    segments: list[Segment | None] = list(ours.segments or [None] * len(ours))
    area = ours.area.copy()
    keypoints = None if ours.keypoints is None else ours.keypoints.copy()
    for mine, row in pairs:
        if segments[mine] is None and theirs.segments is not None:
            segments[mine] = theirs.segments[row]
            area[mine] = theirs.area[row]
        if keypoints is not None and theirs.keypoints is not None and not keypoints[mine].any():
            keypoints[mine] = theirs.keypoints[row]
    some = any(segment is not None for segment in segments)
    return replace(ours, segments=tuple(segments) if some else None, keypoints=keypoints, area=area)
