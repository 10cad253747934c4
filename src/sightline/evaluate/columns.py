"""What is true and what was found, of all images at once, as columns of numbers.

Everything that judges detections starts from here: classes are matched by name, rows lie in the
order in which COCO's protocol breaks ties, and nothing that is not finite gets further.
Letters: G objects, D detections, P keypoints.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray

from sightline.data.records import Dataset, Example, Segment
from sightline.errors import AnnotationError, DatasetError, SightlineWarning, UsageError
from sightline.skeletons import Skeleton
from sightline.types import Detections


@dataclass(frozen=True)
class Truth:
    """The labelled objects. `image` is the data set's index, `label` indexes its classes."""

    image: Int64[ndarray, "G"]
    label: Int64[ndarray, "G"]
    boxes: Float64[ndarray, "G 4"]
    area: Float64[ndarray, "G"]
    crowd: Bool[ndarray, "G"]
    difficult: Bool[ndarray, "G"]
    shapes: "Shapes"

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class Found:
    """The detections whose class the data set has; each image's in their own order."""

    image: Int64[ndarray, "D"]
    label: Int64[ndarray, "D"]
    boxes: Float64[ndarray, "D 4"]
    scores: Float64[ndarray, "D"]
    shapes: "Shapes"

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class Shapes:
    """What rows have beside a box; None where no row has it.

    Labels hold masks as `Segment`, detections as run lengths (a dict with `size` and `counts`).
    """

    masks: list[Any] | None = None
    keypoints: Float64[ndarray, "rows P 3"] | None = None


@dataclass(frozen=True)
class Columns:
    """Truth and detections of a whole data set.

    Rows of both lie image by image, in ascending order of image ids: COCO's protocol breaks ties
    between equal scores by that order. `place` is each image's place in it. `unknown` are the
    classes that the model does not have.
    """

    truth: Truth
    found: Found
    place: Int64[ndarray, "images"]
    classes: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def images(self) -> int:
        """How many images were judged."""
        return len(self.place)

    @property
    def counts(self) -> Int64[ndarray, "K"]:
        """How many objects of each class there are to be found; crowds are none."""
        return np.bincount(self.truth.label[~self.truth.crowd], minlength=len(self.classes))

    def image_rows(self) -> Iterable[tuple[Int64[ndarray, "d"], Int64[ndarray, "g"]]]:
        """The rows (of detections, of objects) of each image, in the order of `place`."""
        found, truth = self.place[self.found.image], self.place[self.truth.image]
        edges = np.arange(self.images + 1)
        first, second = np.searchsorted(found, edges), np.searchsorted(truth, edges)
        for i in range(self.images):
            yield np.arange(first[i], first[i + 1]), np.arange(second[i], second[i + 1])


def gather(dataset: Dataset, results: Iterable[Detections]) -> Columns:
    """Pack labels and detections, one `Detections` an image in the data set's order.

    `results` is read once, so that it may be a generator: dense masks are never all in memory.
    Detections of classes that the data set does not have are left out. Raises UsageError where the
    numbers of images, of keypoints (or their order) or the sizes of masks differ, AnnotationError
    for boxes, scores or keypoints that are not finite, DatasetError where model and data have no
    class in common.
    """
    wants_masks = any(example.objects.segments is not None for example in dataset)
    points = 0 if dataset.skeleton is None else len(dataset.skeleton.points)
    maps: dict[tuple[str, ...], ndarray] = {}
    met: set[Skeleton] = set()
    rows: list[dict[str, Any]] = []
    for example, found in zip_longest(dataset, results):
        if example is None or found is None:
            raise UsageError(
                f"the data set has {len(dataset)} images, the results are of "
                f"{'more' if example is None else len(rows)}",
                code="usage.results_count",
                hint="give one Detections for each image, in the data set's order",
            )
        if found.classes not in maps:
            maps[found.classes] = _class_map(found.classes, dataset.classes)
        if found.skeleton is not None and found.skeleton not in met:
            met.add(found.skeleton)
            _check_points(found.skeleton, dataset)
        rows.append(_found_row(example, found, maps[found.classes], wants_masks, points))
    known = {name for names in maps for name in names}
    if dataset.classes and known and known.isdisjoint(dataset.classes):
        raise DatasetError(
            "the model knows none of the data set's classes "
            f"({', '.join(dataset.classes[:5])}{', …' if len(dataset.classes) > 5 else ''})",
            code="dataset.no_common_class",
            path=dataset.root,
            hint="classes are matched by name; choose a model that was trained on these",
        )
    order = sorted(range(len(dataset)), key=lambda i: _id_key(dataset[i].image_id))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    unknown = tuple(c for c in dataset.classes if c not in known) if maps else ()
    return Columns(
        _truth(dataset, order), _found(rows, order), place, tuple(dataset.classes), unknown
    )


def _check_points(skeleton: Skeleton, dataset: Dataset) -> None:
    """Refuse the data set's keypoints in another order; warn of as many others."""
    if dataset.skeleton is None or dataset.skeleton.points == skeleton.points:
        return
    ours, theirs = dataset.skeleton.points, skeleton.points
    if sorted(ours) == sorted(theirs):
        raise UsageError(
            "the labels have the model's keypoints in another order",
            code="usage.keypoints",
            hint=f"the model's order is {', '.join(theirs)}",
        )
    if len(ours) == len(theirs):
        a, b = next(pair for pair in zip(theirs, ours, strict=True) if pair[0] != pair[1])
        warnings.warn(
            f"keypoints are compared in their order, and have other names: the model's {a!r} is "
            f"held against {b!r}",
            SightlineWarning,
            stacklevel=4,
        )


