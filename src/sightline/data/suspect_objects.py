"""What is suspect in single objects: their masks, areas, keypoints, and objects labelled twice."""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sightline.data import masks
from sightline.data.records import Dataset, Example, Fault

Splits = Mapping[str, Dataset]

CELLS = 7
"""Rows and columns of the grid of YOLO v1, whose cells answer for one object each."""

LISTED = 10
"""Objects of one cell named one by one; the rest are counted."""

AREA_SLACK = 0.25
"""By what share an area may differ from that of its mask: tools count pixels differently."""

REACH = 0.25
"""How far outside its box a mask or a keypoint may lie, as a share of the box's longer side."""

ROUNDING = 2.0
"""Pixels that a mask may reach out of its box in any case, and a keypoint out of its image."""


def every_example(splits: Splits) -> Iterator[Example]:
    """The images of all splits."""
    for dataset in splits.values():
        yield from dataset


def _suspect(code: str, message: str, example: Example, row: int, hint: str) -> Fault:
    identity = int(example.objects.ids[row])
    pointer = f"object {row + 1} (id {identity})"
    return Fault(code, message, str(example.path), pointer, hint, "warning", identity)


def _wrong_area(what: str, true: float, example: Example, row: int) -> Fault:
    message = f"the area is {example.objects.area[row]:g}, that of the {what} {true:g}"
    hint = "sizes in figures follow the area: compute it anew, or leave it out"
    return _suspect(f"area.{what}", message, example, row, hint)


def repeated_objects(splits: Splits) -> list[Fault]:
    """One object labelled twice: the same class and the same box."""
    answer = []
    for example in every_example(splits):
        objects, seen = example.objects, dict[tuple[float, ...], int]()
        for row in range(len(objects)):
            key = (float(objects.labels[row]), *objects.boxes[row].tolist())
            if key in seen:
                message = f"the same class and box as object {seen[key] + 1}"
                hint = "delete one of them"
                answer.append(_suspect("object.repeated", message, example, row, hint))
            seen.setdefault(key, row)
    return answer


def objects_in_one_cell(splits: Splits) -> list[Fault]:
    """Objects whose centres lie in one cell of a 7 × 7 grid over the image: one fault a cell.

    YOLO v1 learns and finds one of them only (Redmon 2016, section 2.4). Crowds are not counted.
    """
    answer = []
    for example in every_example(splits):
        rows = np.flatnonzero(~example.objects.crowd)
        boxes, limits = example.objects.boxes[rows].astype(np.float64), example.size[::-1]
        place = (boxes[:, :2] + boxes[:, 2:]) / 2 / limits * CELLS
        column, line = np.clip(np.floor(place), 0, CELLS - 1).astype(int).T
        cells, owner, counts = np.unique(
            line * CELLS + column, return_inverse=True, return_counts=True
        )
        for index in np.flatnonzero(counts > 1).tolist():
            own, cell = rows[owner == index], int(cells[index])
            where = f"row {cell // CELLS + 1}, column {cell % CELLS + 1} of {CELLS} × {CELLS}"
            message = f"the centres of {len(own)} objects lie in one cell ({where})"
            hint = "YOLO v1 learns one object a cell; other methods do not mind"
            answer.append(_suspect_group("object.same_cell", message, example, own, hint))
    return answer


def _suspect_group(
    code: str, message: str, example: Example, rows: Int[ndarray, "n"], hint: str
) -> Fault:
    """A fault of several objects; its id is that of the first which is lost."""
    ids = example.objects.ids[rows].tolist()
    more = f" and {len(ids) - LISTED} more" if len(ids) > LISTED else ""
    numbers = ", ".join(str(row + 1) for row in rows[:LISTED].tolist())
    pointer = f"objects {numbers}{more} (ids {', '.join(map(str, ids[:LISTED]))}{more})"
    return Fault(code, message, str(example.path), pointer, hint, "warning", ids[1])


def masks_astray(splits: Splits) -> list[Fault]:
    """Masks that are not where their box is, cover no pixel, or have another area than is said.

    Run lengths in the order of rows, as some tools write them, look like any others; as the masks
    they stand for here they leave their boxes.
    """
    answer = []
    for example in every_example(splits):
        for row, segment in enumerate(example.objects.segments or ()):
            if segment is None:
                continue
            mask = masks.rasterise(segment, example.size)
            true, said = int(mask.sum()), float(example.objects.area[row])
            if not true:
                message, hint = "the mask covers no pixel", "draw it again, or delete it"
                answer.append(_suspect("mask.empty", message, example, row, hint))
                continue
            box = example.objects.boxes[row]
            around = np.array(masks.bounding_box(mask), np.float32)
            reach = np.maximum(box[:2] - around[:2], around[2:] - box[2:]).max()
            if reach > REACH * (box[2:] - box[:2]).max() + ROUNDING:
                message = f"the mask reaches {reach:g} pixels out of the object's box"
                hint = "is it another object's, or are its run lengths in the order of rows?"
                answer.append(_suspect("mask.box", message, example, row, hint))
            crowd = bool(example.objects.crowd[row])
            if not crowd and abs(true - said) > AREA_SLACK * max(true, said) + 16:
                answer.append(_wrong_area("mask", true, example, row))
    return answer


def wrong_areas(splits: Splits) -> list[Fault]:
    """Areas of objects without masks that their boxes cannot hold."""
    answer = []
    for example in every_example(splits):
        objects = example.objects
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        most = sides.prod(axis=1)
        # a box that was cut at the edge, or rounded, keeps the area of the whole
        inside = (objects.boxes[:, :2] > 0).all(axis=1)
        inside &= (objects.boxes[:, 2:] < example.size[::-1]).all(axis=1)
        for row in np.flatnonzero(inside & (objects.area > (1 + AREA_SLACK) * most + 16)).tolist():
            if objects.segments is None or objects.segments[row] is None:
                answer.append(_wrong_area("box", float(most[row]), example, row))
    return answer


def keypoints_astray(splits: Splits) -> list[Fault]:
    """Labelled keypoints outside their image, or far outside the box of their object."""
    answer = []
    for example in every_example(splits):
        points = example.objects.keypoints
        if points is None or not len(points):
            continue
        place, seen = points[..., :2], points[..., 2] > 0
        low, high = example.objects.boxes[:, None, :2], example.objects.boxes[:, None, 2:]
        reach = REACH * (high - low).max(axis=2, keepdims=True) + 1
        lost = ((place < -ROUNDING) | (place > np.array(example.size[::-1]) + ROUNDING)).any(axis=2)
        far = ((place < low - reach) | (place > high + reach)).any(axis=2) & ~lost
        for code, out, where in (
            ("keypoints.image", lost & seen, "outside the image"),
            ("keypoints.box", far & seen, "far outside the object's box"),
        ):
            for row in np.flatnonzero(out.any(axis=1)).tolist():
                numbers = ", ".join(str(i) for i in np.flatnonzero(out[row]))
                message = f"keypoints {numbers} lie {where}"
                hint = "do they belong to another object? visibility 0 for what cannot be seen"
                answer.append(_suspect(code, message, example, row, hint))
    return answer
