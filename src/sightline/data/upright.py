"""Labels of rotated photos: which way up they were drawn, and turning them upright.

Cameras store photos as the sensor lay and note in EXIF how to turn them. We read all images
upright, so the labels must be upright too. The label file's image size tells how they were drawn:

- the upright size: they are upright already;
- the size with height and width exchanged: they were drawn on the stored pixels by a tool that
  ignores EXIF; they are turned with the image, and counted as repaired;
- any other size: the labels belong to another copy of the image: `image.size`, a fault.

Mirrored and upside-down photos keep their size, and so do square ones: those count as upright.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sightline import images
from sightline.data.checks import Checks
from sightline.data.masks import decode, encode
from sightline.data.records import Example, Objects, Polygons, Runs, Segment
from sightline.data.sizes import disagree
from sightline.errors import AnnotationError, ImageError
from sightline.types import Size

EXIF_ORIENTATION = 274

TURNS = {5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}
"""EXIF orientations that exchange the sides: the new x is the old y, the new y the old x, each
counted from the far edge where the sign is minus."""


def upright(example: Example) -> tuple[Example, bool]:
    """The example with its labels upright, and whether they had to be turned.

    Only the image's header is read. ImageError where it cannot be; AnnotationError `image.size`
    where the label's size is neither the upright nor the stored one.
    """
    actual = images.read_size(example.path)
    if actual == example.size:
        return example, False
    orientation = _orientation(example.path)
    if actual != example.size[::-1] or orientation not in TURNS:
        raise disagree(example.size, actual, example.path.name)
    return replace(example, size=actual, objects=turn(example.objects, actual, orientation)), True


def _orientation(path: Path) -> int:
    with Image.open(path) as image:
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def turn(objects: Objects, size: Size, orientation: int) -> Objects:
    """Objects drawn on the stored pixels, on the upright image of `size`; orientation is 5 to 8."""
    corners = _turn_points(objects.boxes.reshape(-1, 2), size, orientation).reshape(-1, 2, 2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    points = objects.keypoints
    if points is not None:
        points = points.copy()
        seen = points[..., 2] > 0
        points[seen, :2] = _turn_points(points[seen, :2], size, orientation)
    segments = objects.segments
    if segments is not None:
        segments = tuple(_turn_segment(s, size, orientation) for s in segments)
    return replace(objects, boxes=boxes.astype(np.float32), keypoints=points, segments=segments)


def _turn_points(points: np.ndarray, size: Size, orientation: int) -> np.ndarray:
    """Points (n, 2) from the stored to the upright image of `size`."""
    across, down = TURNS[orientation]
    x = points[:, 1] if across > 0 else size[1] - points[:, 1]
    y = points[:, 0] if down > 0 else size[0] - points[:, 0]
    return np.stack([x, y], axis=1)


def _turn_segment(segment: Segment | None, size: Size, orientation: int) -> Segment | None:
    if isinstance(segment, Polygons):
        return Polygons(tuple(_turn_points(r, size, orientation) for r in segment.rings))
    if isinstance(segment, Runs):
        across, down = TURNS[orientation]
        return encode(np.ascontiguousarray(decode(segment).T[::down, ::across]))
    return None


def settle(examples: list[Example], checks: Checks) -> tuple[Example, ...]:
    """All examples upright; those whose image cannot be read or disagrees become faults."""
    answer = []
    for example in examples:
        try:
            right, turned = upright(example)
        except ImageError as error:
            checks.add(error.code, error.message, example.path, None, error.hint)
            continue
        except AnnotationError as error:
            key = example.image_id
            checks.add_error(error, example.path, f"image (id {key})", key)
            continue
        if turned:
            checks.repair(
                "image.rotated",
                "the labels were drawn on the stored pixels and are turned as EXIF says",
                example.path,
                None,
            )
        answer.append(right)
    return tuple(answer)
