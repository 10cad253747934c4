"""COCO's standard result files, in and out.

One JSON list; an entry a detection: `image_id`, `category_id`, `score`, and what the model gives of
`bbox` [x, y, width, height], `segmentation` (compressed run lengths; polygons are read too) and
`keypoints` [x, y, score, …]. Image ids and category ids are the data set's own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sightline.data.checks import Checks, OnBad, is_number
from sightline.data.masks import rasterise
from sightline.data.reading import read_json
from sightline.data.records import Dataset, Example, Runs, Segment
from sightline.data.segments import parse_segment
from sightline.errors import AnnotationError, UsageError
from sightline.evaluate.columns import runs_of
from sightline.files import atomic_write
from sightline.types import Detections

Part = Literal["bbox", "segmentation", "keypoints"]

PARTS: tuple[Part, ...] = ("bbox", "segmentation", "keypoints")


def write_results(
    path: str | Path,
    dataset: Dataset,
    results: Iterable[Detections],
    parts: tuple[Part, ...] = PARTS,
) -> int:
    """Write `results`, one `Detections` an image in the data set's order; how many were written.

    The file appears whole or not at all, and is written as `results` come, so that they may be a
    generator. Detections of classes that the data set does not have are left out: they have no
    category id. Raises UsageError where the numbers of images differ, AnnotationError where a
    number is not finite, ResourceError where the disk refuses.
    """
    count = images = 0
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        for images, found in enumerate(results, start=1):
            if images > len(dataset):
                break
            for entry in _entries(dataset, dataset[images - 1], found, parts):
                file.write(("\n" if count == 0 else ",\n") + entry)
                count += 1
        file.write("\n]\n")
        if images != len(dataset):
            raise UsageError(
                f"the data set has {len(dataset)} images, the results are of another number",
                code="usage.results_count",
                hint="give one Detections for each image, in the data set's order",
            )
    return count


def _entries(
    dataset: Dataset, example: Example, found: Detections, parts: tuple[Part, ...]
) -> Iterator[str]:
    """One image's detections as JSON texts."""
    ids = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    rows = [i for i, name in enumerate(found.names) if name in ids]
    known = found[rows]
    boxes = known.boxes.detach().cpu().double()
    sides = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
    runs = None
    if "segmentation" in parts and known.masks is not None:
        runs = runs_of(mask.numpy() for mask in known.masks.detach().cpu())
    points = None
    if "keypoints" in parts and known.keypoints is not None:
        points = known.keypoints.detach().cpu().double().flatten(1).tolist()
    for i, (name, score) in enumerate(zip(known.names, known.scores.tolist(), strict=True)):
        entry: dict[str, Any] = {
            "image_id": example.image_id,
            "category_id": ids[name],
            "score": score,
        }
        if "bbox" in parts:
            entry["bbox"] = sides[i]
        if runs is not None:
            text = runs[i]["counts"].decode("ascii")
            entry["segmentation"] = {"size": list(runs[i]["size"]), "counts": text}
        if points is not None:
            entry["keypoints"] = points[i]
        try:
            yield json.dumps(entry, allow_nan=False)
        except ValueError as error:
            raise AnnotationError(
                "a detection has a number that is not finite",
                code="result.non_finite",
                path=example.path,
            ) from error


@dataclass(frozen=True)
class _Entry:
    """One checked detection of a file."""

    label: int
    score: float
    box: tuple[float, float, float, float]
    segment: Segment | None
    keypoints: list[float] | None


def stream_results(
    path: str | Path, dataset: Dataset, on_bad: OnBad = "error", margins: bool = False
) -> Iterator[Detections]:
    """The detections of a result file, one `Detections` an image in the data set's order.

    Masks become pixels only when their image's turn comes, so that all of them are never in memory
    at once. Everything is checked before the first image; an empty list is valid. With `margins`
    scores need not lie in [0, 1]. `region` is each detection's place in the file.

    Raises AnnotationError with all faults: those of the file (`data.reading.read_json`),
    `result.format`, `.image` (no such image), `.category`, `.score`, `.box`, `.keypoints`,
    `.shape` (neither box nor mask), and those of masks; with `on_bad="skip"` faulty entries are
    left out with a warning.
    """
    source = Path(path)
    values = read_json(source)
    if not isinstance(values, list):
        raise AnnotationError(
            "a result file is a list of detections", code="result.format", path=source
        )
    checks = Checks(on_bad)
    places = {example.image_id: i for i, example in enumerate(dataset)}
    labels = {category: label for label, category in enumerate(dataset.category_ids)}
    rows: dict[int, list[tuple[int, _Entry]]] = {}
    for number, value in enumerate(values):
        try:
            place = _known(value, "image_id", places, "result.image")
            size = dataset[place].size
            entry = _entry(value, labels, size, margins, dataset)
            rows.setdefault(place, []).append((number, entry))
        except AnnotationError as error:
            checks.add_error(error, source, f"/{number}")
    checks.finish()
    masks, keypoints = (
        any(getattr(entry, name) is not None for row in rows.values() for _, entry in row)
        for name in ("segment", "keypoints")
    )
    return _answers(dataset, rows, masks, keypoints)


def from_results(
    path: str | Path, dataset: Dataset, on_bad: OnBad = "error", margins: bool = False
) -> list[Detections]:
    """`stream_results` as a list: masks of all images are in memory at once."""
    return list(stream_results(path, dataset, on_bad, margins))


