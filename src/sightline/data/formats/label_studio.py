"""Label Studio's JSON, written: a list of tasks that can be imported, labels and all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from sightline.data import brush, masks
from sightline.data.contours import one_ring
from sightline.data.formats.losses import keep
from sightline.data.formats.plan import Part
from sightline.data.label_studio_regions import POINTS
from sightline.data.pages import labelled
from sightline.data.records import Dataset, Example, Runs, Segment
from sightline.files import write_json
from sightline.types import Size

LABEL_STUDIO_HOLDS = frozenset(
    ("masks", "runs", "empty", "splits", "thin", "keypoints", "outside", "names")
)

POINT = 0.5
"""How large a keypoint is drawn, in hundredths of the image's width."""

LOCAL = "/data/local-files/?d="
"""How Label Studio addresses files of its own disk, below the folder it is told to serve."""


def write_label_studio_folder(parts: Sequence[Part], out: Path) -> None:
    """`tasks_{split}.json`, or `tasks.json` without splits; images in `images/{split}`.

    Run lengths stay run lengths, as brushes; a polygon of several parts becomes one ring. Regions
    belong to a control called "label" of an image called "image", keypoints to one called "point".
    """
    number = 0
    for part in parts:
        tasks = []
        for name, example in part.pairs():
            number += 1
            place = "/".join(filter(None, ("images", part.split, name)))
            annotation = {
                "id": number,
                "was_cancelled": False,
                "ground_truth": False,
                "result": _regions(example, part.dataset),
            }
            data = {"image": LOCAL + quote(place)}
            tasks.append({"id": number, "data": data, "annotations": [annotation]})
        file = "tasks.json" if part.split is None else f"tasks_{part.split}.json"
        write_json(out / file, tasks)


def _regions(example: Example, dataset: Dataset) -> list[dict[str, Any]]:
    height, width = example.size
    objects = keep(example.objects, LABEL_STUDIO_HOLDS)
    regions = []
    for i, box in enumerate(objects.boxes.astype(np.float64)):
        segment = None if objects.segments is None else objects.segments[i]
        kind, value = _shape(segment, box, example.size)
        key, name = f"r{i + 1}", dataset.classes[objects.labels[i]]
        regions.append(_region(key, kind, {**value, kind: [name]}, example.size))
        points = labelled(objects, i, dataset)
        for number, (point, (x, y, seen)) in enumerate(points.items(), 1):
            value = {"x": x * 100 / width, "y": y * 100 / height, "width": POINT, POINTS: [point]}
            region = _region(f"{key}p{number}", POINTS, value, example.size)
            region["parentID"] = key
            if seen == 1:
                region["meta"] = {"text": ["hidden"]}
            regions.append(region)
    return regions


def _region(key: str, kind: str, value: dict[str, Any], size: Size) -> dict[str, Any]:
    return {
        "id": key,
        "type": kind,
        "from_name": "point" if kind == POINTS else "label",
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": value,
    }


def _shape(segment: Segment | None, box: np.ndarray, size: Size) -> tuple[str, dict[str, Any]]:
    """What kind of region an object becomes, and its place in hundredths of the image's sides."""
    height, width = size
    if isinstance(segment, Runs) and segment.counts[1::2].any():
        return "brushlabels", {"format": "rle", "rle": brush.encode(masks.decode(segment))}
    ring = None if segment is None else one_ring(segment, size)
    if ring is not None:
        points = (ring * 100 / [width, height]).tolist()
        return "polygonlabels", {"points": points, "closed": True}
    x, y, right, bottom = (box * 100 / [width, height, width, height]).tolist()
    return "rectanglelabels", {
        "x": x, "y": y, "width": right - x, "height": bottom - y, "rotation": 0,
    }  # fmt: skip
