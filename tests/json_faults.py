"""Planted faults of formats that are JSON: LabelMe and Label Studio."""

import json
from pathlib import Path
from typing import Any

from folders import draw
from label_faults import Case, _with

DEEP = "[" * 100_000


# LabelMe


def _shaped(label: Any = "cat", points: Any = None, kind: Any = "rectangle", **more: Any) -> Any:
    corners = [[30, 6], [50, 16]] if points is None else points
    return {"label": label, "points": corners, "shape_type": kind, "flags": {}} | more


def _point(name: Any, x: Any, y: Any, **more: Any) -> Any:
    return _shaped(name, [[x, y]], "point", group_id=1, **more)


SHAPES = [
    _shaped("dog", [[5, 6.5], [20, 30]], group_id=1),
    _point("nose", 10, 12),
    _shaped("cat", [[30, 5], [50, 5], [50.5, 25]], "polygon"),
]


def _labelled(*more: Any, **changes: Any) -> dict[str, Any]:
    """The labels of a.jpg, shapes more, changed."""
    page = {"version": "5.5.0", "shapes": [*SHAPES, *more], "imagePath": "a.jpg"}
    return page | {"imageData": None, "imageHeight": 40, "imageWidth": 60} | changes


def clean_labelme(root: Path) -> Path:
    for name, page in (("a", _labelled()), ("b", _labelled(shapes=[], imagePath="b.jpg"))):
        draw(root / f"{name}.jpg")
        (root / f"{name}.json").write_text(json.dumps(page))
    return root


def _file(
    number: str, code: str, labels: Any, pointer: str | None = None, severity: str = "error"
) -> Case:
    """The clean folder with other labels, or another text, in a.json."""
    text = labels if isinstance(labels, str | bytes) else json.dumps(labels)
    data = text if isinstance(text, bytes) else text.encode()
    make = _with(clean_labelme, lambda root: (root / "a.json").write_bytes(data))
    return Case(number, code, make, clean_labelme, severity, pointer)


def _shape(number: str, code: str, at: str, shape: Any, severity: str = "error") -> Case:
    return _file(number, code, _labelled(shape), f"/shapes/3{at}", severity)


def _corners(number: str, code: str, points: Any, kind: str = "rectangle", **more: Any) -> Case:
    return _shape(number, code, "/points", _shaped("cat", points, kind, **more))


def _path(number: str, code: str, name: Any, **more: Any) -> Case:
    return _file(number, code, _labelled(imagePath=name, **more), "/imagePath")


def _without(key: str) -> dict[str, Any]:
    return {k: value for k, value in _labelled().items() if k != key}


def two_labelme(root: Path) -> Path:
    """A folder for each of two splits."""
    clean_labelme(root / "train")
    draw(root / "val" / "c.jpg")
    (root / "val" / "c.json").write_text(json.dumps(_labelled(imagePath="c.jpg")))
    return root


def _second_folder(number: str, code: str, text: str | bytes, pointer: str) -> Case:
    """The only file of another split than the first, which must not go without a word."""
    data = text if isinstance(text, bytes) else text.encode()
    make = _with(two_labelme, lambda root: (root / "val" / "c.json").write_bytes(data))
    return Case(number, code, make, two_labelme, pointer=pointer)


GOOD = json.dumps(_labelled())
PIXELS = [[0, 0], [3, 2]]

