"""COCO's average precision and recall of boxes, masks and keypoints.

The protocol (Lin 2014; cocodataset.org/#detection-eval): detections are matched greedily, best
score first, to objects of their class at each of ten IoU thresholds 0.50:0.05:0.95 (OKS for
keypoints); precision is made monotone and read at 101 recalls; the mean over thresholds and
classes is AP. At most 100 detections of a class in an image count (20 for keypoints). Detections
that match a crowd are neither right nor wrong. The counting is done by hotcoco; here the data set
becomes what it counts, under ids of our own, so that no id of a label file can change a figure.

Pascal VOC's `difficult` means nothing to this protocol; `evaluate.voc` respects it.
"""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sightline.data.masks import to_text
from sightline.data.records import Dataset, Polygons, Runs, Segment
from sightline.errors import SightlineWarning
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.correct_points import correct_points
from sightline.evaluate.report import Counts, Figures, Report
from sightline.types import Detections

AREAS = {"": 0, "_small": 1, "_medium": 2, "_large": 3}
"""The place of each range of areas on hotcoco's axis, for boxes and masks."""

KEYPOINT_AREAS = {"": 0, "_medium": 1, "_large": 2}


def evaluate(dataset: Dataset, results: Iterable[Detections]) -> Report:
    """COCO's figures of `results`, one `Detections` an image in the data set's order.

    Classes are matched by name: those that only the model has are ignored, those that only the
    data set has are named in the report. Masks and keypoints are judged where both labels and
    results have them. `results` may be a generator (`evaluate.stream`). Warns of classes without
    objects and of classes that the model does not have. Raises what `columns.gather` raises.
    """
    columns = gather(dataset, results)
    report = report_of(columns, dataset)
    for names, what in (
        (report.unknown, "the model does not know {} and gets AP 0 for objects of them"),
        (report.absent, "no object of {}: not part of any mean"),
    ):
        if names:
            short = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
            warnings.warn(what.format(short), SightlineWarning, stacklevel=2)
    return report


def report_of(columns: Columns, dataset: Dataset) -> Report:
    """The report of columns gathered before, without warnings."""
    truth, found = columns.truth, columns.found
    masks = keypoints = None
    if truth.shapes.masks is not None and found.shapes.masks is not None:
        masks = _mask_figures(columns, [dataset[i].size for i in truth.image])
    if (
        truth.shapes.keypoints is not None
        and found.shapes.keypoints is not None
        and dataset.skeleton is not None
    ):
        keypoints = _keypoint_figures(columns, dataset.skeleton.sigmas)
        keypoints = replace(
            keypoints, values={**keypoints.values, **correct_points(columns, dataset.skeleton)}
        )
    objects = dict(zip(columns.classes, columns.counts.tolist(), strict=True))
    return Report(
        boxes=_box_figures(columns),
        masks=masks,
        keypoints=keypoints,
        counts=Counts(columns.images, objects, len(found)),
        unknown=columns.unknown,
        absent=tuple(name for name, count in objects.items() if count == 0),
    )


