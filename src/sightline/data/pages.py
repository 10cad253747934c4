"""Label files that name classes by text: pages of named objects, and the data set they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.data import masks
from sightline.data.checks import Box, Checks, is_number
from sightline.data.records import Dataset, Example, Objects, Segment, Skeleton
from sightline.data.upright import settle
from sightline.errors import AnnotationError
from sightline.skeletons import COCO_POINTS, skeleton
from sightline.types import Size

Points = dict[str, tuple[float, float, int]]
"""Keypoints by name: x, y, and 1 (hidden) or 2 (visible)."""


@dataclass(frozen=True)
class NamedObject:
    """One object of an image, its class and its keypoints by name."""

    name: str
    box: Box
    segment: Segment | None = None
    difficult: bool = False
    points: Points = field(default_factory=dict)


@dataclass
class Page:
    """What a label file says of one image."""

    path: Path
    image_id: int | str
    size: Size
    objects: list[NamedObject] = field(default_factory=list)


@dataclass
class Names:
    """The classes and keypoints that label files name, those of all splits."""

    classes: set[str] = field(default_factory=set)
    points: set[str] = field(default_factory=set)

    def add(self, pages: Iterable[Page]) -> None:
        """The names of objects and of their keypoints."""
        for page in pages:
            for found in page.objects:
                self.classes.add(found.name)
                self.points.update(found.points)

    def skeleton(self) -> Skeleton | None:
        """The keypoints, sorted, without limbs; COCO's 17 in their own order."""
        if not self.points:
            return None
        known = self.points == set(COCO_POINTS)
        return skeleton(COCO_POINTS if known else sorted(self.points), ())


def to_dataset(
    pages: Sequence[Page], names: Names, place: tuple[Path, str | None], checks: Checks
) -> Dataset:
    """The data set of the pages, upright, its classes sorted; `place` is its folder and split.

    DatasetError `dataset.empty` where no object is named at all.
    """
    names.add(pages)
    classes = tuple(sorted(names.classes))
    checks.need(classes, place[0])
    bones = names.skeleton()
    upright = settle([_example(page, classes, bones) for page in pages], checks)
    for example in upright:  # only now is the size known to be the image's, and no bomb
        _measure(example)
    return checks.dataset(upright, classes, place, bones)


def _example(page: Page, classes: tuple[str, ...], bones: Skeleton | None) -> Example:
    """A page with numbers for classes, and keypoints in the skeleton's order."""
    index = {name: i for i, name in enumerate(classes)}
    found = page.objects
    segments = [one.segment for one in found]
    keypoints = None
    if bones is not None:
        nothing = (0.0, 0.0, 0)
        rows = [[one.points.get(name, nothing) for name in bones.points] for one in found]
        keypoints = np.array(rows, np.float32).reshape(-1, len(bones.points), 3)
    objects = Objects.of(
        [one.box for one in found],
        [index[one.name] for one in found],
        segments if any(segment is not None for segment in segments) else None,
        keypoints,
    )
    objects.difficult[:] = np.array([one.difficult for one in found], bool)
    return Example(page.path, page.image_id, page.size, objects)


def labelled(objects: Objects, i: int, dataset: Dataset) -> Points:
    """The keypoints that an object has, by name, as the shortest decimals of their float32."""
    if objects.keypoints is None or dataset.skeleton is None:
        return {}
    rows = zip(dataset.skeleton.points, objects.keypoints[i], strict=True)
    return {
        name: (float(str(x)), float(str(y)), int(seen)) for name, (x, y, seen) in rows if seen > 0
    }


def check_point(x: object, y: object, size: Size) -> tuple[float, float]:
    """A keypoint's place; AnnotationError `keypoints.not_finite`, or `keypoints.outside` further
    than an image's side away.
    """
    if not is_number(x) or not is_number(y):
        raise AnnotationError("a keypoint is no finite number", code="keypoints.not_finite")
    side = max(size)
    if not (-side <= min(x, y) and max(x, y) <= 2 * side):
        raise AnnotationError(
            f"a keypoint lies further than {side} pixels outside its image",
            code="keypoints.outside",
        )
    return float(x), float(y)


def _measure(example: Example) -> None:
    """Set the area of objects with a mask to the mask's."""
    for i, segment in enumerate(example.objects.segments or ()):
        if segment is not None:
            example.objects.area[i] = masks.area(segment, example.size)
