"""One XML file of Pascal VOC: what it says, before its image is looked at."""

from dataclasses import dataclass
from pathlib import Path

from sightline.data.checks import Box, to_flag, to_number
from sightline.data.kept import once
from sightline.data.reading import contained
from sightline.data.xml import Node, XmlLimits, read_xml
from sightline.errors import AnnotationError
from sightline.types import Size

LIMITS = XmlLimits(elements=50_000)
"""A page of 3,000 objects has as many elements."""


@dataclass(frozen=True)
class Shape:
    """One object: `place` is where it stands; `swapped` that its corners were exchanged."""

    place: str
    name: str
    box: Box
    difficult: bool
    swapped: bool


@dataclass(frozen=True)
class Page:
    """What one XML file says; `faults` are those of its objects, `said` a size that is none."""

    path: Path
    file_name: str | None
    place: str | None
    size: Size | None
    said: str | None
    shapes: tuple[Shape, ...]
    names: tuple[str, ...]
    faults: tuple[AnnotationError, ...]


def page_of(path: Path, folder: Path) -> Page:
    """What an XML file of a VOC folder says; a link must not lead out of the folder."""
    return once(path, lambda: _read_page(path, folder))


def _read_page(path: Path, folder: Path) -> Page:
    try:
        path = contained(folder, f"{path.parent.name}/{path.name}")
        root = read_xml(path, "annotation", LIMITS)
    except AnnotationError as error:
        error.hint = error.hint or "write it anew with a labelling tool, or delete it"
        raise
    shapes, names, faults = [], [], []
    for i, element in enumerate(root.each("object"), 1):
        name = (element.findtext("name") or "").strip()
        place = f"object {i} ({name!r}), {element.place}"
        errors = []
        if name:
            names.append(name)
        else:
            hint = "name its class, or delete the object"
            errors.append(AnnotationError("an object has no name", code="category.name", hint=hint))
        try:
            box, swapped = _corners(element)
            if name:
                hard = to_flag(element.findtext("difficult"))
                shapes.append(Shape(place, name, box, hard, swapped))
        except AnnotationError as error:
            errors.append(error)
        for fault in errors:
            fault.pointer = place
        faults += errors
    sides = [root.findtext(f"size/{side}") for side in ("height", "width")]
    numbers = [to_number(side) or 0 for side in sides]
    size = None
    if all(n >= 1 and n == int(n) for n in numbers):
        size = (int(numbers[0]), int(numbers[1]))
    said = None if size is not None or sides == [None, None] else f"{sides[1]} × {sides[0]}"
    file_name = (root.findtext("filename") or "").strip() or None
    home = (root.findtext("path") or "").strip() or None
    return Page(path, file_name, home, size, said, tuple(shapes), tuple(names), tuple(faults))


def _corners(element: Node) -> tuple[Box, bool]:
    """An object's box, each end checked to be a finite number, and whether its corners were
    exchanged in the file.
    """
    values = []
    for end in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{end}")
        value = to_number(text)
        if value is None:
            hint = "write a number of pixels, with a point for the decimals"
            raise AnnotationError(f"{end} is {str(text)[:40]!r}", code="box.format", hint=hint)
        values.append(value)
    x1, y1, x2, y2 = values
    if x2 == x1 or y2 == y1:
        raise AnnotationError(
            f"the box from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) has no area",
            code="box.degenerate",
            hint="draw it again, or delete the object",
        )
    ordered = min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2), max(y1, y2)
    return ordered, x2 < x1 or y2 < y1
