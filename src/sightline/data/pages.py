"""Label files that name classes by text: pages of named objects, and the data set they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline import images as pictures
from sightline.data import masks
from sightline.data.checks import Box, Checks, is_number
from sightline.data.records import Dataset, Example, Objects, Segment, Skeleton
from sightline.data.skeletons import COCO_POINTS, skeleton
from sightline.data.upright import settle
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

PIXEL_LIMIT = 1 << 30
"""Pixels that a label file may claim for an image: masks are drawn in that size."""


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
    root, split = place
    if not classes:
        empty = DatasetError(
            "no label file names any object",
            code="dataset.empty",
            path=root,
            hint="label some images",
        )
        empty.faults = checks.finish()
        raise empty
    bones = names.skeleton()
    upright = settle([_example(page, classes, bones) for page in pages], checks)
    for example in upright:  # only now is the size known to be the image's, and no bomb
        _measure(example)
    return Dataset(
        examples=upright,
        classes=classes,
        category_ids=tuple(range(1, len(classes) + 1)),
        skeleton=bones,
        name=root.name,
        root=root,
        split=split,
        skipped=checks.finish(),
        repaired=tuple(checks.repaired),
        notes=tuple(checks.notes),
    )


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


def image_size(height: object, width: object, path: Path) -> Size:
    """The size that a label file gives, or where it gives none that of the image's header.

    AnnotationError `image.size` for what is no size, and the image's own faults.
    """
    if height is None and width is None:
        try:
            return pictures.read_size(path)
        except ImageError as error:
            raise AnnotationError(error.message, code=error.code, hint=error.hint) from error
    sides = []
    for side in (height, width):
        if is_number(side) and 1 <= side == int(side):
            sides.append(int(side))
    if len(sides) < 2 or sides[0] * sides[1] > PIXEL_LIMIT:
        message = f"{str(width)[:40]} × {str(height)[:40]} is no image size"
        raise AnnotationError(message, code="image.size")
    return sides[0], sides[1]
