"""One shape of a CVAT file, checked: box, polygon, mask, skeleton, ellipse or cuboid.

Coordinates are continuous pixels of the image. What has no box in the record of a data set becomes
the box around it, and that is told (`Shape.mends`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sightline.data import masks
from sightline.data.checks import Box, is_whole, to_flag, to_number
from sightline.data.coco_objects import parse_keypoints
from sightline.data.outlines import CORNERS, ellipse, rectangle, turned
from sightline.data.records import Polygons, Runs, Segment
from sightline.data.segments import parse_ring
from sightline.data.xml import Node
from sightline.errors import AnnotationError
from sightline.types import Size

CROWD, DIFFICULT = "is_crowd", "difficult"
"""Attributes of a shape that stand for our flags, as other tools call them."""

CUBOID = [
    f"{axis}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for axis in "xy"
]
"""The names of a cuboid's sixteen coordinates."""


@dataclass(frozen=True)
class Shape:
    """What one element says. `box` is one that was drawn, or stands around a shape that is neither
    mask nor points; `mends` are code and message of what was changed.
    """

    label: str
    group: str
    place: str
    crowd: bool
    difficult: bool
    box: Box | None = None
    segment: Segment | None = None
    keypoints: Float[ndarray, "P 3"] | None = None
    mends: tuple[tuple[str, str], ...] = ()


def parse_shape(node: Node, points: Sequence[str], size: Size) -> Shape:
    """A checked shape on an image of `size`; `points` are the names of a skeleton's points.

    AnnotationError without a place: `shape.kind` for what is no shape, `box.format`, those of
    `parse_ring` and `parse_keypoints`, `keypoints.name`, `keypoints.twice`.
    """
    flags = {row.get("name"): to_flag(row.text) for row in node.each("attribute")}
    group = (node.get("group_id") or "").strip()
    head = (
        node.get("label") or "",
        "" if group == "0" else group,
        node.place,
        flags.get(CROWD, False),
        flags.get(DIFFICULT, False),
    )
    if node.tag == "skeleton":
        return Shape(*head, keypoints=_skeleton(node, points, size))
    if node.tag == "mask":
        return Shape(*head, segment=_mask(node, size))
    if node.tag == "polygon":
        return Shape(*head, segment=parse_ring(_pairs(node), size))
    if node.tag in BOXES:
        box, segment, mends = BOXES[node.tag](node)
        return Shape(*head, box=box, segment=segment, mends=mends)
    raise AnnotationError(
        f"<{node.tag[:40]}> is no shape of CVAT",
        code="shape.kind",
        hint="draw a box, a polygon, a mask or a skeleton",
    )


Boxed = tuple[Box, Segment | None, tuple[tuple[str, str], ...]]


def _numbers(node: Node, names: Sequence[str]) -> list[float]:
    values = []
    for name in names:
        value = to_number(node.get(name))
        if value is None:
            raise AnnotationError(f"{name} is {str(node.get(name))[:40]!r}", code="box.format")
        values.append(value)
    return values


def _around(points: Float[ndarray, "n 2"]) -> Box:
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2


def _turn(node: Node) -> float:
    """A shape's rotation in degrees, clockwise on the screen; 0 where it has none."""
    return 0.0 if node.get("rotation") is None else _numbers(node, ["rotation"])[0]


def _box(node: Node) -> Boxed:
    x1, y1, x2, y2 = _numbers(node, ("xtl", "ytl", "xbr", "ybr"))
    turn = _turn(node)
    if turn % 360 == 0 or not (x2 > x1 and y2 > y1):  # turning would hide a side below zero
        return (x1, y1, x2, y2), None, ()
    corners = turned(rectangle(x1, y1, x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2), turn)
    message = f"the box is turned by {turn:g} degrees: the upright one around it was taken"
    return _around(corners), None, (("box.turned", message),)


