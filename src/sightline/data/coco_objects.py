"""One annotation of a COCO file: checked, and gathered into the objects of an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.data import masks
from sightline.data.checks import HUGE, Box, check_box, is_number
from sightline.data.records import Objects, Segment, Skeleton
from sightline.data.segments import parse_segment
from sightline.errors import AnnotationError
from sightline.types import Size

BOX = "write [x, y, width, height], four numbers of pixels"


@dataclass(slots=True)
class Row:
    """One object of an image. Not frozen, which is slow to make: files hold tens of thousands."""

    box: Box
    crowd: bool
    area: float
    difficult: bool
    segment: Segment | None
    keypoints: np.ndarray | None
    label: int
    id: int
    mends: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Place:
    """What the file as a whole says of one annotation: its class, its id, its image's size, how
    many keypoints the classes have (None: unknown), and whether what has a plain mend is to be
    mended.
    """

    label: int
    id: int
    size: Size
    points: int | None
    fixing: bool = False


def parse_row(
    row: dict[str, Any], place: Place, errors: list[AnnotationError]
) -> tuple[Row | None, float]:
    """A checked annotation, and by how many pixels its box reached out of the image.

    Everything that is wrong is added to `errors`, with a pointer inside the annotation; then there
    is no annotation.
    """
    size, before = place.size, len(errors)
    mends: list[tuple[str, str]] = []
    value, wanted_area = row.get("bbox"), row.get("area")
    if place.fixing:
        value, wanted_area = _mended(value, wanted_area, mends)

    def at(pointer: str, parse: Any, *values: Any) -> Any:
        try:
            return parse(*values)
        except AnnotationError as error:
            error.pointer = f"{pointer}{error.pointer or ''}"
            errors.append(error)
            return None

    segment = at("/segmentation", _segment, row, place, mends)
    broken = len(errors) > before
    found = None
    if value is not None or not broken:
        found = at("/bbox", _box, value, size, segment)
    crowd = row.get("iscrowd", 0)
    difficult = row.get("difficult")
    at("/iscrowd", _flag, crowd, "crowd", "1 for a region of many objects, else 0")
    at("/difficult", _flag, difficult or 0, "difficult", "1 for what figures are to pass over")
    keypoints = None
    if row.get("keypoints") is not None and place.points is not None:
        keypoints = at("/keypoints", parse_keypoints, row["keypoints"], place.points, size)
    if keypoints is not None:
        labelled, said = int((keypoints[:, 2] > 0).sum()), row.get("num_keypoints")
        if said is not None and said != labelled:
            said = str(said)[:40]
            mends.append(("keypoints.count", f"num_keypoints is {said}, {labelled} are labelled"))
    box, excess = ((0.0,) * 4, 0.0) if found is None else found
    area = at("/area", _area, wanted_area, (box, segment), size)
    if len(errors) > before:
        return None, 0.0
    return Row(
        box=box,
        crowd=bool(crowd),
        area=area,
        difficult=bool(difficult),
        segment=segment,
        keypoints=keypoints,
        label=place.label,
        id=place.id,
        mends=tuple(mends),
    ), excess


def _flag(value: Any, code: str, hint: str) -> None:
    if value not in (0, 1):
        raise AnnotationError(f"{str(value)[:40]!r} is neither 0 nor 1", code=code, hint=hint)


def _mended(box: Any, area: Any, mends: list[tuple[str, str]]) -> tuple[Any, Any]:
    """Sides below zero as the same box from its other corner; an area that is none is left out."""
    if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)):
        x, y, width, height = box
        if width < 0 or height < 0:
            box = [x + min(width, 0), y + min(height, 0), abs(width), abs(height)]
            mends.append(("box.swapped", f"{width:g} × {height:g} was taken from the other corner"))
    if area is not None and (not is_number(area) or area < 0):
        mends.append(("area", f"{str(area)[:80]} is no area: it was computed"))
        area = None
    return box, area


def _segment(row: dict[str, Any], place: Place, mends: list[tuple[str, str]]) -> Segment | None:
    """The mask; one without a pixel is left out beside a box, where that is to be mended."""
    try:
        return parse_segment(row.get("segmentation"), place.size)
    except AnnotationError as error:
        if error.code != "mask.empty" or row.get("bbox") is None or not place.fixing:
            raise
        mends.append((error.code, f"{error.message}: the box alone was taken"))
        return None


def _box(value: Any, size: Size, segment: Segment | None) -> tuple[Box, float]:
    """xywh as a checked xyxy box; where there is none, the one around the mask."""
    if value is None and segment is not None:
        return check_box(masks.box_of(segment, size), size)
    if not isinstance(value, list) or len(value) != 4:
        raise AnnotationError(
            f"{str(value)[:80]} is no x, y, width, height", code="box.format", hint=BOX
        )
    for i, number in enumerate(value):
        if not is_number(number):
            raise AnnotationError(
                f"{str(value)[:80]} are no finite numbers",
                code="box.not_finite",
                pointer=f"/{i}",
                hint=BOX,
            )
    x, y, width, height = map(float, value)
    return check_box((x, y, x + width, y + height), size)


def _area(value: Any, shape: tuple[Box, Segment | None], size: Size) -> float:
    """The area as given; where there is none, that of the mask, else of the box."""
    if value is not None:
        if not is_number(value) or not 0 <= value < HUGE**2:
            raise AnnotationError(
                f"{str(value)[:80]} is no area",
                code="area",
                hint="leave it out: it is computed; or read with fix",
            )
        return float(value)
    (x1, y1, x2, y2), segment = shape
    if segment is not None:
        return float(masks.area(segment, size))
    return (x2 - x1) * (y2 - y1)


def parse_keypoints(value: Any, points: int, size: Size) -> np.ndarray:
    """x, y, visibility of each point; COCO's visibilities are 0, 1 and 2."""
    if not isinstance(value, list) or len(value) != 3 * points:
        count = len(value) if isinstance(value, list) else "no list of"
        raise AnnotationError(
            f"{count} numbers for {points} keypoints, not {3 * points}",
            code="keypoints.length",
            hint="write x, y, visibility of every point of the category, 0, 0, 0 for missing ones",
        )
    for i, number in enumerate(value):
        if not is_number(number):
            raise AnnotationError(
                f"keypoint {i // 3 + 1} is no finite number",
                code="keypoints.not_finite",
                hint="write 0, 0, 0 for a point that is not labelled",
            )
        if i % 3 == 2 and number not in (0, 1, 2):
            raise AnnotationError(
                f"the visibility of keypoint {i // 3 + 1} is {str(number)[:40]}, not 0, 1 or 2",
                code="keypoints.visibility",
                hint="0: not labelled, 1: hidden, 2: visible",
            )
    array = np.array(value, np.float64).reshape(points, 3)
    side = max(size)
    seen = array[array[:, 2] > 0, :2]
    if len(seen) and (seen.min() < -side or seen.max() > 2 * side):
        raise AnnotationError(
            f"a keypoint lies further than {side} pixels outside its image",
            code="keypoints.outside",
            hint="keypoints are pixels: does the image have another size?",
        )
    array[array[:, 2] == 0] = 0  # where nothing is labelled there is no place either
    return array.astype(np.float32)


def gather(rows: Sequence[Row], skeleton: Skeleton | None) -> Objects:
    """The objects of one image; with a skeleton, those without keypoints get unlabelled ones."""
    keypoints = None
    if skeleton is not None:
        keypoints = np.zeros((len(rows), len(skeleton.points), 3), np.float32)
        for i, row in enumerate(rows):
            if row.keypoints is not None:
                keypoints[i] = row.keypoints
    segments = tuple(row.segment for row in rows)
    return Objects(
        boxes=np.array([row.box for row in rows], np.float32).reshape(-1, 4),
        labels=np.array([row.label for row in rows], np.int64),
        crowd=np.array([row.crowd for row in rows], bool),
        ids=np.array([row.id for row in rows], np.int64),
        area=np.array([row.area for row in rows], np.float32),
        difficult=np.array([row.difficult for row in rows], bool),
        segments=segments if any(s is not None for s in segments) else None,
        keypoints=keypoints,
    )
