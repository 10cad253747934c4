"""Data sets written as CVAT for images 1.1.

An object is a mask or polygons where its box is the one around them; else a box, and what more it
has beside it, tied by a `group_id`.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from sightline.data import masks
from sightline.data.checks import check_box
from sightline.data.coco_export import pointed
from sightline.data.formats.cvat import FILE, SPLIT
from sightline.data.formats.cvat_labels import draw_limbs
from sightline.data.formats.cvat_shapes import CROWD, DIFFICULT, mask_text
from sightline.data.formats.losses import KINDS
from sightline.data.formats.names import check_skeletons, check_xml
from sightline.data.formats.plan import Part
from sightline.data.formats.writers import number
from sightline.data.records import Dataset, Example, Objects, Polygons, Skeleton
from sightline.errors import AnnotationError, DatasetError
from sightline.files import write_text
from sightline.types import Size

CVAT_HOLDS = frozenset(KINDS) - {"area", "ids", "category_ids"}


def check_cvat(parts: Sequence[Part]) -> None:
    """DatasetError `convert.name` for names that XML, and splits that a subset, cannot hold;
    `convert.skeleton` where the splits have different keypoints.
    """
    check_xml(parts)
    check_skeletons(parts)
    names = [part.split for part in parts if part.split is not None]
    small = [name.lower() for name in names]
    if len(set(small)) < len(small) or not all(map(SPLIT.fullmatch, small)):
        raise DatasetError(
            f"CVAT's subsets cannot be called {', '.join(map(repr, names))}",
            code="convert.name",
            path=parts[0].dataset.root,
            hint="rename the splits: letters, digits, dots and dashes, whatever their case",
        )


def write_cvat_folder(parts: Sequence[Part], out: Path) -> None:
    """`annotations.xml`, images in `images/{split}`, the split as each image's subset."""
    count = sum(len(part.dataset) for part in parts)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        "  <meta>",
        "    <task>",
        f"      <size>{count}</size>\n      <mode>annotation</mode>",
        *_labels([part.dataset for part in parts]),
        "    </task>",
        "  </meta>",
    ]
    row = 0
    for part in parts:
        subset = "" if part.split is None else f" subset={quoteattr(part.split)}"
        for name, example in part.pairs():
            height, width = example.size
            head = f"{quoteattr(name)}{subset}"
            lines.append(f'  <image id="{row}" name={head} width="{width}" height="{height}">')
            lines += _shapes(example, part.dataset)
            lines.append("  </image>")
            row += 1
    write_text(out / FILE, "\n".join([*lines, "</annotations>", ""]))


def _labels(datasets: Sequence[Dataset]) -> list[str]:
    """The classes; those whose objects have keypoints get the skeleton's points and limbs."""
    first = datasets[0]
    with_points = {label for dataset in datasets for label in pointed(dataset)}
    lines = ["      <labels>"]
    for i, name in enumerate(first.classes):
        bones = first.skeleton if i in with_points or not with_points else None
        kind = "any" if bones is None else "skeleton"
        lines.append(f"        <label><name>{escape(name)}</name><type>{kind}</type>")
        lines += [
            f"          <attributes>{_attribute(CROWD)}{_attribute(DIFFICULT)}</attributes>",
            *([] if bones is None else [f"          <svg>{escape(draw_limbs(bones))}</svg>"]),
            "        </label>",
        ]
        for point in () if bones is None else bones.points:
            lines.append(
                f"        <label><name>{escape(point)}</name><type>points</type>"
                f"<parent>{escape(name)}</parent></label>"
            )
    return [*lines, "      </labels>"]


def _attribute(name: str) -> str:
    return (
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>checkbox</input_type>"
        "<default_value>false</default_value><values>false</values></attribute>"
    )


def _shapes(example: Example, dataset: Dataset) -> list[str]:
    """The elements of all objects of an image."""
    lines = []
    objects = example.objects
    for i in range(len(objects)):
        elements = _elements(objects, i, example.size, dataset.skeleton)
        label = quoteattr(dataset.classes[objects.labels[i]])
        group = f' group_id="{i + 1}"' if len(elements) > 1 else ""
        flags = ((CROWD, objects.crowd[i]), (DIFFICULT, objects.difficult[i]))
        said = "".join(f'<attribute name="{name}">true</attribute>' for name, yes in flags if yes)
        for tag, attributes, inner in elements:
            lines.append(
                f'    <{tag} label={label} source="manual" occluded="0"{attributes} z_order="0"'
                f"{group}>{inner}{said}</{tag}>"
            )
    return lines


Element = tuple[str, str, str]
"""Tag, attributes and children of an element."""


def _elements(objects: Objects, row: int, size: Size, bones: Skeleton | None) -> list[Element]:
    elements: list[Element] = []
    segment = None if objects.segments is None else objects.segments[row]
    if isinstance(segment, Polygons):
        for ring in segment.rings:
            pairs = ";".join(f"{_decimal(x)},{_decimal(y)}" for x, y in ring.tolist())
            elements.append(("polygon", f' points="{pairs}"', ""))
    elif segment is not None and segment.counts[1::2].any():
        attributes = "".join(f' {key}="{value}"' for key, value in mask_text(segment).items())
        elements.append(("mask", attributes, ""))
    if bones is not None and objects.keypoints is not None:
        points = objects.keypoints[row]
        if (points[:, 2] > 0).any():
            elements.append(("skeleton", "", _points(points, bones)))
    if not _is_around(objects, row, size):
        ends = zip(("xtl", "ytl", "xbr", "ybr"), objects.boxes[row], strict=True)
        attributes = "".join(f' {end}="{number(value)}"' for end, value in ends)
        elements.insert(0, ("box", attributes, ""))
    return elements


def _decimal(value: float) -> str:
    """The shortest decimal that gives the same float64 back, without an exponent."""
    return np.format_float_positional(value, trim="-")


def _points(points: np.ndarray, bones: Skeleton) -> str:
    inner = ""
    for name, (x, y, seen) in zip(bones.points, points, strict=True):
        inner += (
            f'<points label={quoteattr(name)} outside="{int(seen == 0)}" '
            f'occluded="{int(seen == 1)}" points="{number(x)},{number(y)}"/>'
        )
    return inner


def _is_around(objects: Objects, row: int, size: Size) -> bool:
    """Whether reading an object's mask alone gives its box, to the last bit."""
    segment = None if objects.segments is None else objects.segments[row]
    if segment is None:
        return False
    try:
        box, _ = check_box(masks.box_of(segment, size), size)
    except AnnotationError:
        return False
    return bool((np.array(box, np.float32) == objects.boxes[row]).all())
