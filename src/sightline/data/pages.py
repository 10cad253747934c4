"""Label files that name classes by text: pages of named objects, and the data set they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline import images as pictures
from sightline.data import masks
from sightline.data.checks import Box, Checks, check_box, is_number
from sightline.data.records import Dataset, Example, Objects, Segment
from sightline.data.upright import settle
from sightline.errors import AnnotationError, ImageError
from sightline.types import Size

PIXEL_LIMIT = 1 << 30
"""Pixels that a label file may claim for an image: masks are drawn in that size."""


@dataclass(frozen=True)
class NamedObject:
    """One object of an image, its class by name."""

    name: str
    box: Box
    segment: Segment | None = None
    difficult: bool = False


@dataclass
class Page:
    """What a label file says of one image."""

    path: Path
    image_id: int | str
    size: Size
    objects: list[NamedObject] = field(default_factory=list)


def class_names(pages: Iterable[Page]) -> tuple[str, ...]:
    """The classes that objects name, sorted."""
    return tuple(sorted({found.name for page in pages for found in page.objects}))


def to_dataset(
    pages: Sequence[Page], classes: tuple[str, ...], place: tuple[Path, str | None], checks: Checks
) -> Dataset:
    """The data set of the pages, upright; `place` is its folder and split."""
    index = {name: i for i, name in enumerate(classes)}
    examples = [_example(page, index) for page in pages]
    root, split = place
    upright = settle(examples, checks)
    for example in upright:  # only now is the size known to be the image's, and no bomb
        _measure(example)
    return Dataset(
        examples=upright,
        classes=classes,
        category_ids=tuple(range(1, len(classes) + 1)),
        skeleton=None,
        name=root.name,
        root=root,
        split=split,
        skipped=checks.finish(),
        repaired=tuple(checks.repaired),
        notes=tuple(checks.notes),
    )


def _example(page: Page, index: dict[str, int]) -> Example:
    """A page with numbers for classes."""
    found = page.objects
    segments = [one.segment for one in found]
    objects = Objects.of(
        [one.box for one in found],
        [index[one.name] for one in found],
        segments if any(segment is not None for segment in segments) else None,
    )
    objects.difficult[:] = np.array([one.difficult for one in found], bool)
    return Example(page.path, page.image_id, page.size, objects)


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


def boxed(name: str, segment: Segment, size: Size, difficult: bool) -> tuple[NamedObject, float]:
    """An object of a mask with the box around it, and by how many pixels that left the image."""
    box, excess = check_box(masks.box_of(segment, size), size)
    return NamedObject(name, box, segment, difficult), excess
