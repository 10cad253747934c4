"""YOLO's text labels: `images/…/a.jpg` beside `labels/…/a.txt`, and a `data.yaml`.

A line is `class x y w h`, the box's centre and sides as shares of the upright image, or
`class x1 y1 x2 y2 x3 y3 …`, an outline, whose box is the one around it; a file may mix both.
An image without a label file, or with an empty one, is an image without objects.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline import images as pictures
from sightline.data import masks
from sightline.data.checks import Box, Checks, OnBad, check_box, parse_number
from sightline.data.reading import (
    contained,
    is_file,
    is_image_name,
    lines_of,
    list_folder,
    read_text,
)
from sightline.data.records import Dataset, Example, Objects, Polygons, Segment
from sightline.data.segments import VERTEX_LIMIT
from sightline.data.yolo_yaml import YoloConfig, read_config
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

NUMBERS = "numbers are parted by spaces, with a point for the decimals"

SLACK = 1e-3
"""By how much a share may leave 0 … 1: what tools lose in rounding."""


@dataclass(frozen=True)
class _Line:
    label: int
    box: Box
    segment: Segment | None
    excess: float


def read_yolo(yaml: Path, split: str | None, on_bad: OnBad = "error") -> Dataset:
    """The images of one split of a `data.yaml`, or of all where `split` is None.

    AnnotationError with every fault, file and line; with `on_bad="skip"` bad lines and images that
    cannot be read are dropped and told in `skipped`.
    """
    checks = Checks(on_bad)
    config = read_config(yaml, checks)
    root = yaml.parent
    paths: list[Path] = []
    for name in config.splits if split is None else (split,):
        if name not in config.splits:
            raise DatasetError(f"there is no split {name!r}", code="dataset.split", path=yaml)
        for place in config.splits[name]:
            paths += _listed(place, yaml, checks)
    examples = [_example(path, config, checks) for path in dict.fromkeys(paths)]
    return Dataset(
        examples=tuple(example for example in examples if example is not None),
        classes=config.names,
        category_ids=config.ids,
        skeleton=None,
        name=root.name,
        root=root,
        split=split,
        skipped=checks.finish(),
        repaired=tuple(checks.repaired),
        notes=tuple(checks.notes),
    )


def _listed(place: Path, yaml: Path, checks: Checks) -> list[Path]:
    """The images of a folder, sub-folders included, or of a text file that lists them."""
    root = yaml.parent
    if place.is_dir():
        found = [path for path in sorted(place.rglob("*")) if is_image_name(path)]
        _check_pairs(place, root, found, checks)
        return found
    if place.suffix != ".txt":
        error = AnnotationError(
            f"there is no folder {place}",
            code="file.not_found",
            hint="correct the path: it is relative to this file",
        )
        checks.ruin(error, yaml, place.name)
        return []
    answer = []
    for number, line in enumerate(lines_of(read_text(place)), 1):
        if not line.strip():
            continue
        try:
            path = contained(root, line.strip().removeprefix("./"))
            if not is_file(path):
                raise AnnotationError(
                    f"there is no image {line.strip()[:80]!r}",
                    code="image.missing",
                    hint="put it there, or take it off the list",
                )
            answer.append(path)
        except AnnotationError as error:
            checks.add_error(error, place, f"line {number}")
    return answer


def _check_pairs(folder: Path, root: Path, images: list[Path], checks: Checks) -> None:
    """Two images for one label file, and label files without an image, are faults."""
    stems: dict[Path, Path] = {}
    for path in images:
        stem = path.with_suffix("")
        if stem in stems:
            message = f"{stems[stem].name} and {path.name} share one label file"
            checks.add("image.ambiguous", message, path, None, "rename one of them")
        stems.setdefault(stem, path)
    labels = label_path(folder / "x.jpg", root).parent
    if labels == folder:
        return
    for path in list_folder(labels):
        if path.suffix == ".txt" and folder / path.stem not in stems and path.stem != "classes":
            hint = "put the image there, or delete the label file"
            checks.add("image.missing", f"no image in {folder} has this name", path, None, hint)


def label_path(image: Path, root: Path) -> Path:
    """Where an image's labels lie: under `root`, with "labels" for the path's last "images"; beside
    the image where its path has none.
    """
    parts = list(image.relative_to(root).parent.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts, f"{image.stem}.txt")


def _example(path: Path, config: YoloConfig, checks: Checks) -> Example | None:
    try:
        root = config.path.parent
        key = path.relative_to(root).with_suffix("").as_posix()
        contained(root, path.relative_to(root).as_posix())
        size = pictures.read_size(path)
        labels = label_path(path, root)
        text = ""
        if labels.exists() or labels.is_symlink():
            text = read_text(contained(root, labels.relative_to(root).as_posix()))
    except ImageError as error:
        checks.add(error.code, error.message, path, None, error.hint)
        return None
    except AnnotationError as error:
        checks.add_error(error, Path(error.path or path), error.pointer)
        return None
    index = {number: i for i, number in enumerate(config.ids)}
    lines = []
    for number, line in enumerate(lines_of(text), 1):
        words = line.split()
        if not words:
            continue
        errors: list[AnnotationError] = []
        label = _caught(errors, _label, words[0], index)
        shape = _caught(errors, _shape, words, size)
        for error in errors:
            checks.add_error(error, labels, f"line {number}")
        if errors:
            continue
        checks.clipped(shape[2], labels, f"line {number}")
        lines.append(_Line(label, *shape))
    segments = [line.segment for line in lines]
    objects = Objects.of(
        [line.box for line in lines],
        [line.label for line in lines],
        segments if any(s is not None for s in segments) else None,
    )
    if objects.segments is not None:
        for i, segment in enumerate(objects.segments):
            if segment is not None:
                objects.area[i] = masks.area(segment, size)
    return Example(path, key, size, objects)


def _caught(errors: list[AnnotationError], parse: Any, *values: Any) -> Any:
    """What `parse` makes of the values, or None and its error among the others."""
    try:
        return parse(*values)
    except AnnotationError as error:
        errors.append(error)
        return None


def _label(word: str, index: dict[int, int]) -> int:
    """The class that a line begins with; errors without a place."""
    if not word.isascii() or not word.isdigit() or len(word) > 9:
        raise AnnotationError(
            f"{word[:40]!r} is no class id",
            code="yolo.class",
            hint="a line begins with a whole number from 0",
        )
    if int(word) not in index:
        raise AnnotationError(
            f"there is no class {word}",
            code="yolo.class",
            hint="name the class in data.yaml, or correct the line",
        )
    return index[int(word)]


def _shape(words: list[str], size: Size) -> tuple[Box, Segment | None, float]:
    """The box of a line, its outline, and by how much the box was cut; errors without a place."""
    values = []
    for number, word in enumerate(words[1:], 2):
        value = parse_number(word)
        if value is None:
            message = f"column {number}, {word[:40]!r}, is no finite number"
            raise AnnotationError(message, code="yolo.number", hint=NUMBERS)
        values.append(value)
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise AnnotationError(
            f"{len(words)} columns are neither a box (5) nor an outline (odd, from 7)",
            code="yolo.columns",
            hint="write class x y w h, or class x1 y1 x2 y2 x3 y3 …",
        )
    if len(values) > 2 * VERTEX_LIMIT:
        raise AnnotationError(
            f"more than {VERTEX_LIMIT:,} corners in one outline",
            code="polygon.too_many",
            hint="draw it with fewer corners",
        )
    if any(not -SLACK <= value <= 1 + SLACK for value in values):
        raise AnnotationError(
            "a share lies outside 0 … 1",
            code="yolo.range",
            hint="divide pixels by the image's size",
        )
    height, width = size
    segment = None
    if len(values) == 4:
        x, y, w, h = (v * s for v, s in zip(values, (width, height) * 2, strict=True))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    else:
        segment = Polygons((np.array(values).reshape(-1, 2) * [width, height],))
        box = masks.box_of(segment, size)
    checked, excess = check_box(box, size)
    return checked, segment, excess
