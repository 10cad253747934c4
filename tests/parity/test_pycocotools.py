"""Our figures are COCO's: equal to pycocotools to 1e-9, on real labels and on random small sets."""

import contextlib
import io
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.data.masks import encode, rasterise
from sightline.data.open import open_dataset
from sightline.data.records import Dataset, Example, Objects, Polygons, Segment, Skeleton
from sightline.errors import SightlineWarning
from sightline.evaluate import Report, curves, evaluate, write_results
from sightline.evaluate.report import BOX_FIGURES, KEYPOINT_FIGURES
from sightline.types import Detections

pytest.importorskip("pycocotools")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

pytestmark = pytest.mark.filterwarnings("ignore::sightline.errors.SightlineWarning")

PARTS = {"bbox": ("bbox",), "segm": ("segmentation",), "keypoints": ("keypoints",)}
PREFIXES = {"bbox": "", "segm": "segm_", "keypoints": "keypoints_"}


def judged(labels: dict[str, Any], answers: list[dict[str, Any]], kind: str, sigmas: Any) -> Any:
    """pycocotools' evaluator after it has counted."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = json.loads(json.dumps(labels))
        truth.createIndex()
        if answers:
            found = truth.loadRes(answers)
        else:  # loadRes has no answer to an empty list
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        judge = COCOeval(truth, found, kind)
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = np.array(sigmas)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def compare(
    report: Report, labels: dict[str, Any], answers: list[dict[str, Any]], kind: str, sigmas: Any
) -> Any:
    """Every figure of the report, and every class's AP, against pycocotools."""
    judge = judged(labels, answers, kind, sigmas)
    names = KEYPOINT_FIGURES if kind == "keypoints" else BOX_FIGURES
    for name, value in zip(names, judge.stats, strict=True):
        check(getattr(report, PREFIXES[kind] + name), value, name)
    order = sorted(labels["categories"], key=lambda row: row["id"])
    whole, half = (
        getattr(report, f"{PREFIXES[kind]}per_class{suffix}") for suffix in ("", "_AP50")
    )
    for k, row in enumerate(order):
        table = judge.eval["precision"][:, :, k, 0, -1]
        check(whole[row["name"]], table.mean() if table.min() > -1 else -1, row["name"])
        check(half[row["name"]], table[0].mean() if table.min() > -1 else -1, row["name"])
    return judge


def check(ours: float | None, theirs: float, name: str) -> None:
    if theirs == -1:
        assert ours is None, name
    else:
        assert ours is not None and math.isclose(ours, theirs, rel_tol=0, abs_tol=1e-9), name


def answers_of(
    dataset: Dataset, results: list[Detections], kind: str, folder: Path
) -> list[dict[str, Any]]:
    """What our own result file says."""
    write_results(folder / "results.json", dataset, results, PARTS[kind])
    rows: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())
    return rows


def jittered(dataset: Dataset, seed: int, rounded: bool) -> list[Detections]:
    """What a fair detector might answer: moved, doubled, renamed, invented, missed, tied."""
    rng = np.random.default_rng(seed)
    return [_image(example, dataset, rng, rounded) for example in dataset]


def _image(
    example: Example, dataset: Dataset, rng: np.random.Generator, rounded: bool
) -> Detections:
    objects = example.objects
    height, width = example.size
    rows = rng.permutation(np.repeat(np.arange(len(objects)), rng.integers(0, 4, len(objects))))
    boxes = objects.boxes[rows].astype(np.float64)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = boxes + rng.normal(0, 0.08, boxes.shape) * sides * rng.choice([0, 1, 3], (len(rows), 1))
    corner = rng.random((6, 2)) * [width * 0.8, height * 0.8]
    invented = np.concatenate([corner, corner + rng.random((6, 2)) * [width, height] / 3], axis=1)
    labels = objects.labels[rows].copy()
    renamed = rng.random(len(rows)) < 0.15
    labels[renamed] = rng.integers(0, len(dataset.classes), renamed.sum())
    labels = np.concatenate([labels, rng.integers(0, len(dataset.classes), 6)])
    moved = np.concatenate([np.sort(moved.reshape(-1, 2, 2), axis=1).reshape(-1, 4), invented])
    scores = rng.random(len(labels)) ** np.where(np.arange(len(labels)) < len(rows), 0.5, 2)
    if rounded:
        scores = np.round(scores, 1)
    keypoints = None
    if objects.keypoints is not None:
        points = objects.keypoints.shape[1]
        near = objects.keypoints[rows].astype(np.float64)
        near[..., :2] += rng.normal(0, 3, near[..., :2].shape)
        wild = rng.random((6, points, 3)) * [width, height, 1]
        keypoints = torch.from_numpy(np.concatenate([near, wild])).float()
    masks = None
    if any(e.objects.segments is not None for e in dataset):
        segments = objects.segments or ()
        masks = torch.from_numpy(
            np.stack([_moved_mask(segments, r, example, rng) for r in rows]
                     + [_filled(box, example) for box in invented])
        )  # fmt: skip
    return Detections(
        torch.from_numpy(moved).float(),
        torch.from_numpy(scores).float(),
        torch.from_numpy(labels),
        torch.arange(len(labels)),
        example.size,
        dataset.classes,
        masks=masks,
        keypoints=keypoints,
    )


