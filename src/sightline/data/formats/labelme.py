"""LabelMe's JSON, written: a file an image, beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.contours import outline
from sightline.data.formats.losses import keep
from sightline.data.formats.plan import Part
from sightline.data.pages import labelled
from sightline.data.records import Dataset, Example
from sightline.files import write_json

LABELME_HOLDS = frozenset(
    ("masks", "parts", "difficult", "empty", "splits", "thin", "keypoints", "outside", "names")
)

VERSION = "5.5.0"
"""The version of LabelMe whose files these are."""


def write_labelme_folder(parts: Sequence[Part], out: Path) -> None:
    """`{split}/a.json` beside `{split}/a.jpg`; without splits both in `out` itself.

    A mask of several parts becomes polygons of one `group_id`; keypoints become points of it.
    """
    for part in parts:
        for name, example in part.pairs():
            stem = name.removesuffix(Path(name).suffix)
            page: dict[str, Any] = {
                "version": VERSION,
                "flags": {},
                "shapes": _shapes(example, part.dataset),
                "imagePath": name,
                "imageData": None,
                "imageHeight": example.size[0],
                "imageWidth": example.size[1],
            }
            write_json(out / (part.split or "") / f"{stem}.json", page, indent=1)


def _shapes(example: Example, dataset: Dataset) -> list[dict[str, Any]]:
    objects = keep(example.objects, LABELME_HOLDS)
    shapes = []
    for i, box in enumerate(objects.boxes):
        segment = None if objects.segments is None else objects.segments[i]
        rings = () if segment is None else outline(segment, example.size).rings
        corners = [ring.tolist() for ring in rings] or [_corners(box)]
        points = labelled(objects, i, dataset)
        group = i + 1 if len(corners) + len(points) > 1 else None
        name = dataset.classes[objects.labels[i]]
        kind = "polygon" if rings else "rectangle"
        flags = {"difficult": True} if objects.difficult[i] else {}
        shapes += [_shape(name, place, kind, group, flags) for place in corners]
        for name, (x, y, seen) in points.items():
            flags = {"hidden": True} if seen == 1 else {}
            shapes.append(_shape(name, [[x, y]], "point", group, flags))
    return shapes


def _shape(
    label: str, points: list[list[float]], kind: str, group: int | None, flags: dict[str, bool]
) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": flags,
    }


def _corners(box: np.ndarray) -> list[list[float]]:
    """Two corners, in the shortest decimals that give the same float32 back."""
    x1, y1, x2, y2 = (float(str(value)) for value in box)
    return [[x1, y1], [x2, y2]]
