"""COCO, Pascal VOC, YOLO and plain CSV, written; each takes all splits of one conversion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from sightline.data.coco_export import to_coco
from sightline.data.contours import one_ring
from sightline.data.formats.losses import KINDS, keep, outside
from sightline.data.formats.plain_csv import guarded, to_csv
from sightline.data.formats.plan import Part
from sightline.data.records import Dataset, Example, Objects
from sightline.files import write_json, write_text
from sightline.types import Size

COCO_HOLDS = frozenset(KINDS) - {"ids"}
VOC_HOLDS = frozenset(("difficult", "empty", "splits"))
YOLO_HOLDS = frozenset(
    ("masks", "keypoints", "names", "points", "empty", "classes", "category_ids", "splits", "thin")
)
CSV_HOLDS = frozenset(("empty", "thin"))

HEADER = ("file", "width", "height", "label", "x1", "y1", "x2", "y2")


def write_coco_folder(parts: Sequence[Part], out: Path) -> None:
    """`annotations/instances_{split}.json`, images in `images/{split}`."""
    for part in parts:
        labels = to_coco(part.dataset)
        for row, name in zip(labels["images"], part.names, strict=True):
            row["file_name"] = name
        file = "instances.json" if part.split is None else f"instances_{part.split}.json"
        write_json(out / "annotations" / file, labels)


def number(value: float) -> str:
    """The shortest decimal that gives the same float32 back, without an exponent."""
    return np.format_float_positional(np.float32(value), trim="-")


def write_voc_folder(parts: Sequence[Part], out: Path) -> None:
    """`Annotations/*.xml`, images in `JPEGImages`, `ImageSets/Main/{split}.txt`."""
    for part in parts:
        for name, example in part.pairs():
            stem = name.removesuffix(Path(name).suffix)
            write_text(out / "Annotations" / f"{stem}.xml", _page(name, example, part.dataset))
        if part.split is not None:
            stems = (name.removesuffix(Path(name).suffix) for name in part.names)
            listing = out / "ImageSets" / "Main" / f"{part.split}.txt"
            write_text(listing, "".join(f"{stem}\n" for stem in stems))


def _page(name: str, example: Example, dataset: Dataset) -> str:
    height, width = example.size
    objects = keep(example.objects, VOC_HOLDS)
    lines = [
        "<annotation>",
        f"  <folder>JPEGImages</folder>\n  <filename>{escape(name)}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
    ]
    for box, label, hard in zip(objects.boxes, objects.labels, objects.difficult, strict=True):
        ends = (number(box[0] + 1), number(box[1] + 1), number(box[2]), number(box[3]))
        corners = "".join(
            f"<{end}>{value}</{end}>"
            for end, value in zip(("xmin", "ymin", "xmax", "ymax"), ends, strict=True)
        )
        lines.append(
            f"  <object>\n    <name>{escape(dataset.classes[label])}</name>\n"
            f"    <difficult>{int(hard)}</difficult>\n    <bndbox>{corners}</bndbox>\n  </object>"
        )
    return "\n".join([*lines, "</annotation>", ""])


def yolo_lacks(datasets: Sequence[Dataset]) -> frozenset[str]:
    """A line of YOLO holds keypoints or an outline: with a skeleton, the masks are lost."""
    posed = any(dataset.skeleton is not None for dataset in datasets)
    return frozenset(("masks",) if posed else ("keypoints", "names", "points"))


def write_yolo_folder(parts: Sequence[Part], out: Path) -> None:
    """`labels/{split}/*.txt`, images in `images/{split}`, and `data.yaml`.

    The classes' own ids stay, where they are whole numbers that YOLO can hold, else 0 … K − 1.
    With a skeleton every line is a box and its keypoints, and there are no outlines.
    """
    from sightline.data.yolo_yaml import to_yaml

    first = parts[0].dataset
    fine = all(0 <= key < 10**9 for key in first.category_ids)
    ids = first.category_ids if fine else tuple(range(len(first.classes)))
    points = None if first.skeleton is None else len(first.skeleton.points)
    for part in parts:
        folder = out / "labels" / str(part.split)
        for name, example in part.pairs():
            text = "".join(f"{line}\n" for line in _lines(example, ids, points))
            write_text(folder / f"{name.removesuffix(Path(name).suffix)}.txt", text)
    splits = {str(part.split): f"images/{part.split}" for part in parts}
    config: dict[str, Any] = {"path": ".", **splits}
    config["names"] = dict(zip(ids, first.classes, strict=True))
    if first.skeleton is not None:
        config["kpt_shape"] = [points, 3]
        config["flip_idx"] = list(first.skeleton.flips)
        config["kpt_names"] = {key: list(first.skeleton.points) for key in ids}
    write_text(out / "data.yaml", to_yaml(config))


def _lines(example: Example, ids: Sequence[int], points: int | None) -> list[str]:
    """A box with its keypoints where the data set has `points` of them; else an outline where an
    object has a mask, else its box. Shares of the image, ten decimals.
    """
    height, width = example.size
    objects = keep(example.objects, YOLO_HOLDS)
    lines = []
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes.astype(np.float64)):
        segment = None if objects.segments is None or points is not None else objects.segments[i]
        ring = None if segment is None else one_ring(segment, example.size)
        if ring is None:
            centre = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
            shares = [*centre, (x2 - x1) / width, (y2 - y1) / height]
        else:
            shares = (ring.clip(0, [width, height]) / [width, height]).ravel().tolist()
        words = [str(ids[objects.labels[i]]), *(f"{v:.10f}" for v in shares)]
        if points is not None:
            words += _points(objects, i, points, example.size)
        lines.append(" ".join(words))
    return lines


def _points(objects: Objects, row: int, points: int, size: Size) -> list[str]:
    """One object's `x y v` for each point; zeros for those not labelled or outside the image."""
    if objects.keypoints is None:
        return ["0"] * (3 * points)
    found = objects.keypoints[row].astype(np.float64)
    found[(found[:, 2] == 0) | outside(objects.keypoints[row], size)] = 0
    words: list[str] = []
    for x, y, seen in found.tolist():
        words += (
            [f"{x / size[1]:.10f}", f"{y / size[0]:.10f}", f"{seen:.0f}"] if seen else ["0"] * 3
        )
    return words


def write_csv_folder(parts: Sequence[Part], out: Path) -> None:
    """`labels.csv`, one row an object, images in `images`; an image without any has empty cells."""
    rows: list[tuple[object, ...]] = [HEADER]
    for part in parts:
        for name, example in part.pairs():
            height, width = example.size
            objects = keep(example.objects, CSV_HOLDS)
            head = (guarded(name), width, height)
            if not len(objects):
                rows.append((*head, "", "", "", "", ""))
            for box, label in zip(objects.boxes, objects.labels, strict=True):
                name_of = guarded(part.dataset.classes[label])
                rows.append((*head, name_of, *(number(v) for v in box)))
    write_text(out / "labels.csv", to_csv(rows))
