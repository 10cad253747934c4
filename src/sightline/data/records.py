"""What a data set is: images on the disk, and what is truly in each of them.

Everything here is NumPy and nothing is decoded. Boxes are (N, 4) float32 xyxy in continuous
absolute pixels of the *upright* image: pixel i covers [i, i + 1). Sizes are (height, width).
Letters: N objects, P keypoints, V vertices.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from sightline.errors import AnnotationError
from sightline.skeletons import Skeleton
from sightline.types import Size

__all__ = [
    "Dataset",
    "Example",
    "Fault",
    "Objects",
    "Polygons",
    "Runs",
    "Segment",
    "Severity",
    "Skeleton",
]


@dataclass(frozen=True)
class Polygons:
    """A mask as the union of closed rings, each (V, 2) float64: x, y in pixels of the image."""

    rings: tuple[Float[ndarray, "_ 2"], ...]


@dataclass(frozen=True)
class Runs:
    """A mask as run lengths down the columns, first of zeros, then of ones, and so on (COCO's RLE).

    `counts` is int64 and sums to height × width of `size`.
    """

    counts: Int[ndarray, "runs"]
    size: Size


Segment = Polygons | Runs
"""A mask as label files hold one; `sightline.data.masks` turns it into pixels."""


@dataclass(frozen=True)
class Objects:
    """What is in one image.

    `labels` index the data set's `classes`; `crowd` marks regions of many objects, where nothing
    is learnt and nothing is counted wrong; `difficult` is Pascal VOC's flag; `ids` are the label
    file's own; `area` is the mask's area where there is one, else the box's, in square pixels.
    `keypoints` are x, y, visibility 0 (not labelled), 1 (hidden), 2 (visible).
    """

    boxes: Float[ndarray, "N 4"]
    labels: Int[ndarray, "N"]
    crowd: Bool[ndarray, "N"]
    ids: Int[ndarray, "N"]
    area: Float[ndarray, "N"]
    difficult: Bool[ndarray, "N"]
    segments: tuple[Segment | None, ...] | None = None
    keypoints: Float[ndarray, "N P 3"] | None = None

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[Any]] | Float[ndarray, "N 4"],
        labels: Sequence[Any] | Int[ndarray, "N"],
        segments: Sequence[Segment | None] | None = None,
        keypoints: Float[ndarray, "N P 3"] | None = None,
    ) -> "Objects":
        """Plain objects: no crowd, none difficult, ids 1 … N, the area that of the box."""
        corners = np.asarray(boxes, np.float32).reshape(-1, 4)
        count = len(corners)
        return cls(
            boxes=corners,
            labels=np.asarray(labels, np.int64).reshape(count),
            crowd=np.zeros(count, bool),
            ids=np.arange(1, count + 1),
            area=np.prod(corners[:, 2:] - corners[:, :2], axis=1),
            difficult=np.zeros(count, bool),
            segments=None if segments is None else tuple(segments),
            keypoints=None if keypoints is None else np.asarray(keypoints, np.float32),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: ndarray | slice | Sequence[int]) -> "Objects":
        """A subset, by boolean mask, index array, list or slice."""
        index = np.arange(len(self))[rows]
        return Objects(
            self.boxes[index],
            self.labels[index],
            self.crowd[index],
            self.ids[index],
            self.area[index],
            self.difficult[index],
            None if self.segments is None else tuple(self.segments[i] for i in index),
            None if self.keypoints is None else self.keypoints[index],
        )


@dataclass(frozen=True)
class Example:
    """One labelled image.

    `size` is the upright size that the labels speak of; `image_id` the label file's own name of
    the image (COCO's number, the file's stem elsewhere).
    """

    path: Path
    image_id: int | str
    size: Size
    objects: Objects


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Fault:
    """One broken rule of a label file: which, where, and what to do about it.

    `severity` says what it costs: "error" makes something unusable, "warning" is suspect and is
    used all the same, "note" is worth knowing. `id` is the label file's own id of the annotation
    or image, where it has one.
    """

    code: str
    message: str
    path: str
    pointer: str | None = None
    hint: str | None = None
    severity: Severity = "error"
    id: int | str | None = None

    def error(self) -> AnnotationError:
        """The fault as an exception to raise."""
        return AnnotationError(
            self.message, code=self.code, path=self.path, pointer=self.pointer, hint=self.hint
        )


@dataclass(frozen=True)
class Dataset:
    """Labelled images with one list of classes.

    Class names are the key; `category_ids` are the label file's own ids of the same classes, for
    output. `skipped` tells what was dropped on reading (`on_bad="skip"` or "fix"), `repaired` what
    was put right or is suspect, `notes` what is worth knowing and costs nothing.
    """

    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    skeleton: Skeleton | None
    name: str
    root: Path
    split: str | None
    skipped: tuple[Fault, ...] = ()
    repaired: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: SupportsIndex) -> Example:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def subset(self, rows: Sequence[int]) -> "Dataset":
        """The same data set with only some of its images, in the order given."""
        return replace(self, examples=tuple(self.examples[i] for i in rows))

    def file_name(self, example: Example) -> str:
        """Where the image lies under `root`, with forward slashes on every machine."""
        if example.path.is_relative_to(self.root):
            return example.path.relative_to(self.root).as_posix()
        return example.path.name

    def fingerprint(self) -> str:
        """SHA-256 (hex) of classes, file names, sizes, boxes, labels, masks and keypoints.

        It is the same on every machine and in every folder, and changes with any label. Worked out
        once: a run writes it with every checkpoint.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        points = None if self.skeleton is None else self.skeleton.points
        digest.update(json.dumps([self.classes, self.category_ids, points]).encode())
        for example in self.examples:
            objects = example.objects
            place = [self.file_name(example), *example.size, len(objects)]
            digest.update(json.dumps(place).encode())
            for array, kind in (
                (objects.boxes, "<f4"),
                (objects.labels, "<i8"),
                (objects.crowd, "u1"),
                (objects.keypoints, "<f4"),
            ):
                digest.update(b"-" if array is None else array.astype(kind).tobytes())
            for segment in objects.segments or ():
                _digest_segment(digest, segment)
        return digest.hexdigest()


def _digest_segment(digest: "hashlib._Hash", segment: Segment | None) -> None:
    """Add one mask to a digest."""
    if isinstance(segment, Polygons):
        for ring in segment.rings:
            digest.update(ring.astype("<f8").tobytes())
    elif isinstance(segment, Runs):
        digest.update(segment.counts.astype("<i8").tobytes())
    digest.update(b";")
