"""YOLO's text labels: `images/…/a.jpg` beside `labels/…/a.txt`, and a `data.yaml`.

A line is `class x y w h`, the box's centre and sides as shares of the upright image, or
`class x1 y1 x2 y2 x3 y3 …`, an outline, whose box is the one around it; a file may mix both. Where
`data.yaml` has a `kpt_shape`, every line is a box and its keypoints (`sightline.data.yolo_pose`).
An image without a label file, or with an empty one, is an image without objects.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline import images as pictures
from sightline.data import masks
from sightline.data.checks import Box, Checks, OnBad, check_box, to_number
from sightline.data.reading import (
    contained,
    is_file,
    is_folder,
    is_image_name,
    lines_of,
    list_folder,
    read_text,
)
from sightline.data.records import Dataset, Example, Objects, Polygons, Segment
from sightline.data.segments import VERTEX_LIMIT
from sightline.data.yolo_pose import SLACK, Pose, looks_like_pose
from sightline.data.yolo_yaml import YoloConfig, read_config
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

NUMBERS = "numbers are parted by spaces, with a point for the decimals"
PIXELS = "divide pixels by the image's size"
KEYPOINTS = "if it is a box and keypoints, give data.yaml a kpt_shape"


@dataclass(frozen=True)
class _Line:
    label: int
    box: Box
    segment: Segment | None
    excess: float
    keypoints: np.ndarray | None = None
    doubtful: bool = False


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
    found = [example for example in examples if example is not None]
    bones = None if config.pose is None else config.pose.skeleton
    return checks.dataset(found, config.names, (root, split), bones, config.ids)


def _listed(place: Path, yaml: Path, checks: Checks) -> list[Path]:
    """The images of a folder, sub-folders included, or of a text file that lists them."""
    root = yaml.parent
    if is_folder(place):
        found = [path for path in sorted(place.rglob("*")) if is_image_name(path)]
        _check_pairs(place, root, found, checks)
        return found
    if place.suffix != ".txt":
        error = AnnotationError(
            f"there is no folder {str(place)[-80:]!r}",
            code="file.not_found",
            hint="correct the path: it is relative to this file",
        )
        checks.ruin(error, yaml, place.name[:80])
        return []
    answer: dict[Path, None] = {}
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
            if path in answer:
                message, hint = f"{path.name} stands here for the second time", "delete the line"
                checks.repair("image.listed_twice", message, place, f"line {number}", hint)
            answer[path] = None
        except AnnotationError as error:
            checks.add_error(error, place, f"line {number}")
    return list(answer)


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
            text = _inside(root, labels)
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
        found = None if config.flawed else _caught(errors, _line, label, words, size, config.pose)
        for fault in errors:
            checks.add_error(fault, labels, f"line {number}")
        if found is None or errors:
            continue
        checks.clipped(found.excess, labels, f"line {number}")
        if found.doubtful:
            message = "the outline reads like a box and keypoints"
            checks.repair("yolo.kpt_shape", message, labels, f"line {number}", KEYPOINTS)
        lines.append(found)
    return Example(path, key, size, _objects(lines, size, config.pose))


def _inside(root: Path, labels: Path) -> str:
    """The text of a label file, unless a link leads to it from outside of `root`."""
    try:
        return read_text(contained(root, labels.relative_to(root).as_posix()))
    except AnnotationError as error:
        error.path = str(labels)
        raise


def _caught(errors: list[AnnotationError], parse: Any, *values: Any) -> Any:
    """What `parse` makes of the values, or None and its error among the others."""
    try:
        return parse(*values)
    except AnnotationError as error:
        errors.append(error)
        return None


def _objects(lines: list[_Line], size: Size, pose: Pose | None) -> Objects:
    segments = [line.segment for line in lines]
    keypoints = None
    if pose is not None:
        rows = [line.keypoints for line in lines if line.keypoints is not None]
        keypoints = np.array(rows, np.float32).reshape(-1, len(pose.skeleton.points), 3)
    objects = Objects.of(
        [line.box for line in lines],
        [line.label for line in lines],
        segments if any(s is not None for s in segments) else None,
        keypoints,
    )
    if objects.segments is not None:
        for i, segment in enumerate(objects.segments):
            if segment is not None:
                objects.area[i] = masks.area(segment, size)
    return objects


def _line(label: int, words: list[str], size: Size, pose: Pose | None) -> _Line:
    """What follows the class on a line; errors without a place."""
    values = []
    for number, word in enumerate(words[1:], 2):
        value = to_number(word)
        if value is None:
            message = f"column {number}, {word[:40]!r}, is no finite number"
            raise AnnotationError(message, code="yolo.number", hint=NUMBERS)
        values.append(value)
    if pose is not None:
        return _pose_line(label, values, size, pose)
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        hint = "write class x y w h, or class x1 y1 x2 y2 x3 y3 …"
        raise AnnotationError(
            f"{len(words)} columns are neither a box (5) nor an outline (odd, from 7)",
            code="yolo.columns",
            hint=f"{hint}; {KEYPOINTS}" if len(values) > 4 else hint,
        )
    if len(values) == 4:
        box, excess = _box(values, size)
        return _Line(label, box, None, excess)
    if len(values) > 2 * VERTEX_LIMIT:
        raise AnnotationError(
            f"more than {VERTEX_LIMIT:,} corners in one outline",
            code="polygon.too_many",
            hint="draw it with fewer corners",
        )
    doubtful = looks_like_pose(values)
    _in_range(values, KEYPOINTS if doubtful else PIXELS)
    segment = Polygons((np.array(values).reshape(-1, 2) * [size[1], size[0]],))
    box, excess = check_box(masks.box_of(segment, size), size)
    return _Line(label, box, segment, excess, doubtful=doubtful)


def _label(word: str, index: dict[int, int]) -> int:
    if not word.isascii() or not word.isdigit() or len(word) > 9:
        raise AnnotationError(
            f"{word[:40]!r} is no class id",
            code="yolo.class",
            hint="a line begins with a whole number from 0",
        )
    if not index:
        return 0  # that there are no classes has been told
    if int(word) not in index:
        raise AnnotationError(
            f"there is no class {int(word)}",
            code="yolo.class",
            hint="name the class in data.yaml, or correct the line",
        )
    return index[int(word)]


def _in_range(values: list[float], hint: str) -> None:
    if any(not -SLACK <= value <= 1 + SLACK for value in values):
        raise AnnotationError("a share lies outside 0 … 1", code="yolo.range", hint=hint)


def _box(values: list[float], size: Size) -> tuple[Box, float]:
    """The checked box of centre and sides, and by how many pixels it reached out."""
    _in_range(values, PIXELS)
    height, width = size
    x, y, w, h = (v * s for v, s in zip(values, (width, height) * 2, strict=True))
    return check_box((x - w / 2, y - h / 2, x + w / 2, y + h / 2), size)


def _pose_line(label: int, values: list[float], size: Size, pose: Pose) -> _Line:
    if len(values) + 1 != pose.columns:
        points = len(pose.skeleton.points)
        raise AnnotationError(
            f"{len(values) + 1} columns, not {pose.columns}: class, box and {points} keypoints of "
            f"{pose.values} values",
            code="yolo.columns",
            hint="write 0 for points that are not labelled, or correct kpt_shape in data.yaml",
        )
    box, excess = _box(values[:4], size)
    return _Line(label, box, None, excess, pose.keypoints(values[4:], size))
