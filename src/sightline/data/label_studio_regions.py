"""The regions of one annotation of Label Studio, checked, as objects.

Coordinates are hundredths of the image's sides. A rectangle may be turned, clockwise about its
first corner: its enclosing box is taken, and told. A region of several labels is an object of each.
Points whose `parentID` is a region's `id` are its keypoints; the text "hidden" in a point's `meta`
says that it cannot be seen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sightline.data import brush, masks
from sightline.data.checks import Box, Checks, check_box, is_number
from sightline.data.outlines import ellipse, rectangle, turned
from sightline.data.pages import NamedObject, Points, check_point
from sightline.data.records import Segment
from sightline.data.segments import parse_ring
from sightline.errors import AnnotationError
from sightline.types import Size

FAR = 1e6
"""Hundredths of a side, and degrees, that are not taken for a slip any more."""

DECIMALS = 9
"""Of a pixel: what shares lose beyond that would move corners across the lattice of masks."""

POINTS = "keypointlabels"

BARE = ("rectangle", "polygon", "ellipse", "brush")
"""Regions whose labels stand in an entry of their own, of the same id."""

Outline = Box | Segment


def objects_of(
    results: list[Any], size: Size, report: tuple[Checks, Path], at: str
) -> list[NamedObject]:
    """The objects of an image of `size`; `at` points to the list, faults go to `report`.

    Codes: `json.object`, `category.name`, `box.…`, `polygon.…`, `ellipse.…`, `rle.…`,
    `image.size`, `image.rotation`.
    """
    checks, file = report
    labelled = {_text(row, "id") for row in results if _text(row, "type") == "labels"}
    points = _points(results, size, report, at)
    answer = []
    for i, row in enumerate(results):
        pointer = f"{at}/{i}"
        try:
            kind = _kind(row)
            if (kind in BARE and _text(row, "id") in labelled) or _is_point(row, points):
                continue
            value = row["value"] if isinstance(row.get("value"), dict) else {}
            shape = _shape(kind, value)
            if shape is None:
                message = f"{kind!r} is no region that encloses anything: left out"
                checks.repair("shape.left_out", message, file, pointer)
                continue
            names = _names(kind, value)
            _check_size(row, size)
            segment, box, excess = _outline(shape, value, size)
        except AnnotationError as error:
            checks.add_error(error, file, pointer)
            continue
        checks.clipped(excess, file, pointer)
        if segment is None and value.get("rotation", 0) % 360:
            message = "the rectangle is turned: the box around it was taken"
            checks.repair("box.turned", message, file, f"{pointer}/value/rotation")
        own = points.get(_text(row, "id"), {})
        answer += [NamedObject(name, box, segment, points=own) for name in names]
    return answer


def _is_point(row: dict[str, Any], parents: dict[str, Points]) -> bool:
    """Whether a result is a keypoint of another region."""
    return _text(row, "type") == POINTS and _text(row, "parentID") in parents


def _points(
    results: list[Any], size: Size, report: tuple[Checks, Path], at: str
) -> dict[str, Points]:
    """The keypoints of each region that encloses something, by its id; faults are told."""
    checks, file = report
    found: dict[str, Points] = {}
    for row in results:
        value = row.get("value") if isinstance(row, dict) else None
        if isinstance(value, dict) and _text(row, "id") and _shape(_text(row, "type"), value):
            found[_text(row, "id")] = {}
    for i, row in enumerate(results):
        if not isinstance(row, dict) or not _is_point(row, found):
            continue
        try:
            value = row["value"] if isinstance(row.get("value"), dict) else {}
            names = _names(POINTS, value)
            _check_size(row, size)
            x, y = _numbers(value, ("x", "y"), "keypoints")
            place = check_point(
                round(x / 100 * size[1], DECIMALS), round(y / 100 * size[0], DECIMALS), size
            )
            own = found[row["parentID"]]
            if len(names) > 1 or names[0] in own:
                message = f"a region has two points {names[-1]!r}, or a point two names"
                raise AnnotationError(message, code="keypoints.twice", pointer="/value")
            own[names[0]] = (*place, 1 if _is_hidden(row) else 2)
        except AnnotationError as error:
            error.pointer = error.pointer or "/value"
            checks.add_error(error, file, f"{at}/{i}")
    return found


def _is_hidden(row: dict[str, Any]) -> bool:
    meta = row.get("meta")
    words = meta.get("text") if isinstance(meta, dict) else None
    return isinstance(words, list) and "hidden" in words


def _text(row: Any, key: str) -> str:
    value = row.get(key) if isinstance(row, dict) else None
    return value if isinstance(value, str) else ""


def _kind(row: Any) -> str:
    if not isinstance(row, dict) or not isinstance(row.get("type"), str):
        raise AnnotationError("a result is no JSON object with a type", code="json.object")
    return str(row["type"])


def _shape(kind: str, value: dict[str, Any]) -> str | None:
    """Which of `PARSERS` reads a region; None for what encloses nothing."""
    name = kind.removesuffix("labels")
    if name in PARSERS:
        return name
    if kind != "labels":
        return None
    keys = {"rle": "brush", "radiusX": "ellipse", "points": "polygon", "height": "rectangle"}
    return next((shape for key, shape in keys.items() if key in value), None)


def _names(kind: str, value: dict[str, Any]) -> list[str]:
    """The labels of a region, each once."""
    key = kind if kind in value or not kind.endswith("labels") else "labels"
    names = value.get(key)
    fine = isinstance(names, list) and bool(names)
    if not fine or not all(isinstance(name, str) and name.strip() for name in names or ()):
        raise AnnotationError(
            f"{str(names)[:80]} are no labels",
            code="category.name",
            pointer=f"/value/{key}",
            hint="give the region a label, or delete it",
        )
    return list(dict.fromkeys(names or ()))


def _check_size(row: dict[str, Any], size: Size) -> None:
    if (row.get("original_height"), row.get("original_width")) not in (size, (None, None)):
        raise AnnotationError(
            "it is of an image of another size than the first",
            code="image.size",
            pointer="/original_width",
        )
    if row.get("image_rotation") not in (0, None):
        raise AnnotationError(
            "regions of a turned view of the image are not read",
            code="image.rotation",
            pointer="/image_rotation",
            hint="turn the image back in Label Studio, or turn the file",
        )


def _outline(shape: str, value: dict[str, Any], size: Size) -> tuple[Segment | None, Box, float]:
    """The mask of a region, if it has one, its box, and by how many pixels that left the image."""
    key = {"brush": "/value/rle", "polygon": "/value/points"}.get(shape, "/value")
    try:
        found = PARSERS[shape](value, size)
        if isinstance(found, tuple):
            return (None, *check_box(found, size))
        return (found, *check_box(masks.box_of(found, size), size))
    except AnnotationError as error:
        error.pointer = error.pointer or key
        raise


def _numbers(value: dict[str, Any], keys: tuple[str, ...], code: str) -> list[float]:
    """Numbers of a region, each finite; a rotation that is not there is 0."""
    found = [value.get(key, 0 if key == "rotation" else None) for key in keys]
    for key, number in zip(keys, found, strict=True):
        if not is_number(number):
            name = f"{code}.not_finite" if type(number) in (int, float) else f"{code}.format"
            message = f"{key} is {str(number)[:40]!r}, no number"
            raise AnnotationError(message, code=name, pointer=f"/value/{key}")
        if abs(number) > FAR:
            message = f"{key} is {number:g}"
            raise AnnotationError(message, code=f"{code}.outside", pointer=f"/value/{key}")
    return [float(number) for number in found if is_number(number)]


def _rectangle(value: dict[str, Any], size: Size) -> Box:
    height, width = size
    keys = ("x", "y", "width", "height", "rotation")
    x, y, w, h, degrees = _numbers(value, keys, "box")
    sides = (width, height, width, height)
    shares = zip((x, y, x + w, y + h), sides, strict=True)
    x1, y1, x2, y2 = (round(share / 100 * side, DECIMALS) for share, side in shares)
    if degrees % 360 == 0:
        return x1, y1, x2, y2
    check_sides((x1, y1, x2, y2))
    corners = turned(rectangle(x1, y1, x2, y2), (x1, y1), degrees)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def check_sides(box: Box) -> None:
    """AnnotationError `box.degenerate` for a side of zero or less, which turning would hide."""
    x1, y1, x2, y2 = box
    if not (x2 > x1 and y2 > y1):
        raise AnnotationError("the rectangle has no area", code="box.degenerate")


def _polygon(value: dict[str, Any], size: Size) -> Segment:
    points = value.get("points")
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point))
        for point in points
    ):
        raise AnnotationError("a polygon's points are not x, y each", code="polygon.format")
    height, width = size
    values = [v / 100 * side for p in points for v, side in zip(p, (width, height), strict=True)]
    return parse_ring([round(value, DECIMALS) for value in values], size)


def _ellipse(value: dict[str, Any], size: Size) -> Segment:
    height, width = size
    keys = ("x", "y", "radiusX", "radiusY", "rotation")
    x, y, across, down, degrees = _numbers(value, keys, "ellipse")
    if not (0 < across <= 200 and 0 < down <= 200):
        message = f"{across:g} × {down:g} are no radii"
        raise AnnotationError(message, code="ellipse.radius")
    centre = x / 100 * width, y / 100 * height
    ring = ellipse(centre, (across / 100 * width, down / 100 * height), degrees)
    return parse_ring(ring.ravel().tolist(), size)


def _brush(value: dict[str, Any], size: Size) -> Segment:
    if value.get("format") != "rle":
        message = f"{str(value.get('format'))[:40]!r} is no format of a brush"
        raise AnnotationError(message, code="rle.format", pointer="/value/format")
    return masks.covering(masks.encode(brush.decode(value.get("rle"), size)))


PARSERS: dict[str, Callable[[dict[str, Any], Size], Outline]] = {
    "rectangle": _rectangle,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "brush": _brush,
}
"""Regions that are objects: name → what makes an outline, or a box, of one."""