LABELME = [
    _path("A1", "image.missing", "x.jpg"),
    Case("A1", "image.missing",
         _with(clean_labelme, lambda root: (root / "b.jpg").unlink()), clean_labelme,
         pointer="/imagePath"),
    Case("A2", "image.unlisted",
         _with(clean_labelme, lambda root: draw(root / "more.jpg")), clean_labelme, "note"),
    Case("A4", "image.duplicate_file", _with(
        clean_labelme, lambda root: (root / "c.json").write_text(GOOD)), clean_labelme,
        pointer="/imagePath"),
    _corners("A8", "box.degenerate", [[1, 1], [1, 9]]),
    _corners("A8", "box.degenerate", [[1, 1], [1, 1]]),
    _shape("A9", "box.clipped", "/points", _shaped("cat", [[50, 5], [90, 30]]), "warning"),
    _corners("A10", "box.outside", [[80, 1], [99, 9]]),
    _corners("A11", "box.huge", [[1, 1], [1e300, 9]]),
    _corners("A11", "box.not_finite", [[1, 1], [10**400, 9]]),
    _file("A11", "json.constant", GOOD.replace("6.5", "NaN"), "/shapes/0/points/0/1"),
    _file("A11", "box.not_finite", GOOD.replace("6.5", "1e400"), "/shapes/0/points"),
    _corners("A12", "box.format", [[1, 1]]),
    _corners("A12", "box.format", [[1, 1, 1], [9, 9, 9]]),
    _corners("A12", "box.format", [[5, 0], [9, 5], [5, 9], [0, 5]]),
    _corners("A12", "box.not_finite", [[1, 1], [9, "9"]]),
    _corners("A12", "box.not_finite", [[1, 1], [9, True]]),
    _corners("A12", "polygon.format", "1 1 9 9"),
    _file("A19", "dataset.empty", _labelled(shapes=[])),
    _shape("A21", "category.name", "/label", _shaped(None)),
    _shape("A21", "category.name", "/label", _shaped(" ")),
    _shape("A21", "category.name", "/label", _shaped(7)),
    _corners("A34", "polygon.outside", [[1, 1], [9, 9], [1e308, 9]], "polygon"),
    _corners("A35", "polygon.short", [[1, 1], [9, 9]], "polygon"),
    _corners("A35", "polygon.format", [1, 1, 9, 9], "polygon"),
    _corners("A35", "circle.radius", [[9, 9], [9, 9]], "circle"),
    _shape("A38", "keypoints.twice", "/label", _point("nose", 11, 12)),
    _file("A38", "keypoints.group", _labelled(_shaped("cow", group_id=1)), "/shapes/1/group_id"),
    _shape("A41", "keypoints.outside", "/points", _point("tail", 1e9, 5)),
    _shape("A41", "keypoints.not_finite", "/points", _point("tail", "1", 5)),
    _shape("A32", "mask.format", "/mask", _shaped("cat", PIXELS, "mask")),
    _shape("A32", "image.base64", "/mask", _shaped("cat", PIXELS, "mask", mask="§")),
    _file("A45", "file.encoding", GOOD.replace("dog", "dög").encode("latin-1"), None),
    _file("A45", "file.encoding", GOOD.encode("utf-16"), "byte"),
    _file("A47", "json.twice", GOOD[:-1] + ', "shapes": []}', "/shapes"),
    _file("A48", "json.depth", '{"imagePath": "a.jpg", "shapes": ' + DEEP),
    _file("A49", "json.number", GOOD.replace("6.5", "9" * 100_000), "/shapes/0/points/0/1"),
    _file("A51", "json.syntax", GOOD[: len(GOOD) // 2], "line 1"),
    _file("A51", "json.syntax", "", "line 1"),
    _second_folder("A51", "json.syntax", "", "line 1"),
    _second_folder("A51", "json.syntax", GOOD[:50], "line 1"),
    _file("A51", "json.object", "[]"),
    _file("A51", "json.object", _labelled(shapes={}), "/shapes"),
    _file("A51", "json.object", _labelled(7), "/shapes/3"),
    _file("A51", "json.missing_key", _without("shapes"), "/shapes"),
    _file("A51", "json.missing_key", _without("imagePath"), "/imagePath"),
    _path("A55", "file.outside", "../a.jpg"),
    _path("A55", "file.outside", "/etc/passwd"),
    _path("A55", "file.outside", "C:\\x\\a.jpg"),
    _path("A55", "file.outside", "a\0.jpg"),
    _path("A55", "file.outside", "../a.jpg", imageData="QUJD"),
    _path("A55", "file.name", 5),
    _file("A59", "image.size", _labelled(imageWidth=61)),
    _file("A59", "image.size", _labelled(imageWidth="60")),
    _file("A59", "image.size", _labelled(imageWidth=10**9, imageHeight=10**9)),
    _file("embedded", "image.embedded", _labelled(imagePath="x.jpg", imageData="QUJD"),
          "/imageData"),
    _file("embedded", "image.base64", _labelled(imagePath="x.jpg", imageData=5), "/imageData"),
    _shape("kind", "shape.type", "/shape_type", _shaped(kind="cube")),
    _shape("kind", "shape.type", "/shape_type", _shaped(kind=["line"])),
    _shape("kind", "shape.group", "/group_id", _shaped(group_id=[1])),
    _shape("kind", "shape.flags", "/flags", _shaped(flags=["difficult"])),
    _shape("kind", "shape.left_out", "", _shaped("cat", [[1, 1], [9, 9]], "line"), "warning"),
    _shape("kind", "shape.left_out", "", _point("tail", 9, 9) | {"group_id": 9}, "warning"),
    _file("twice", "object.repeated", _labelled(SHAPES[2]), "object 3", "warning"),
]  # fmt: skip


# Label Studio


def _region(kind: str = "rectanglelabels", labels: Any = None, **value: Any) -> dict[str, Any]:
    """A region on an image of 60 × 40: by default the box 6, 8, 30, 20."""
    if kind == "rectanglelabels":
        value = {"x": 10, "y": 20, "width": 40, "height": 30, "rotation": 0} | value
    return {
        "id": "r2",
        "type": kind,
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "value": value | {kind: ["cat"] if labels is None else labels},
    }


RING = [[50, 12.5], [80, 12.5], [80, 60]]
REGIONS = [
    _region(labels=["dog"], x=11) | {"id": "r1"},
    _region("keypointlabels", ["nose"], x=20, y=30, width=0.5) | {"id": "p", "parentID": "r1"},
    _region("polygonlabels", points=RING, closed=True),
]
AT = "/0/annotations/0/result"


def _task(
    *more: Any, id: Any = 1, image: Any = "/data/upload/3/0a1b2c3d-a.jpg", **changes: Any
) -> Any:
    results = [*REGIONS, *more]
    found = {"id": 5, "was_cancelled": False, "ground_truth": False, "result": results}
    return {"id": id, "annotations": [found], "data": {"image": image}} | changes


EMPTY = _task(id=2, image="b.jpg", annotations=[{"id": 6, "result": []}])


def _tasks(root: Path, labels: Any, name: str = "export.json") -> Path:
    for image in ("a.jpg", "b.jpg"):
        draw(root / image)
    text = labels if isinstance(labels, str | bytes) else json.dumps(labels)
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def clean_label_studio(root: Path) -> Path:
    return _tasks(root, [_task(), EMPTY])


def two_label_studio(root: Path) -> Path:
    """A file of tasks for each of two splits."""
    _tasks(root, [_task()], "tasks_train.json")
    draw(root / "c.jpg")
    _tasks(root, [EMPTY, _task(id=3, image="c.jpg")], "tasks_val.json")
    return root


def _export(
    number: str, code: str, labels: Any, pointer: str | None = None, severity: str = "error"
) -> Case:
    def make(root: Path) -> Path:
        return _tasks(root, labels)

    return Case(number, code, make, clean_label_studio, severity, pointer)


def _result(number: str, code: str, at: str, region: Any, severity: str = "error") -> Case:
    return _export(number, code, [_task(region), EMPTY], f"{AT}/3{at}", severity)


def _box(number: str, code: str, at: str, severity: str = "error", **value: Any) -> Case:
    return _result(number, code, at, _region(**value), severity)


def _other(number: str, code: str, at: str, kind: str, **value: Any) -> Case:
    return _result(number, code, f"/value{at}", _region(kind, **value))


def _second(number: str, code: str, text: str | bytes) -> Case:
    """The file of another split than the first, which must not go without a word."""
    make = _with(two_label_studio, lambda root: _tasks(root, text, "tasks_val.json"))
    return Case(number, code, make, two_label_studio)


def _keypoint(name: Any, x: Any, **more: Any) -> dict[str, Any]:
    row = _region("keypointlabels", name, x=x, y=30, width=0.5)
    return row | {"id": "q", "parentID": "r1"} | more


TASKS = json.dumps([_task(), EMPTY])
OTHER_SIZE = _region() | {"original_width": 61}
SIZE_TEXT = [row | {"original_width": "60"} for row in REGIONS]
RESIZED = [row | {"original_width": 61} for row in REGIONS]


def _results(rows: Any) -> Any:
    return [_task(annotations=[{"id": 5, "result": rows}]), EMPTY]


LABEL_STUDIO = [
    _export("A10", "box.outside", _results([_region(x=150)]), f"{AT}/0/value"),
    _export("A1", "image.missing", [_task(), _task(id=2, image="s3://x/none.jpg")], "/1"),
    Case("A2", "image.unlisted",
         _with(clean_label_studio, lambda root: draw(root / "more.jpg")), clean_label_studio,
         "note"),
    _export("A4", "image.duplicate_id", [_task(), EMPTY | {"id": 1}], "/1/id"),
    _export("A4", "image.duplicate_file", [_task(), EMPTY, _task(id=3)], "/2/data"),
    _export("A4", "image.id", [_task(), EMPTY | {"id": [2]}], "/1/id"),
    _box("A8", "box.degenerate", "/value", width=0),
    _box("A8", "box.degenerate", "/value", width=-5),
    _box("A8", "box.degenerate", "/value", width=0, rotation=45),
    _box("A9", "box.clipped", "", "warning", x=80),
    _box("A10", "box.outside", "/value", x=150),
    _box("A11", "box.outside", "/value/x", x=1e308),
    _box("A11", "box.not_finite", "/value/x", x=10**400),
    _export("A11", "box.not_finite", TASKS.replace('"x": 11', '"x": 1e999'), f"{AT}/0/value/x"),
    _export("A11", "json.constant", TASKS.replace('"x": 11', '"x": NaN'), f"{AT}/0/value/x"),
    _box("A12", "box.format", "/value/x", x=None),
    _box("A12", "box.format", "/value/x", x="10"),
    _box("A12", "box.format", "/value/x", x=True),
    _box("A12", "box.format", "/value/rotation", rotation="90"),
    _export("A19", "dataset.empty", _results([]), None),
    _box("A21", "category.name", "/value/rectanglelabels", labels=[]),
    _box("A21", "category.name", "/value/rectanglelabels", labels=[" "]),
    _box("A21", "category.name", "/value/rectanglelabels", labels="cat"),
    _other("A28", "rle.format", "/format", "brushlabels", format="png"),
    _other("A28", "rle.format", "/rle", "brushlabels", format="rle", rle="abc"),
    _other("A29", "rle.sum", "/rle", "brushlabels", format="rle", rle=[]),
    _other("A34", "polygon.outside", "/points", "polygonlabels", points=[*RING, [999, 9]]),
    _other("A35", "polygon.short", "/points", "polygonlabels", points=RING[:2]),
    _other("A35", "polygon.format", "/points", "polygonlabels", points=[["1", 2]]),
    _other("A35", "polygon.format", "/points", "polygonlabels"),
    _other("A35", "ellipse.radius", "", "ellipselabels", x=9, y=9, radiusX=0, radiusY=5),
    _result("A38", "keypoints.twice", "/value", _keypoint(["nose"], 25)),
    _result("A38", "category.name", "/value/keypointlabels", _keypoint([], 25)),
    _result("A41", "keypoints.outside", "/value", _keypoint(["tail"], 900)),
    _result("A41", "keypoints.format", "/value/x", _keypoint(["tail"], "1")),
    _export("A45", "file.encoding", TASKS.replace("dog", "dög").encode("latin-1"), "byte"),
    _export("A47", "json.twice", TASKS.replace('"id": 1,', '"id": 1, "id": 1,'), "/0/id"),
    _export("A48", "json.depth", '[{"data": {}, "annotations": ' + DEEP),
    _export("A51", "json.syntax", TASKS[:-20], "line 1"),
    _second("A51", "json.syntax", ""),
    _second("A51", "json.syntax", "["),
    _second("A51", "json.object", "{}"),
    _second("A45", "file.encoding", TASKS.encode("utf-16")),
    _export("A51", "json.object", [_task(), EMPTY, 7], "/2"),
    _export("A51", "json.missing_key", [_task(), EMPTY | {"annotations": None}], "/1/annotations"),
    _export("A51", "json.missing_key", [_task(), EMPTY | {"data": None}], "/1/data"),
    _export("A51", "json.missing_key", _results(None), "/0/annotations/0/result"),
    _result("A51", "json.object", "", "region"),
    _result("A51", "json.object", "", {"value": {}}),
    _export("A55", "file.name", [_task(), EMPTY | {"data": {"text": "hello"}}], "/1/data"),
    _export("A55", "file.name", [_task(), EMPTY | {"data": {"image": "s3://"}}], "/1"),
    _export("A55", "file.name", [_task(), EMPTY | {"data": {"image": "a\0.jpg"}}], "/1"),
    _result("A59", "image.size", "/original_width", OTHER_SIZE),
    _export("A59", "image.size", _results(SIZE_TEXT), "/0"),
    _export("A59", "image.size", _results(RESIZED), "image (id 1)"),
    _result("turned", "image.rotation", "/image_rotation", _region() | {"image_rotation": 90}),
    _box("turned", "box.turned", "/value/rotation", "warning", x=40, y=40, width=10, rotation=45),
    _result("kind", "shape.left_out", "", {"type": "choices", "value": {}}, "warning"),
    _export("nobody", "annotation.none", [_task(), EMPTY | {"annotations": []}], "/1", "warning"),
    _export("several", "annotation.several",
            [_task(), EMPTY | {"annotations": EMPTY["annotations"] * 2}], "/1/annotations/0",
            "warning"),
    _export("twice", "object.repeated", [_task(REGIONS[2]), EMPTY], "object 3", "warning"),
]  # fmt: skip

CASES = [*LABELME, *LABEL_STUDIO]