def _id_key(image_id: int | str) -> tuple[bool, int, str]:
    """Numbers before names, each in their own order."""
    named = isinstance(image_id, str)
    return named, 0 if isinstance(image_id, str) else image_id, str(image_id) if named else ""


def _class_map(model: Sequence[str], data: Sequence[str]) -> Int64[ndarray, "K"]:
    """The data set's label of each of the model's classes; −1 where it has none."""
    index = {name: label for label, name in enumerate(data)}
    return np.array([index.get(name, -1) for name in model], np.int64)


def _finite(values: ndarray, example: Example, what: str) -> ndarray:
    if not np.isfinite(values).all():
        raise AnnotationError(
            f"a detection's {what} is not finite", code="result.non_finite", path=example.path
        )
    return values


def _found_row(
    example: Example, found: Detections, labels: ndarray, masks: bool, points: int
) -> dict[str, Any]:
    """One image's detections as arrays, without those of foreign classes."""
    label = labels[found.labels.cpu().numpy()] if len(found) else np.empty(0, np.int64)
    keep = np.flatnonzero(label >= 0)
    boxes = found.boxes.detach().cpu().double().numpy().reshape(-1, 4)[keep]
    scores = found.scores.detach().cpu().double().numpy()[keep]
    row: dict[str, Any] = {
        "label": label[keep],
        "boxes": _finite(boxes, example, "box"),
        "scores": _finite(scores, example, "score"),
    }
    if masks and found.masks is not None:
        pixels = found.masks.detach().cpu()[keep.tolist()]
        row["masks"] = runs_of(_same_size(mask.numpy(), example) for mask in pixels)
    if points and found.keypoints is not None:
        if found.keypoints.shape[1] != points:
            raise UsageError(
                f"{found.keypoints.shape[1]} keypoints for labels that have {points}",
                code="usage.keypoints",
                hint="the model was trained with another skeleton",
            )
        guesses = found.keypoints.detach().cpu().double().numpy()[keep]
        row["keypoints"] = _finite(guesses, example, "keypoint")
    return row


def _same_size(mask: ndarray, example: Example) -> ndarray:
    if mask.shape != tuple(example.size):
        raise UsageError(
            f"masks of {mask.shape[0]}×{mask.shape[1]} for labels that speak of "
            f"{example.size[0]}×{example.size[1]} pixels",
            code="usage.mask_size",
            hint="results must lie in the data set's order, on the original upright image",
        )
    return mask


def runs_of(masks: Iterable[Bool[ndarray, "H W"]]) -> list[dict[str, Any]]:
    """Dense masks as COCO's compressed run lengths: `size` [h, w] and `counts` (bytes)."""
    from hotcoco import mask as codec

    return [dict(codec.encode(np.asfortranarray(mask, np.uint8))) for mask in masks]


def _truth(dataset: Dataset, order: list[int]) -> Truth:
    objects = [dataset[i].objects for i in order]
    points = _points([(o.keypoints, len(o)) for o in objects])
    return Truth(
        np.repeat(np.array(order, np.int64), [len(o) for o in objects]),
        _join([o.labels for o in objects], np.int64),
        as_written(_join([o.boxes for o in objects], np.float32, (4,))),
        as_written(_join([o.area for o in objects], np.float32)),
        _join([o.crowd for o in objects], np.bool_),
        _join([o.difficult for o in objects], np.bool_),
        Shapes(
            _segments([(o.segments, len(o)) for o in objects]),
            None if points is None else as_written(points.astype(np.float32)),
        ),
    )


def as_written(values: Float32[ndarray, "*any"]) -> Float64[ndarray, "*any"]:
    """The shortest decimals that these single-precision numbers stand for.

    A label file's 473.07 is 473.0700073 in single precision; its reader meant 473.07, and where an
    IoU lies exactly on a threshold the difference would count.
    """
    unique, place = np.unique(values, return_inverse=True)
    decimals = unique.astype(np.str_).astype(np.float64)
    return decimals[place].reshape(values.shape)


def _found(rows: list[dict[str, Any]], order: list[int]) -> Found:
    ranked = [rows[i] for i in order]
    lengths = [len(row["label"]) for row in ranked]
    return Found(
        np.repeat(np.array(order, np.int64), lengths),
        _join([row["label"] for row in ranked], np.int64),
        _join([row["boxes"] for row in ranked], np.float64, (4,)),
        _join([row["scores"] for row in ranked], np.float64),
        Shapes(
            _segments([(row.get("masks"), len(row["label"])) for row in ranked]),
            _points([(row.get("keypoints"), len(row["label"])) for row in ranked]),
        ),
    )


def _join(parts: list[ndarray], kind: Any, tail: tuple[int, ...] = ()) -> ndarray:
    """All parts in one array; an empty one of the right shape where there are none."""
    return np.concatenate([np.empty((0, *tail)), *parts]).astype(kind)


def _segments(parts: list[tuple[Sequence[Segment | Any] | None, int]]) -> list[Any] | None:
    if all(part is None for part, _ in parts):
        return None
    return [one for part, count in parts for one in (part if part is not None else [None] * count)]


def _points(parts: list[tuple[ndarray | None, int]]) -> ndarray | None:
    """Keypoints of all rows; those of an image without any are zeros, "not labelled"."""
    given = [part for part, _ in parts if part is not None]
    if not given:
        return None
    count = given[0].shape[1]
    whole = [np.zeros((n, count, 3)) if part is None else part for part, n in parts]
    return _join(whole, np.float64, (count, 3))