def _xywh(boxes: Float[ndarray, "N 4"]) -> Float[ndarray, "N 4"]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _frame(columns: Columns) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Images and categories under ids of our own: the place among the images, label + 1."""
    images = [{"id": i + 1, "width": 1, "height": 1} for i in range(columns.images)]
    return images, [{"id": i + 1, "name": name} for i, name in enumerate(columns.classes)]


def _ground(columns: Columns, segments: list[Any] | None = None, crowd: Any = None) -> Any:
    """The labels as hotcoco holds them."""
    from hotcoco import COCO

    truth = columns.truth
    return COCO.from_arrays(
        *_frame(columns),
        columns.place[truth.image] + 1,
        truth.label + 1,
        _xywh(truth.boxes),
        area=truth.area,
        iscrowd=truth.crowd if crowd is None else crowd,
        segmentation=segments,
    )


def _rows(columns: Columns) -> Float[ndarray, "D 7"]:
    """The detections as hotcoco takes them: image, x, y, w, h, score, category."""
    found = columns.found
    parts = (columns.place[found.image] + 1, found.scores, found.label + 1)
    image, score, label = (part.astype(np.float64)[:, None] for part in parts)
    return np.concatenate([image, _xywh(found.boxes), score, label], axis=1)


def _box_figures(columns: Columns) -> Figures:
    ground = _ground(columns)
    return _judge(ground, ground.load_res(_rows(columns)), "bbox", columns.classes)


def _mask_figures(columns: Columns, sizes: list[tuple[int, int]]) -> Figures:
    """An object without a mask, among others that have one, is ignored like a crowd."""
    from hotcoco import mask as codec

    truth = columns.truth
    segments = truth.shapes.masks or []
    lacking = np.array([segment is None for segment in segments], bool)
    shapes = [
        _coco_segment(segment, size, box)
        for segment, size, box in zip(segments, sizes, truth.boxes.tolist(), strict=True)
    ]
    ground = _ground(columns, shapes, truth.crowd | lacking)
    runs = columns.found.shapes.masks or []
    # an answer without a mask, among others that have one, covers nothing
    runs = [{"size": [1, 1], "counts": "1"} if one is None else one for one in runs]
    found = ground.load_res(_rows(columns), segmentation=runs)
    if runs:
        # a mask's size class is told by its own area, not by its box's
        found.update_anns(ids=np.arange(1, len(runs) + 1), area=np.array(codec.area(runs), float))
    return _judge(ground, found, "segm", columns.classes)


def _coco_segment(segment: Segment | None, size: tuple[int, int], box: list[float]) -> Any:
    """A labelled mask as run lengths, rasterised as COCO does; the box where there is none."""
    from hotcoco import mask as codec

    height, width = size
    if isinstance(segment, Runs):
        return {"size": list(segment.size), "counts": to_text(segment)}
    if isinstance(segment, Polygons):
        rings = [ring.reshape(-1).tolist() for ring in segment.rings]
    else:
        x1, y1, x2, y2 = box
        rings = [[x1, y1, x2, y1, x2, y2, x1, y2]]
    united: Any = codec.merge(codec.fr_py_objects(rings, height, width))
    return united


def _keypoint_figures(columns: Columns, sigmas: tuple[float, ...]) -> Figures:
    from hotcoco import COCO

    truth, found = columns.truth, columns.found
    images, categories = _frame(columns)
    points = truth.shapes.keypoints
    guesses = found.shapes.keypoints
    assert points is not None and guesses is not None  # the caller has looked
    labels = [
        {
            "id": row + 1,
            "image_id": int(columns.place[truth.image[row]]) + 1,
            "category_id": int(truth.label[row]) + 1,
            "bbox": box,
            "area": float(truth.area[row]),
            "iscrowd": int(truth.crowd[row]),
            "keypoints": points[row].reshape(-1).tolist(),
            "num_keypoints": int((points[row, :, 2] > 0).sum()),
        }
        for row, box in enumerate(_xywh(truth.boxes).tolist())
    ]
    answers = [
        {
            "image_id": int(columns.place[found.image[row]]) + 1,
            "category_id": int(found.label[row]) + 1,
            "keypoints": guesses[row].reshape(-1).tolist(),
            "score": float(found.scores[row]),
        }
        for row in range(len(found))
    ]
    ground = COCO({"images": images, "categories": categories, "annotations": labels})
    return _judge(ground, ground.load_res(answers), "keypoints", columns.classes, sigmas)


def _judge(
    ground: Any, found: Any, kind: str, classes: tuple[str, ...], sigmas: tuple[float, ...] = ()
) -> Figures:
    """Let hotcoco match and count, then read COCO's figures off its tables."""
    from hotcoco import COCOeval

    judge = COCOeval(ground, found, kind)
    if sigmas:
        judge.params.kpt_oks_sigmas = list(sigmas)
    judge.evaluate()
    judge.accumulate()
    tables: Any = judge.eval
    precision, recall = tables["precision"], tables["recall"]
    values: dict[str, float | None] = {"AP": _mean(precision[:, :, :, 0, -1])}
    for name, threshold in (("50", 0), ("75", 5)):
        values["AP" + name] = _mean(precision[threshold, :, :, 0, -1])
    areas = KEYPOINT_AREAS if kind == "keypoints" else AREAS
    for name, place in list(areas.items())[1:]:
        values["AP" + name] = _mean(precision[:, :, :, place, -1])
    if kind == "keypoints":
        values["AR"] = _mean(recall[:, :, 0, -1])
        values |= {"AR50": _mean(recall[0, :, 0, -1]), "AR75": _mean(recall[5, :, 0, -1])}
    else:
        values |= {f"AR{n}": _mean(recall[:, :, 0, m]) for m, n in enumerate((1, 10, 100))}
    for name, place in list(areas.items())[1:]:
        values["AR" + name] = _mean(recall[:, :, place, -1])
    whole, half = precision[:, :, :, 0, -1], precision[:1, :, :, 0, -1]
    return Figures(
        values,
        {name: _mean(whole[:, :, k]) for k, name in enumerate(classes)},
        {name: _mean(half[:, :, k]) for k, name in enumerate(classes)},
    )


def _mean(table: Float[ndarray, "*any"]) -> float | None:
    """The mean of what was counted; COCO marks with −1 what has no ground truth."""
    counted = table[table > -1]
    return float(counted.mean()) if counted.size else None
