"""A data set as COCO's JSON: for evaluators, and for other tools."""

from pathlib import Path
from typing import Any

from sightline.data.records import Dataset, Objects, Skeleton
from sightline.data.segments import segment_to_json
from sightline.files import write_json


def image_ids(dataset: Dataset) -> tuple[int, ...]:
    """A number for each image, in order: its own id where all have numbers, else 1, 2, 3 …"""
    own = [example.image_id for example in dataset]
    if all(isinstance(key, int) for key in own) and len(set(own)) == len(own):
        return tuple(int(key) for key in own)
    return tuple(range(1, len(own) + 1))


def to_coco(dataset: Dataset) -> dict[str, Any]:
    """The data set as COCO's JSON has it, with original category ids.

    Annotation ids count from 1 (0 has a meaning of its own in COCO's evaluator). Boxes are rounded
    to thousandths of a pixel, which undoes float32; areas are written as short as float32 allows.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for key, example in zip(image_ids(dataset), dataset, strict=True):
        height, width = example.size
        name = dataset.file_name(example)
        images.append({"id": key, "file_name": name, "width": width, "height": height})
        for row in _rows(example.objects, dataset):
            annotations.append({"id": len(annotations) + 1, "image_id": key, **row})
    return {
        "info": {"description": " ".join(filter(None, (dataset.name, dataset.split)))},
        "images": images,
        "annotations": annotations,
        "categories": _categories(dataset),
    }


def _rows(objects: Objects, dataset: Dataset) -> list[dict[str, Any]]:
    rows = []
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes.tolist()):
        row: dict[str, Any] = {
            "category_id": dataset.category_ids[objects.labels[i]],
            "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
            "area": float(str(objects.area[i])),
            "iscrowd": int(objects.crowd[i]),
        }
        if objects.difficult[i]:
            row["difficult"] = 1
        segment = None if objects.segments is None else objects.segments[i]
        if segment is not None:
            row["segmentation"] = segment_to_json(segment)
        if objects.keypoints is not None:
            points = objects.keypoints[i]
            row["keypoints"] = [round(value, 3) for value in points.ravel().tolist()]
            row["num_keypoints"] = int((points[:, 2] > 0).sum())
        rows.append(row)
    return rows


def pointed(dataset: Dataset) -> set[int]:
    """The classes of which some object has labelled keypoints."""
    found: set[int] = set()
    for example in dataset:
        points = example.objects.keypoints
        if points is not None:
            found.update(example.objects.labels[(points[..., 2] > 0).any(axis=1)].tolist())
    return found


def _categories(dataset: Dataset) -> list[dict[str, Any]]:
    """The classes; those whose objects have keypoints get the skeleton, limbs counted from 1.

    Where no object has any, all classes get it: a split must not lose what the others have.
    """
    with_points = pointed(dataset)
    rows = []
    for label, (key, name) in enumerate(zip(dataset.category_ids, dataset.classes, strict=True)):
        row: dict[str, Any] = {"id": key, "name": name}
        if dataset.skeleton is not None and (label in with_points or not with_points):
            row.update(_skeleton(dataset.skeleton))
        rows.append(row)
    return rows


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]
    return {"keypoints": list(skeleton.points), "skeleton": limbs}


def write_coco(dataset: Dataset, path: str | Path) -> None:
    """Write the data set as a COCO file; ResourceError where the disk refuses."""
    write_json(path, to_coco(dataset))
