"""The shapes of one LabelMe file, checked, and put together to objects."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sightline import images as pictures
from sightline.data import masks
from sightline.data.checks import Box, Checks, check_box, is_number
from sightline.data.embedded import decode
from sightline.data.outlines import ellipse
from sightline.data.pages import NamedObject, Points, check_point
from sightline.data.records import Polygons, Runs, Segment
from sightline.data.segments import parse_ring
from sightline.errors import AnnotationError, ImageError
from sightline.images import Limits
from sightline.types import Size

LEFT_OUT = ("line", "linestrip", "point", "points")
"""Shapes that enclose nothing."""

Outline = Box | Segment


class _Object:
    """What shapes of one group make: its parts, and where the first stands."""

    def __init__(self, name: str, pointer: str) -> None:
        self.name, self.pointer = name, pointer
        self.parts: list[Outline] = []
        self.points: Points = {}
        self.difficult = self.broken = False


def objects_of(shapes: list[Any], size: Size, report: tuple[Checks, Path]) -> list[NamedObject]:
    """The objects of an image of `size`, in the order of their first shapes; faults go to `report`.

    Codes: `json.object`, `category.name`, `shape.type`, `shape.group`, `shape.flags`, `box.…`,
    `polygon.…`, `circle.…`, `mask.…`.
    """
    checks, file = report
    found: dict[tuple[str | int, object], _Object] = {}
    points: list[tuple[int, dict[str, Any]]] = []
    for i, shape in enumerate(shapes):
        pointer = f"/shapes/{i}"
        try:
            kind = _kind(shape)
            if kind == "point" and shape.get("group_id") is not None:
                points.append((i, shape))
            elif kind in LEFT_OUT:
                message = f"a {kind} encloses nothing: left out"
                checks.repair("shape.left_out", message, file, pointer)
            else:
                one = found.setdefault(_group(shape, i), _Object(shape["label"], pointer))
                _add(one, shape, kind, size)
        except AnnotationError as error:
            checks.add_error(error, file, pointer)
    for i, shape in points:
        try:
            if not _add_point(shape, found, size):
                message = "a point of a group without an object: left out"
                checks.repair("shape.left_out", message, file, f"/shapes/{i}")
        except AnnotationError as error:
            checks.add_error(error, file, f"/shapes/{i}")
    return _finished(found, size, report)


def _finished(
    found: dict[tuple[str | int, object], _Object], size: Size, report: tuple[Checks, Path]
) -> list[NamedObject]:
    """The objects that are whole, with their boxes."""
    checks, file = report
    answer = []
    for one in found.values():
        if one.broken:
            continue  # with a part less its box would be wrong
        try:
            segment = _united(one.parts, size)
            box = _around(one.parts) if segment is None else masks.box_of(segment, size)
            box, excess = check_box(box, size)
        except AnnotationError as error:
            checks.add_error(error, file, f"{one.pointer}/points")
            continue
        checks.clipped(excess, file, f"{one.pointer}/points")
        answer.append(NamedObject(one.name, box, segment, one.difficult, one.points))
    return answer


def _add(one: _Object, shape: dict[str, Any], kind: str, size: Size) -> None:
    """One more part of an object, which is broken where the part is."""
    try:
        if not isinstance(shape.get("points"), list):
            raise AnnotationError("there is no list of points", code="polygon.format")
        one.difficult |= _flag(shape, "difficult")
        one.parts.append(PARSERS[kind](shape, size))
    except AnnotationError as error:
        one.broken = True
        error.pointer = error.pointer or "/points"
        raise


def _add_point(
    shape: dict[str, Any], found: dict[tuple[str | int, object], _Object], size: Size
) -> bool:
    """A keypoint of the one object of its group; False where there is no such object."""
    name, (_, group) = str(shape["label"]), _group(shape, -1)
    owners = [one for key, one in found.items() if key[1] == group]
    if len(owners) > 1:
        raise AnnotationError(
            f"the point {name!r} is of a group with {len(owners)} objects",
            code="keypoints.group",
            pointer="/group_id",
            hint="give one object and its points a group of their own",
        )
    if owners and name in owners[0].points:
        message = f"two points of one object are called {name!r}"
        raise AnnotationError(message, code="keypoints.twice", pointer="/label")
    seen = 1 if _flag(shape, "hidden") else 2
    try:
        if not isinstance(shape.get("points"), list):
            raise AnnotationError("there is no list of points", code="keypoints.format")
        ((x, y),) = _pairs(shape, (1,), "keypoints")
        place = check_point(x, y, size)
    except AnnotationError as error:
        error.pointer = "/points"
        raise
    for one in owners:
        one.points[name] = (*place, seen)
    return bool(owners)


def _united(parts: list[Outline], size: Size) -> Segment | None:
    """The mask of an object's parts together; None for rectangles alone."""
    if all(isinstance(part, tuple) for part in parts):
        return None
    if len(parts) == 1:
        return parts[0] if not isinstance(parts[0], tuple) else None
    shapes = [_corners(part) if isinstance(part, tuple) else part for part in parts]
    rings = [ring for part in shapes if isinstance(part, Polygons) for ring in part.rings]
    runs = [part for part in shapes if isinstance(part, Runs)]
    if not runs:
        return Polygons(tuple(rings))
    pixels = masks.rasterise(Polygons(tuple(rings)), size)
    for part in runs:
        pixels |= masks.decode(part)
    return masks.encode(pixels)


