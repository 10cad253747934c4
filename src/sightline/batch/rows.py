"""Answers as plain rows: of JSON lines, of COCO's results, of OpenPose's files."""

import json
from dataclasses import dataclass, field
from typing import Any, TextIO

from sightline import boxes as bx
from sightline.batch.mask_forms import picture
from sightline.types import Detections

COCO_FILES = ("results", "images")
"""What COCO's results are written into, and what their ids stand for."""


def row(key: str, found: Detections, form: str = "rle", stem: str = "") -> dict[str, Any]:
    """One image's answer as plain data: file, width, height, detections.

    Scores have five decimals and boxes two: finer differences say nothing. Masks are of a `form`
    of `mask_forms.FORMS`; pictures are named by the image's `stem`.
    """
    answer = plain(key, found, None if found.masks is None or form == "bitmaps" else form)
    if form == "bitmaps" and found.masks is not None:
        for number, one in enumerate(answer["detections"], start=1):
            one["mask"] = picture(stem, number)
    return answer


def plain(key: str, found: Detections, masks: str | None = None) -> dict[str, Any]:
    """One image's answer, its masks as `masks` says, or without."""
    height, width = found.size
    detections = [
        {**one, "score": round(one["score"], 5), "box": [round(v, 2) for v in one["box"]]}
        for one in found.to_json(masks)
    ]
    return {"file": key, "width": width, "height": height, "detections": detections}


def line(value: dict[str, Any]) -> str:
    """One line of strict JSON in plain ASCII, whatever the names of files are."""
    return json.dumps(value, allow_nan=False)


def cell(text: str) -> str:
    """Text that a spreadsheet will not take for a formula: a quote before = + - @ tab, return."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@dataclass
class CocoResults:
    """COCO's results, written as they come, and beside them the images and categories.

    `form` is of `mask_forms.FORMS`; COCO itself knows run lengths and polygons: it gets run
    lengths where masks are pictures.
    """

    results: TextIO
    companion: TextIO
    form: str = "rle"
    categories: dict[int, str] = field(default_factory=dict)
    _rows: int = 0
    _images: int = 0

    def add(self, number: int, name: str, found: Detections, **more: Any) -> None:
        """The answer for the image of id `number`; `more` is said of the image beside its name."""
        height, width = found.size
        image = {"id": number, "file_name": name, "width": width, "height": height, **more}
        head = ", " if self._images else '{"images": ['
        self.companion.write(head + json.dumps(image, ensure_ascii=False))
        self._images += 1
        ids = found.category_ids or tuple(range(1, len(found.classes) + 1))
        self.categories = dict(zip(ids, found.classes, strict=True))
        form = "polygons" if self.form == "polygons" else "rle"
        answers = row(name, found, form)["detections"]
        boxes = bx.to_xywh(found.boxes).tolist()
        for i, (label, box) in enumerate(zip(found.labels.tolist(), boxes, strict=True)):
            result: dict[str, Any] = {
                "image_id": number,
                "category_id": ids[label],
                "bbox": [round(v, 2) for v in box],
                "score": answers[i]["score"],
            }
            if found.masks is not None:
                result["segmentation"] = answers[i]["mask"]
            if found.keypoints is not None:
                result["keypoints"] = [round(v, 2) for v in found.keypoints[i].flatten().tolist()]
            if found.tracks is not None:
                result["track_id"] = answers[i]["track_id"]
            self.results.write(("[\n" if self._rows == 0 else ",\n") + line(result))
            self._rows += 1

    def close(self) -> None:
        """Make both complete."""
        self.results.write("\n]\n" if self._rows else "[]\n")
        names = [{"id": i, "name": name} for i, name in self.categories.items()]
        head = "" if self._images else '{"images": ['
        self.companion.write(f'{head}], "categories": {json.dumps(names, ensure_ascii=False)}}}\n')


EMPTY = (
    *("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"),
    *(
        "pose_keypoints_3d",
        "face_keypoints_3d",
        "hand_left_keypoints_3d",
        "hand_right_keypoints_3d",
    ),
)
"""What OpenPose writes of a person besides the body; its readers ask for the keys."""


def openpose(found: Detections) -> dict[str, Any]:
    """One image's people as OpenPose 1.3 writes them, in the order and points of the skeleton.

    `pose_keypoints_2d` is x, y, score of each point, 0, 0, 0 where it was not found; `person_id`
    the id of who is followed, -1 without one.
    """
    people = []
    points = [] if found.keypoints is None else found.keypoints.flatten(1).tolist()
    tracks = [0] * len(found) if found.tracks is None else found.tracks.tolist()
    for values, track in zip(points, tracks, strict=False):
        person: dict[str, Any] = {"person_id": [track or -1]}
        person["pose_keypoints_2d"] = [round(value, 3) for value in values]
        people.append(person | {key: [] for key in EMPTY})
    return {"version": 1.3, "people": people}