def _ellipse(node: Node) -> Boxed:
    """An ellipse is a mask: a polygon of `CORNERS` corners on it, and the exact box around it."""
    x, y, rx, ry = _numbers(node, ("cx", "cy", "rx", "ry"))
    if rx <= 0 or ry <= 0:
        raise AnnotationError(f"the radii {rx:g} and {ry:g} enclose nothing", code="box.degenerate")
    ring, turn = ellipse((x, y), (rx, ry), _turn(node)), math.radians(_turn(node))
    w = math.hypot(rx * math.cos(turn), ry * math.sin(turn))
    h = math.hypot(rx * math.sin(turn), ry * math.cos(turn))
    message = f"an ellipse was taken as a polygon of {CORNERS} corners"
    return (x - w, y - h, x + w, y + h), Polygons((ring,)), (("shape.ellipse", message),)


def _cuboid(node: Node) -> Boxed:
    values = _numbers(node, CUBOID)
    box = _around(np.array(values).reshape(-1, 2))
    return box, None, (("shape.cuboid", "a cuboid was taken as the box around it"),)


BOXES: dict[str, Callable[[Node], Boxed]] = {"box": _box, "ellipse": _ellipse, "cuboid": _cuboid}
LEFT_OUT = ("polyline", "points")
"""Shapes that enclose nothing."""


def _pairs(node: Node, code: str = "polygon.format") -> list[float]:
    """The numbers of `points="x,y;x,y"`; `code` is that of the error where they are none."""
    values = []
    for pair in (node.get("points") or "").split(";"):
        words = pair.split(",")
        numbers = [to_number(word) for word in words]
        if len(words) != 2 or numbers[0] is None or numbers[1] is None:
            raise AnnotationError(f"{pair[:40]!r} is no x,y", code=code)
        values += [numbers[0], numbers[1]]
    return values


def _mask(node: Node, size: Size) -> Runs:
    """CVAT's run lengths: along the rows of a window, first of zeros.

    The window must lie in the image, and the runs must fill it.
    """
    window = [node.get(name) or "" for name in ("left", "top", "width", "height")]
    if not all(is_whole(text) for text in window):
        raise AnnotationError(f"{window} is no window of a mask", code="rle.size")
    left, top, width, height = map(int, window)
    if not (0 < width <= size[1] - left and 0 < height <= size[0] - top):
        raise AnnotationError(
            f"the window ({left}, {top}) of {width} × {height} leaves the image", code="rle.size"
        )
    words = [word.strip() for word in (node.get("rle") or "").split(",")]
    if not all(is_whole(word) for word in words):
        raise AnnotationError("the run lengths are no whole numbers", code="rle.text")
    runs = masks.covering(masks.from_counts([int(word) for word in words], (width, height)))
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = masks.decode(runs).T
    return masks.encode(mask)


def mask_text(runs: Runs) -> dict[str, str]:
    """A mask as CVAT's attributes: run lengths along the rows of the window around its pixels."""
    mask = masks.decode(runs)
    x1, y1, x2, y2 = masks.bounding_box(mask)
    window = np.ascontiguousarray(mask[y1:y2, x1:x2].T)
    counts = masks.encode(window).counts.tolist()
    return {
        "rle": ", ".join(map(str, counts)),
        "left": str(x1),
        "top": str(y1),
        "width": str(x2 - x1),
        "height": str(y2 - y1),
    }


def _skeleton(node: Node, points: Sequence[str], size: Size) -> Float[ndarray, "P 3"]:
    values = [0.0, 0.0, 0.0] * len(points)
    seen: set[str] = set()
    for point in node.each("points"):
        name = point.get("label") or ""
        if name not in points:
            raise AnnotationError(
                f"the skeleton has no point {name!r}",
                code="keypoints.name",
                hint=f"it has {', '.join(points)}"[:200],
            )
        if name in seen:
            raise AnnotationError(f"the point {name!r} stands twice", code="keypoints.twice")
        seen.add(name)
        if to_flag(point.get("outside")):
            continue
        place = _pairs(point, "keypoints.not_finite")
        if len(place) != 2:
            raise AnnotationError(f"{name!r} has {len(place) // 2} places", code="keypoints.length")
        row = 3 * points.index(name)
        values[row : row + 3] = [*place, 1.0 if to_flag(point.get("occluded")) else 2.0]
    return parse_keypoints(values, len(points), size)
