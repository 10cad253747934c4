"""The labels of a CVAT file: classes in order, and the skeleton with its points and limbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from sightline.data.checks import Checks
from sightline.data.records import Skeleton
from sightline.data.xml import Node, XmlLimits, parse_xml
from sightline.errors import AnnotationError
from sightline.skeletons import skeleton

SVG_LIMITS = XmlLimits(depth=10, elements=20_000, size=1 << 20)


@dataclass(frozen=True)
class Labels:
    """Classes, and what the points of skeletons mean."""

    classes: tuple[str, ...]
    skeleton: Skeleton | None


def read_labels(root: Node, file: Path, checks: Checks) -> Labels:
    """The labels of `<meta>`; where it has none, those that the shapes use.

    AnnotationError: `category.name`, `category.duplicate_name`, `skeleton.many` where two labels
    have skeletons of different points.
    """
    nodes = [node for meta in root.each("meta") for node in meta.iter("labels")]
    lists = [node.each("label") for node in nodes if isinstance(node, Node)]
    if not any(lists):
        return _used(root)
    classes: dict[str, None] = {}
    bones: dict[str, dict[str, None]] = {}
    drawings: dict[str, Node] = {}
    places: dict[str, str] = {}
    for labels in lists:
        seen: set[tuple[str, str]] = set()
        for label in labels:
            name, parent = label.findtext("name") or "", label.findtext("parent") or ""
            if not name.strip():
                raise _refusal("category.name", "a label has no name", file, label)
            if (parent, name) in seen:
                raise _refusal("category.duplicate_name", f"two labels are {name!r}", file, label)
            seen.add((parent, name))
            if parent:
                bones.setdefault(parent, {})[name] = None
                places.setdefault(parent, label.place)
            elif (label.findtext("type") or "").strip() != "tag":
                classes[name] = None
                drawings.update((name, svg) for svg in label.each("svg"))
    points = [tuple(names) for names in bones.values()]
    other = next(
        (place for place, n in zip(places.values(), points, strict=True) if n != points[0]), None
    )
    if other is not None:
        raise AnnotationError(
            "two labels have skeletons of different points",
            code="skeleton.many",
            path=file,
            pointer=other,
            hint="a data set has one skeleton: export the labels apart",
        )
    if not points:
        return Labels(tuple(classes), None)
    svg = next((drawings[name] for name in bones if name in drawings), None)
    limbs = [] if svg is None else _limbs(svg, points[0], file, checks)
    return Labels(tuple(classes), skeleton(points[0], limbs))


def _refusal(code: str, message: str, file: Path, node: Node) -> AnnotationError:
    return AnnotationError(message, code=code, path=file, pointer=node.place)


def _used(root: Node) -> Labels:
    """Labels and points that stand at shapes: classes sorted, points as they come."""
    classes: set[str] = set()
    points: dict[str, None] = {}
    for image in root.each("image"):
        classes.update(shape.get("label") or "" for shape in image if shape.tag != "tag")
        for bones in image.each("skeleton"):
            points.update(dict.fromkeys(point.get("label") or "" for point in bones.each("points")))
    names = tuple(name for name in points if name)
    return Labels(tuple(sorted(classes - {""})), skeleton(names, ()) if names else None)


def _limbs(svg: Node, points: Sequence[str], file: Path, checks: Checks) -> list[tuple[int, int]]:
    """The edges of the drawing that CVAT keeps of a skeleton; a drawing that is none is noted."""
    text = svg.text or ""
    try:
        drawing = parse_xml(f"<svg>{text}</svg>".encode(), file, "svg", SVG_LIMITS)
    except AnnotationError as error:
        message = f"the skeleton's drawing cannot be read, it has no limbs: {error.message}"
        checks.note("skeleton.limbs", message, file, svg.place)
        return []
    nodes = {
        circle.get("data-node-id"): circle.get("data-label-name")
        for circle in drawing.each("circle")
    }
    index = {name: i for i, name in enumerate(points)}
    limbs = []
    for line in drawing.each("line"):
        ends = [nodes.get(line.get(f"data-node-{end}")) for end in ("from", "to")]
        known = [index[end] for end in ends if end in index]
        if len(known) == 2:
            limbs.append((known[0], known[1]))
        else:
            checks.note("skeleton.limbs", "a limb ends at no point", file, svg.place)
    return limbs


def draw_limbs(bones: Skeleton) -> str:
    """The drawing of a skeleton as CVAT keeps it: a circle for each point, on a grid, and a line
    for each limb.
    """
    side = max(1, round(len(bones.points) ** 0.5))
    places = [
        (10 + 80 * (i % side) / side, 10 + 80 * (i // side) / side)
        for i in range(len(bones.points))
    ]
    lines = []
    for a, b in bones.limbs:
        (x1, y1), (x2, y2) = places[a], places[b]
        lines.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="black" '
            f'data-type="edge" data-node-from="{a + 1}" data-node-to="{b + 1}" stroke-width="0.5"/>'
        )
    for i, ((x, y), name) in enumerate(zip(places, bones.points, strict=True), 1):
        lines.append(
            f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x:.1f}" cy="{y:.1f}" '
            f'data-type="element node" data-element-id="{i}" data-node-id="{i}" '
            f"data-label-name={quoteattr(name)}/>"
        )
    return "".join(lines)