def _known(value: Any, key: str, known: Mapping[Any, int], code: str) -> int:
    """What an entry's id stands for."""
    if not isinstance(value, dict):
        raise AnnotationError("an entry is no object", code="result.format")
    given = value.get(key)
    if isinstance(given, bool) or not isinstance(given, int | str) or given not in known:
        raise AnnotationError(f"{key} {given!r} is not in the data set", code=code)
    return known[given]


def _entry(
    value: dict[str, Any],
    labels: Mapping[int, int],
    size: tuple[int, int],
    margins: bool,
    dataset: Dataset,
) -> _Entry:
    label = _known(value, "category_id", labels, "result.category")
    score: Any = value.get("score")
    if not is_number(score) or not (margins or 0 <= score <= 1):
        raise AnnotationError(
            f"the score {score!r} is no number between 0 and 1",
            code="result.score",
            hint="margins of support vector machines are read with --margins (margins=True)",
        )
    segment = _segment(value.get("segmentation"), size)
    points = _keypoints(value.get("keypoints"), dataset)
    if value.get("bbox") is not None:
        box = _box(value["bbox"])
    elif segment is not None:
        box = _box_around_mask(segment, size)
    elif points is not None:
        xs, ys = points[0::3], points[1::3]
        box = (min(xs), min(ys), max(xs), max(ys))
    else:
        raise AnnotationError("neither bbox nor segmentation nor keypoints", code="result.shape")
    return _Entry(label, float(score), box, segment, points)


def _segment(value: Any, size: tuple[int, int]) -> Segment | None:
    """A detection's mask, None where none is told; it may be one that has no pixels."""
    empty = Runs(np.array([size[0] * size[1]], np.int64), size)
    if value == []:
        return empty
    try:
        return parse_segment(value, size)
    except AnnotationError as error:
        if error.code == "mask.empty":
            return empty
        error.pointer = f"/segmentation{error.pointer or ''}"
        raise


def _box(value: Any) -> tuple[float, float, float, float]:
    """xyxy of a file's [x, y, width, height]."""
    if not isinstance(value, list) or len(value) != 4 or not all(map(is_number, value)):
        raise AnnotationError(f"the bbox {value!r} is not four finite numbers", code="result.box")
    x, y, width, height = map(float, value)
    if width < 0 or height < 0 or max(map(abs, (x, y, width, height))) > 1e9:
        raise AnnotationError(
            f"the bbox {value!r} is not [x, y, width, height] in pixels", code="result.box"
        )
    return x, y, x + width, y + height


def _box_around_mask(segment: Segment, size: tuple[int, int]) -> tuple[float, float, float, float]:
    from sightline.data.masks import bounding_box

    x1, y1, x2, y2 = bounding_box(rasterise(segment, size))
    return float(x1), float(y1), float(x2), float(y2)


def _keypoints(value: Any, dataset: Dataset) -> list[float] | None:
    if value is None:
        return None
    expected = 3 * len(dataset.skeleton.points) if dataset.skeleton else None
    right = isinstance(value, list) and len(value) > 0 and all(map(is_number, value))
    if not right or len(value) % 3 or (expected is not None and len(value) != expected):
        raise AnnotationError(
            f"keypoints are {'three' if expected is None else expected} finite numbers"
            f"{' a point' if expected is None else ''}: x, y, score",
            code="result.keypoints",
        )
    return [float(number) for number in value]


def _answers(
    dataset: Dataset, rows: dict[int, list[tuple[int, _Entry]]], masks: bool, keypoints: bool
) -> Iterator[Detections]:
    """Each image's entries, best first; equal scores in the file's order."""
    count = len(dataset.skeleton.points) if dataset.skeleton else 0
    for place, example in enumerate(dataset):
        found = sorted(rows.get(place, []), key=lambda pair: -pair[1].score)
        entries = [entry for _, entry in found]
        points = [e.keypoints or [0.0] * (3 * count) for e in entries]
        shape = (len(entries), -1, 3) if entries else (0, count, 3)
        yield Detections(
            boxes=torch.tensor([e.box for e in entries], dtype=torch.float64).reshape(-1, 4),
            scores=torch.tensor([e.score for e in entries], dtype=torch.float64),
            labels=torch.tensor([e.label for e in entries], dtype=torch.int64),
            region=torch.tensor([number for number, _ in found], dtype=torch.int64),
            size=example.size,
            classes=tuple(dataset.classes),
            category_ids=tuple(dataset.category_ids),
            masks=_dense(entries, example.size) if masks else None,
            keypoints=torch.tensor(points, dtype=torch.float64).reshape(shape)
            if keypoints
            else None,
        )


def _dense(entries: list[_Entry], size: tuple[int, int]) -> torch.Tensor:
    """(N, H, W) masks; an entry without one gets its box's pixels."""
    answer = np.zeros((len(entries), *size), bool)
    for mask, entry in zip(answer, entries, strict=True):
        if entry.segment is not None:
            mask[:] = rasterise(entry.segment, size)
        else:
            x1, y1, x2, y2 = (round(max(0.0, side)) for side in entry.box)
            mask[y1:y2, x1:x2] = True
    return torch.from_numpy(answer)