def _moved_mask(
    segments: tuple[Segment | None, ...], row: int, example: Example, rng: np.random.Generator
) -> np.ndarray:
    segment = segments[row]
    assert segment is not None
    mask = rasterise(segment, example.size)
    return np.roll(mask, rng.integers(-3, 4, 2), axis=(0, 1))


def _filled(box: np.ndarray, example: Example) -> np.ndarray:
    mask = np.zeros(example.size, bool)
    x1, y1, x2, y2 = box.astype(int)
    mask[y1:y2, x1:x2] = True
    return mask


def real(shared: Path, name: str) -> tuple[Dataset, dict[str, Any]]:
    """The validation half of the real data, and its label file as it stands."""
    root = shared / "data" / "coco"
    labels = root / "annotations" / f"{name}_val.json"
    if not labels.is_file():
        pytest.skip(f"no {labels}")
    dataset = open_dataset(root, "val", annotations=labels)
    return dataset, json.loads(labels.read_text())


@pytest.mark.parametrize(
    "rounded",
    [pytest.param(False, id="scores"), pytest.param(True, id="ties", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "name, kind",
    [("instances", "bbox"), ("person_keypoints", "keypoints"), ("masks", "segm")],
)
def test_real_labels(shared: Path, tmp_path: Path, name: str, kind: str, rounded: bool) -> None:
    dataset, labels = real(shared, name)
    results = jittered(dataset, 1, rounded)
    report = evaluate(dataset, results)
    answers = answers_of(dataset, results, kind, tmp_path)
    sigmas = dataset.skeleton.sigmas if kind == "keypoints" and dataset.skeleton else None
    judge = compare(report, labels, answers, kind, sigmas)
    assert 0.1 < report.to_json()[PREFIXES[kind] + "AP"] < 0.9
    if kind == "bbox":
        drawn = curves(dataset, results)
        counted = judge.eval["precision"][0, :, :, 0, -1].T
        order = sorted(labels["categories"], key=lambda row: row["id"])
        rows = {row["name"]: counted[k] for k, row in enumerate(order)}
        for row, line in zip(drawn.classes, drawn.precision, strict=True):
            np.testing.assert_allclose(line, rows[row], rtol=0, atol=1e-9)


def small_set(seed: int) -> tuple[Dataset, list[Detections], dict[str, Any]]:
    """A random data set of a few images with answers, and its labels as COCO's JSON.

    Half of them on a coarse grid with few different scores, so that IoUs fall on thresholds and
    scores tie; with crowds, empty images, absent classes, sides of zero and over 100 answers.
    """
    rng = np.random.default_rng(seed)
    grid = bool(rng.random() < 0.5)
    classes = tuple("abc"[: rng.integers(1, 4)])
    keys = rng.permutation(50)[: rng.integers(1, 5)].tolist()
    category_ids = tuple(rng.permutation(90)[: len(classes)].tolist())
    examples, results = [], []
    for key in keys:
        truth = _boxes(rng, grid, int(rng.integers(0, 6)))
        plain = Objects.of(truth, rng.integers(0, len(classes), len(truth)))
        crowd = rng.random(len(truth)) < 0.2
        area = plain.area * rng.choice([1.0, 0.5], len(truth)).astype(np.float32)
        # a box's mask is cut to whole pixels
        masks = [_cut(box) for box in truth]
        segments = tuple(
            encode(mask) if flag else Polygons((_ring(box),))
            for mask, flag, box in zip(masks, crowd, truth, strict=True)
        )
        points = _points(rng, truth)
        objects = replace(plain, crowd=crowd, area=area, segments=segments, keypoints=points)
        examples.append(Example(Path(f"/{key}.png"), key, (48, 64), objects))
        results.append(_guesses(rng, grid, objects, classes))
    skeleton = Skeleton(("p", "q"), ((0, 1),), (1, 0), (0.3, 0.07))
    data = Dataset(tuple(examples), classes, category_ids, skeleton, "small", Path("/"), None)
    return data, results, _as_json(data)


def _boxes(rng: np.random.Generator, grid: bool, count: int) -> np.ndarray:
    if grid:
        corner = rng.integers(0, 6, (count, 2)) * 8
        sides = rng.integers(1, 5, (count, 2)) * 8 * (rng.random((count, 1)) > 0.05)
    else:
        corner = rng.random((count, 2)) * [40, 30]
        sides = rng.random((count, 2)) * [24, 18]
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def _cut(box: np.ndarray) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    x1, y1, x2, y2 = np.round(box).astype(int)
    mask[y1:y2, x1:x2] = True
    return mask


def _ring(box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = box.astype(np.float64)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def _points(rng: np.random.Generator, boxes: np.ndarray) -> np.ndarray:
    """Two points of each box; some of them, some of both, not labelled."""
    answer = np.zeros((len(boxes), 2, 3), np.float32)
    answer[:, 0, :2], answer[:, 1, :2] = boxes[:, :2], boxes[:, 2:]
    answer[..., 2] = rng.integers(0, 3, (len(boxes), 2))
    answer[answer[..., 2] == 0] = 0
    return answer


def _guesses(
    rng: np.random.Generator, grid: bool, objects: Objects, classes: tuple[str, ...]
) -> Detections:
    count = int(rng.integers(0, 12)) if rng.random() < 0.97 else 130
    boxes = _boxes(rng, grid, count)
    if len(objects):
        near = rng.random(count) < 0.7
        chosen = objects.boxes[rng.integers(0, len(objects), count)]
        step = rng.integers(-1, 2, (count, 4)) * 4 if grid else rng.normal(0, 2, (count, 4))
        shifted = (chosen + step * (rng.random((count, 1)) < 0.7)).astype(np.float32)
        boxes = np.where(near[:, None], shifted, boxes).astype(np.float32)
        boxes = np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    boxes = boxes.clip(0, 48 if grid else 47.5)
    scores = rng.integers(0, 4, count) / 4 if rng.random() < 0.5 else rng.random(count)
    points = _points(rng, boxes) + (0 if grid else rng.normal(0, 1, (count, 2, 3)))
    return Detections(
        torch.from_numpy(boxes),
        torch.from_numpy(scores).float(),
        torch.from_numpy(rng.integers(0, len(classes), count)),
        torch.arange(count),
        (48, 64),
        classes,
        masks=torch.from_numpy(np.array([_cut(b) for b in boxes], bool).reshape(-1, 48, 64)),
        keypoints=torch.from_numpy(points).float(),
    )


def _as_json(data: Dataset) -> dict[str, Any]:
    """The labels as a label file would hold them, written without our exporter."""
    rows = []
    for example in data:
        objects = example.objects
        for i in range(len(objects)):
            x1, y1, x2, y2 = (float(str(value)) for value in objects.boxes[i])
            segment = objects.segments[i] if objects.segments else None
            if isinstance(segment, Polygons):
                mask: Any = [ring.ravel().tolist() for ring in segment.rings]
            else:
                assert segment is not None
                mask = {"size": [48, 64], "counts": segment.counts.tolist()}
            assert objects.keypoints is not None
            points = objects.keypoints[i]
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": example.image_id,
                    "category_id": data.category_ids[objects.labels[i]],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(str(objects.area[i])),
                    "iscrowd": int(objects.crowd[i]),
                    "segmentation": mask,
                    "keypoints": [float(str(value)) for value in points.ravel()],
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                }
            )
    images = [{"id": e.image_id, "width": 64, "height": 48} for e in data]
    categories = [
        {"id": key, "name": name} for key, name in zip(data.category_ids, data.classes, strict=True)
    ]
    return {"images": images, "annotations": rows, "categories": categories}


def compare_small(seed: int, folder: Path) -> None:
    data, results, labels = small_set(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SightlineWarning)
        report = evaluate(data, results)
    for kind in PARTS:
        sigmas = (0.3, 0.07) if kind == "keypoints" else None
        answers = answers_of(data, results, kind, folder)
        try:
            compare(report, labels, answers, kind, sigmas)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {kind}: {error}") from error


def test_random_small_sets(tmp_path: Path) -> None:
    for seed in range(60):
        compare_small(seed, tmp_path)


@pytest.mark.slow
def test_a_thousand_random_small_sets(tmp_path: Path) -> None:
    for seed in range(1000, 2000):
        compare_small(seed, tmp_path)