def _corners(box: Box) -> Polygons:
    x1, y1, x2, y2 = box
    return Polygons((np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64),))


def _around(parts: list[Outline]) -> Box:
    """The box around the boxes of an object's parts."""
    corners = np.array([part for part in parts if isinstance(part, tuple)])
    (x1, y1), (x2, y2) = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def _kind(shape: Any) -> str:
    """The type of a shape; LabelMe's first versions wrote none and knew only polygons."""
    if not isinstance(shape, dict):
        raise AnnotationError("a shape is no JSON object", code="json.object")
    kind = shape.get("shape_type") or "polygon"
    if not isinstance(kind, str) or kind not in (*PARSERS, *LEFT_OUT):
        raise AnnotationError(
            f"{str(kind)[:40]!r} is no type of shape",
            code="shape.type",
            pointer="/shape_type",
            hint=f"known: {', '.join((*PARSERS, *LEFT_OUT))}",
        )
    label = shape.get("label")
    if (kind not in LEFT_OUT or shape.get("group_id") is not None) and (
        not isinstance(label, str) or not label.strip()
    ):
        raise AnnotationError(
            f"{str(label)[:80]!r} is no class name", code="category.name", pointer="/label"
        )
    return kind


def _group(shape: dict[str, Any], i: int) -> tuple[str | int, object]:
    """What shapes of one object have in common; a shape without a group stands alone."""
    group = shape.get("group_id")
    if group is None:
        return i, None
    if type(group) is not int and not isinstance(group, str):
        raise AnnotationError(
            f"{str(group)[:40]!r} is no group", code="shape.group", pointer="/group_id"
        )
    return shape["label"], group


def _flag(shape: dict[str, Any], name: str) -> bool:
    """Whether a flag, or a key of the shape itself, is set."""
    flags = shape.get("flags") or {}
    if not isinstance(flags, dict):
        raise AnnotationError("flags is no JSON object", code="shape.flags", pointer="/flags")
    return flags.get(name) is True or shape.get(name) is True


def _pairs(shape: dict[str, Any], counts: tuple[int, ...], code: str) -> list[tuple[float, float]]:
    """The points of a shape that has one of the `counts` of them, each finite."""
    points = shape["points"]
    if len(points) not in counts or not all(isinstance(p, list) and len(p) == 2 for p in points):
        message = f"{str(points)[:80]} are not {' or '.join(map(str, counts))} points x, y"
        raise AnnotationError(message, code=f"{code}.format")
    if not all(is_number(value) for point in points for value in point):
        raise AnnotationError(f"{str(points)[:80]} are no numbers", code=f"{code}.not_finite")
    return [(float(x), float(y)) for x, y in points]


def _polygon(shape: dict[str, Any], size: Size) -> Segment:
    points = shape["points"]
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise AnnotationError("a corner is not x, y", code="polygon.format")
    return parse_ring([value for point in points for value in point], size)


def _rectangle(shape: dict[str, Any], size: Size) -> Box:
    """Two opposite corners, whichever, or all four of one that lies straight."""
    points = _pairs(shape, (2, 4), "box")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if len(points) == 4 and (len(set(xs)) > 2 or len(set(ys)) > 2):
        raise AnnotationError(
            "the four corners are not those of an upright rectangle",
            code="box.format",
            hint="make it a polygon",
        )
    box = min(xs), min(ys), max(xs), max(ys)
    check_box(box, size)
    return box


def _circle(shape: dict[str, Any], size: Size) -> Segment:
    """The centre, and a point of the edge."""
    (x, y), (px, py) = _pairs(shape, (2,), "circle")
    radius = math.hypot(px - x, py - y)
    if not 0 < radius <= 2 * max(size):
        raise AnnotationError(f"{radius:g} is no radius", code="circle.radius")
    return parse_ring(ellipse((x, y), (radius, radius)).ravel().tolist(), size)


def _mask(shape: dict[str, Any], size: Size) -> Segment:
    """Pixels in a PNG, from one corner to the other, both ends included."""
    points = _pairs(shape, (2,), "mask")
    text = shape.get("mask")
    if not isinstance(text, str):
        raise AnnotationError("there is no mask", code="mask.format", pointer="/mask")
    try:
        pixels = pictures.read(decode(text))[0].numpy() > 0
    except ImageError as error:
        raise AnnotationError(error.message, code=error.code, pointer="/mask") from error
    except AnnotationError as error:
        error.pointer = "/mask"
        raise
    (x1, y1), (x2, y2) = ((int(x), int(y)) for x, y in points)
    height, width = size
    if height * width > Limits().max_pixels:
        raise AnnotationError("the image is too large for masks", code="image.too_many_pixels")
    if pixels.shape != (y2 - y1 + 1, x2 - x1 + 1):
        raise AnnotationError(
            f"the mask has {pixels.shape[1]} × {pixels.shape[0]} pixels, its corners say "
            f"{x2 - x1 + 1} × {y2 - y1 + 1}",
            code="mask.size",
        )
    if x1 < 0 or y1 < 0 or x2 >= width or y2 >= height:
        raise AnnotationError("the mask leaves its image", code="mask.outside")
    whole = np.zeros(size, bool)
    whole[y1 : y2 + 1, x1 : x2 + 1] = pixels
    return masks.covering(masks.encode(whole))


PARSERS: dict[str, Callable[[dict[str, Any], Size], Outline]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
}
"""Shapes that are objects: type → what makes an outline, or a box, of one."""
