"""More planted faults: hostile numbers and texts, slips of single entries, many faults at once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from folders import draw, voc_object, voc_page, yolo_folder
from label_faults import (
    BOX,
    CAT,
    DOG,
    GOOD,
    HEAD,
    ONE,
    POINTS,
    Case,
    _annotation,
    _categories,
    _coco,
    _coco_case,
    _images,
    _keypoints,
    _rle,
    _row,
    _voc,
    _voc_box,
    _with,
    _yaml,
    _yolo,
    clean_coco,
    clean_voc,
    clean_yolo,
)

BIG = 10**308
SQUARE = [10, 5, 30, 5, 30, 35, 10, 35]


def _text(number: str, code: str, old: str, new: str, pointer: str) -> Case:
    """The clean labels on several lines, with one piece of their text exchanged."""
    text = GOOD.replace('"annotations"', '\n"annotations"').replace(
        '"categories"', '\n"categories"'
    )
    assert old in text
    return _coco_case(number, code, text=text.replace(old, new, 1), pointer=pointer)


def _together(number: str, code: str, severity: str = "error", **changes: Any) -> Case:
    """A fault that one of a category must not hide."""
    return _coco_case(
        number, code, _row(**changes) | {"categories": [DOG, DOG, CAT]}, None, severity
    )


def _two_splits(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        clean_coco(root)
        labels = _coco()
        for image in labels["images"]:
            image["file_name"] = f"t{image['file_name']}"
            draw(root / "images" / "train" / image["file_name"])
        change(labels)
        (root / "annotations" / "instances_train.json").write_text(json.dumps(labels))
        return root

    return make


def clean_splits(root: Path) -> Path:
    return _two_splits(lambda labels: None)(root)


def _shared_image(labels: dict[str, Any]) -> None:
    labels["images"][1]["file_name"] = "../val/b.jpg"


def _nested(depth: int) -> str:
    return '{"images": [], "annotations": [], "info": ' + '{"a":' * depth + "0" + "}" * depth + "}"


SKELETON = {"id": 3, "name": "cat", "keypoints": ["nose", "nose"], "skeleton": []}
OTHER = {"id": 90, "name": "dog", "keypoints": ["ear"], "skeleton": []}
E_ACUTE, E_AND_ACUTE = {"id": 4, "name": "\u00e9"}, {"id": 5, "name": "e\u0301"}
STRIPES = [w for _ in range(30) for w in (20, 20)] + [1200]
"""Run lengths of the upper half of an image of 40 × 60 pixels, in the order of rows."""

COCO = [
    Case("A2", "image.unlisted",
         _with(clean_coco, lambda root: draw(root / "images" / "val" / "more.jpg")), clean_coco,
         "note"),
    _annotation("A5", "annotation.id", id=1.5),
    _annotation("A5", "annotation.id", id=None),
    _annotation("A5", "annotation.id", id=[5]),
    Case("A24", "dataset.classes", _two_splits(
        lambda labels: labels.update(categories=[DOG, CAT | {"name": "owl"}])), clean_splits,
        "error", "split val"),
    Case("A24", "dataset.classes", _two_splits(
        lambda labels: labels.update(categories=[DOG, CAT, {"id": 4, "name": "owl"}])),
        clean_splits, "error", "split val"),
    Case("A19", "dataset.no_objects", _two_splits(
        lambda labels: labels.update(annotations=[])), clean_splits, "error", "split train"),
    Case("A55", "file.outside", _two_splits(_shared_image), clean_splits, "error", "/images/1"),
    _annotation("A8", "box.degenerate", bbox=None, segmentation=[[1, 5, 9, 5, 20, 5]]),
    _annotation("A8", "box.degenerate", bbox=[10, 5, 1e-300, 30]),
    _annotation("A11", "box.huge", bbox=[0, 0, 1e308, 10]),
    _annotation("A11", "box.huge", bbox=[1e308, 5, 1e308, 30]),
    _annotation("A11", "box.huge", bbox=[-1e308, 5, 1.7e308, 30]),
    _annotation("A11", "box.huge", bbox=[BIG, 5, BIG, 30]),
    _annotation("A11", "box.huge", bbox=[10, 5, 1e39, 30]),
    _annotation("A11", "box.not_finite", bbox=[10, 5, 10**400, 30]),
    _text("A11", "box.not_finite", "[10, 5", "[1e400, 5", "/annotations/0 (id 0)/bbox/0"),
    _text("A11", "box.not_finite", "[10, 5", "[NaN, 5", "/annotations/0 (id 0)/bbox/0"),
    _annotation("A12", "box.format", bbox={"x": 1, "y": 2, "w": 3, "h": 4}),
    _annotation("A12", "box.format", bbox=[]),
    _annotation("A12", "box.format", bbox=[[10, 5], [20, 30]]),
    _annotation("A12", "box.format", bbox=0),
    _categories("A20", "category.id", [DOG, CAT, {"id": 1.5, "name": "b"}]),
    _categories("A20", "category.id", [DOG, CAT, {"id": True, "name": "b"}]),
    _categories("A20", "category.id", [DOG, CAT, {"name": "b"}]),
    _categories("A20", "category.id", [DOG, CAT, {"id": 2**64, "name": "b"}]),
    _categories("A21", "category.none", []),
    _categories("A21", "category.name", [DOG, CAT, {"id": 4}]),
    _categories("A21", "category.name", [DOG, CAT, {"id": 4, "name": "\ud800"}]),
    _categories("A21", "json.object", [DOG, CAT, "owl"]),
    _coco_case("A21", "category.alike", _coco(categories=[DOG, CAT, {"id": 4, "name": "Cat "}]),
               severity="warning"),
    _coco_case("A21", "category.alike", severity="warning",
               labels=_coco(categories=[DOG, CAT, E_ACUTE, E_AND_ACUTE])),
    _annotation("A22", "annotation.category", category_id="3"),
    _annotation("A22", "annotation.category", category_id=[3]),
    _annotation("A22", "annotation.category", category_id=True),
    _annotation("A3", "annotation.image", image_id={"id": 7}),
    _annotation("A3", "annotation.image", image_id="7"),
    _images("A4", "image.id", {"id": 1.0, "file_name": "a.jpg"}),
    _images("A4", "image.id", {"id": 2**63, "file_name": "a.jpg"}),
    _images("A4", "image.duplicate_file", {"id": 8, "file_name": "./a.jpg"}),
    _annotation("A25", "crowd", iscrowd=None),
    _annotation("A25", "crowd", iscrowd=[1]),
    _annotation("A25", "difficult", difficult="no"),
    _annotation("A25", "difficult", difficult=2),
    _annotation("A26", "area", area=1e308),
    _annotation("A26", "area", area=10**400),
    _coco_case("A26", "area.box", _row(area=9000), severity="warning"),
    _rle("A28", "rle.negative", [2000, 10**30]),
    _rle("A28", "rle.sum", [0] * 100_000 + [2400]),
    _rle("A28", "rle.sum", "0" * 1_000_000),
    _rle("A29", "rle.sum", []),
    _rle("A29", "rle.sum", ""),
    _annotation("A30", "rle.size", segmentation={"counts": [2400]}),
    _annotation("A30", "rle.size", segmentation={"size": "40x60", "counts": [2400]}),
    _rle("A31", "rle.negative", "O" * 4),
    _rle("A32", "rle.text", "PPPP"),
    _rle("A32", "rle.text", "P" * 10_000),
    _rle("A32", "rle.format", [2399, True]),
    _rle("A32", "rle.format", {"a": 1}),
    _coco_case("A33", "mask.box", severity="warning", labels=_row(
        bbox=[0, 0, 60, 15], segmentation={"size": [40, 60], "counts": STRIPES})),
    _text("A34", "json.constant", "[10, 5", "[NaN, 5", "/annotations/0/bbox/0 (line 2:"),
    _annotation("A34", "polygon.outside", segmentation=[[1, 1, 5, 5, 10**400, 1]]),
    _annotation("A34", "polygon.outside", segmentation=[SQUARE, [1, 1, 5, 5, -1e9, 1]]),
    _coco_case("A34", "polygon.not_finite", pointer="/annotations/0 (id 0)/segmentation",
               text=GOOD.replace('"bbox"', '"segmentation": [[1, 1, 5, 5, 1e999, 1]], "bbox"', 1)),
    _annotation("A35", "polygon.format", segmentation=[None]),
    _annotation("A35", "polygon.format", segmentation="mask"),
    _annotation("A35", "polygon.format", segmentation=5),
    _annotation("A35", "polygon.format", segmentation=[["1", "1", "5", "5", "9", "1"]]),
    _annotation("A35", "polygon.format", segmentation=[[[1, 1], [5, 5], [9, 1]] * 2]),
    _coco_case("A36", "mask.empty", _row(segmentation=[[10, 5, 20, 5, 30, 5]]), severity="warning"),
    _annotation("A37", "polygon.too_many", segmentation=[SQUARE] * 1001),
    _annotation("A38", "keypoints.length", keypoints=[11, 6, 2]),
    _keypoints("A38", "keypoints.length", keypoints={}),
    _keypoints("A39", "keypoints.visibility", keypoints=[11, 6, 1.5, 12, 9, 1]),
    _keypoints("A39", "keypoints.not_finite", keypoints=[11, 6, "2", 12, 9, 1]),
    _keypoints("A39", "keypoints.not_finite", keypoints=[11, 6, True, 12, 9, 1]),
    _keypoints("A41", "keypoints.image", "warning", keypoints=[11, 6, 2, 12, -9, 1]),
    _keypoints("A41", "keypoints.outside", keypoints=[BIG, 6, 2, 12, 9, 1]),
    _keypoints("A42", "keypoints.count", "warning", keypoints=[11, 6, 2, 12, 9, 1],
               num_keypoints="two"),
    _categories("A43", "skeleton.flips", [DOG, SKELETON]),
    _categories("A43", "skeleton.many", [OTHER, POINTS]),
    _categories("A43", "skeleton.limbs", [DOG, POINTS | {"skeleton": [[0, 1]]}]),
    _categories("A43", "skeleton.limbs", [DOG, POINTS | {"skeleton": [[1, 10**400]]}]),
    _categories("A43", "skeleton.format", [DOG, POINTS | {"skeleton": [[1, 2, 3]]}]),
    _categories("A43", "skeleton.format", [DOG, POINTS | {"keypoints": "nose"}]),
    _categories("A43", "skeleton.format", [DOG, POINTS | {"keypoints": ["nose", " "]}]),
    _categories("A43", "skeleton.format", [DOG, POINTS | {"skeleton": 0}]),
    _coco_case("A45", "file.encoding", text=GOOD.encode("utf-32"), pointer="byte"),
    _text("A46", "json.constant", '"bbox"', '"score": NaN, "bbox"',
          "/annotations/0/score (line 2:"),
    _text("A46", "json.constant", "[10, 5", "[10, Infinity", "/annotations/0/bbox/1 (line 2:"),
    _text("A46", "json.constant", '"height": 40', '"height": -Infinity',
          "/images/0/height (line 1:"),
    _text("A47", "json.twice", '"bbox"', '"bbox": [1, 1, 2, 2], "bbox"',
          "/annotations/0/bbox (line 2:"),
    _text("A47", "json.twice", '"name": "cat"', '"name": "cat", "n\\u0061me": "dog"',
          "/categories/1/name (line 3:"),
    _coco_case("A48", "json.depth", text=_nested(5000), pointer="line 1"),
    _coco_case("A48", "json.depth", text=GOOD[:-1] + ', "x": ' + "[" * 9000 + "]" * 9000 + "}"),
    _text("A49", "json.number", "[10, 5", "[1" + "0" * 10_000 + ", 5",
          "/annotations/0/bbox/0 (line 2:"),
    _text("A49", "json.number", '"id": 5', '"id": -' + "9" * 5000, "/annotations/1/id (line 2:"),
    _coco_case("A51", "json.syntax", text=GOOD + "x", pointer="line 1"),
    _coco_case("A51", "json.syntax", text=GOOD.replace('"', "'"), pointer="line 1"),
    _coco_case("A51", "json.syntax", text=GOOD.replace("dog", "d\tog"), pointer="line 1"),
    _coco_case("A51", "json.syntax", text=GOOD.replace("[10, 5", "[010, 5"), pointer="line 1"),
    _coco_case("A51", "json.missing_key", _coco(images={}), pointer="/images"),
    _coco_case("A51", "json.missing_key", _coco(annotations=None), pointer="/annotations"),
    _coco_case("A51", "json.object", _coco(annotations=[*_coco()["annotations"], None]),
               pointer="/annotations/2"),
    _images("A51", "file.name", {"id": 1}),
    _images("A51", "file.name", {"id": 1, "file_name": ""}),
    _images("A51", "file.name", {"id": 1, "file_name": ["a.jpg"]}),
    _images("A59", "image.size", {"id": 1, "file_name": "a.jpg", "width": 60}),
    _images("A59", "image.size", {"id": 1, "file_name": "a.jpg", "width": 60.5, "height": 40}),
    _images("A59", "image.size", {"id": 1, "file_name": "a.jpg", "width": "60", "height": "40"}),
    _coco_case("A59", "image.size", _coco(images=[
        _coco()["images"][0], _coco()["images"][1] | {"width": 10**9, "height": 10**9}])),
    _coco_case("A31", "image.size", _row(segmentation=[SQUARE], image_id=9) | {"images": [
        _coco()["images"][0], _coco()["images"][1] | {"width": 10**7, "height": 10**7}]}),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "<script>alert(1)</script>"}])),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "\u202etac"}])),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "cat\n"}])),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "c" * 101}])),
    _together("all", "category.duplicate_id"),
    _together("all", "box.degenerate", bbox=[10, 5, 0, 30]),
    _together("all", "annotation.image", image_id=8),
    _together("all", "polygon.odd", segmentation=[[1, 1, 5, 5, 9]], bbox=[10, 5, 0, 30]),
    _together("all", "crowd", iscrowd=7, bbox=[10, 5, 0, 30], area=-1),
    _together("all", "area", iscrowd=7, bbox=[10, 5, 0, 30], area=-1),
    _coco_case("all", "box.degenerate", _row(image_id=1, bbox=[1, 1, 0, 0]) | {"images": [
        *_coco()["images"], {"id": 1, "file_name": "gone.jpg", "width": 60, "height": 40}]}),
    _coco_case("all", "box.degenerate", _row(bbox=[1, 1, 0, 0]) | {"images": [
        row | {"file_name": f"gone-{row['id']}.jpg"} for row in _coco()["images"]]}),
    _coco_case("all", "dataset.images", _coco(images=[
        row | {"file_name": f"gone-{row['id']}.jpg"} for row in _coco()["images"]])),
    _coco_case("all", "image.missing", _coco(categories=[DOG, DOG, CAT], images=[
        *_coco()["images"], {"id": 1, "file_name": "gone.jpg"}])),
    _coco_case("all", "skeleton.limbs", _row(bbox=[1, 1, 0, 0]) | {
        "categories": [DOG, DOG, POINTS | {"skeleton": [[1, 9]]}]}),
    _coco_case("all", "box.outside", pointer="/annotations/1",
               text=GOOD.replace("[10, 5", "[NaN, 5").replace("[1.5, 2", "[900, 2")),
]  # fmt: skip


def _file(number: str, code: str, write: Callable[[Path], object], **more: Any) -> Case:
    """A change to the files of the clean VOC folder."""
    return Case(number, code, _with(clean_voc, write), clean_voc, **more)


def clean_voc_list(root: Path) -> Path:
    clean_voc(root)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("b\n")
    return root


def _list(
    number: str, code: str, text: bytes, severity: str = "error", pointer: str | None = None
) -> Case:
    def write(root: Path) -> None:
        (root / "ImageSets" / "Main" / "val.txt").write_bytes(text)

    return Case(number, code, _with(clean_voc_list, write), clean_voc_list, severity, pointer)


def _linked_page(root: Path) -> None:
    outside = root.parent / f"{root.name}-outside.xml"
    outside.write_text(voc_page(ONE, filename="a.jpg"))
    (root / "Annotations" / "x.xml").symlink_to(outside)


def _linked_image(root: Path) -> None:
    outside = draw(root.parent / f"{root.name}-outside.jpg")
    (root / "JPEGImages" / "x.jpg").symlink_to(outside)
    (root / "Annotations" / "x.xml").write_text(voc_page(ONE, filename="x.jpg"))


def _sparse(path: str, size: int) -> Callable[[Path], object]:
    def write(root: Path) -> None:
        with (root / path).open("wb") as file:
            file.truncate(size)

    return write


def _page(old: str, new: str) -> str:
    page = voc_page(ONE, filename="x.jpg")
    assert old in page
    return page.replace(old, new)


OWL = voc_object("Cat", BOX)
VOC = [
    _list("A1", "image.unlabelled", b"b\nlost\n", pointer="line 2"),
    _list("A4", "image.listed_twice", b"b\nb\n", "warning", "line 2"),
    _list("A7", "image.leak", b"b\na\n", "warning", "split val"),
    _list("A45", "file.encoding", b"b\n\xff\n", pointer="byte"),
    _list("A19", "dataset.empty", b"\n"),
    _voc("A4", "image.duplicate_file", voc_page(ONE, filename="a.jpg"), pointer="filename"),
    _file("A19", "dataset.no_objects", lambda root: [
        path.write_text(voc_page(filename=f"{path.stem}.jpg"))
        for path in (root / "Annotations").iterdir() if path.stem == "b"]
        and _one_split(root), pointer="split val"),
    _file("A19", "dataset.empty", lambda root: [
        path.write_text(voc_page(filename=f"{path.stem}.jpg"))
        for path in (root / "Annotations").iterdir()]),
    _voc_box("A11", "box.format", ("infinity", 5, 20, 30)),
    _voc_box("A11", "box.huge", (5, 5, "1e308", 30)),
    _voc_box("A11", "box.huge", ("-99999999999999999999", 5, 20, 30)),
    _voc_box("A56", "box.format", ("1_0", 5, 20, 30)),
    _voc_box("A56", "box.format", ("\uff11\uff10", 5, 20, 30)),
    _voc_box("A56", "box.format", ("0x10", 5, 20, 30)),
    _voc_box("A56", "box.format", ("10,5", 5, 20, 30)),
    _voc_box("A56", "box.format", (5, 5, 20, "9" * 400)),
    _voc("A12", "box.format", _page("<xmin>5</xmin>", ""), pointer="object 1 ('cat'), line 1"),
    _voc("A12", "box.format", _page("bndbox", "box"), pointer="object 1 ('cat'), line 1"),
    _voc("A21", "category.name", _page("<name>cat</name>", ""), pointer="object 1 ('')"),
    _voc("A21", "category.alike", voc_page(OWL, filename="x.jpg"), "warning"),
    _voc("all", "box.format", _page("<name>cat</name>", "").replace("<xmin>5", "<xmin>x"),
         pointer="object 1 ('')"),
    _voc("all", "box.degenerate", voc_page(voc_object("a", ("x", 5, 20, 30)),
         voc_object("b", (5, 5, 5, 5)), filename="x.jpg"), pointer="object 2 ('b')"),
    _file("A45", "xml.syntax", lambda root: (root / "Annotations" / "a.xml").write_bytes(
        voc_page(voc_object("h\u00e9", BOX)).encode("latin-1")), pointer="line 1"),
    _voc("A45", "xml.syntax", '<?xml version="1.0" encoding="klingon"?><annotation/>',
         pointer="line 1"),
    _file("A50", "file.too_large", _sparse("Annotations/a.xml", (64 << 20) + 1)),
    _voc("A51", "xml.syntax", _page("</annotation>", ""), pointer="line 1"),
    _voc("A51", "xml.syntax", _page("<annotation>", "<annotation>\n<a>&</a>"), pointer="line 2"),
    _voc("A51", "xml.syntax", _page("cat", "c\x00at")),
    _voc("A52", "xml.forbidden",
         '<!DOCTYPE a [<!ENTITY x "y">]><annotation b="&x;"></annotation>'),
    _voc("A53", "xml.forbidden",
         '<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><annotation></annotation>'),
    _voc("A53", "xml.forbidden",
         '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><annotation></annotation>'),
    _voc("A54", "xml.size", "<annotation>" + "<object/>" * 200_001 + "</annotation>"),
    _voc("A54", "xml.size", "<annotation>" + "<object>" * 30 + "</object>" * 30 + "</annotation>"),
    _file("A55", "file.outside", _linked_page),
    _file("A55", "file.outside", _linked_image, pointer="filename"),
    _voc("A56", "image.size", _page("<width>60", "<width>sixty"), "note", "size"),
    _voc("A56", "image.size", _page("<width>60", "<width>-60"), "note", "size"),
    _voc("A59", "image.size", voc_page(ONE, filename="x.jpg", size=(10**9, 10**9))),
    _voc("A60", "category.characters",
         voc_page(voc_object("@SUM(A1)", BOX), filename="x.jpg"), "warning"),
    _voc("A60", "category.characters",
         voc_page(voc_object("&lt;b&gt;", BOX), filename="x.jpg"), "warning"),
]  # fmt: skip


def _one_split(root: Path) -> None:
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "val.txt").write_text("b\n")


def _change(number: str, code: str, write: Callable[[Path], object], **more: Any) -> Case:
    """A change to the files of the clean YOLO folder."""
    return Case(number, code, _with(clean_yolo, write), clean_yolo, **more)


def _names(number: str, code: str, wrong: str, right: str, severity: str = "warning") -> Case:
    """Class names that YAML takes for something else, and the same in quotes."""

    def folder(names: str) -> Callable[[Path], Path]:
        lines = "0 0.5 0.5 0.5 0.5\n1 0.4 0.4 0.1 0.2\n"
        return lambda root: yolo_folder(root, f"{HEAD}names: [{names}, cat]\n", a=lines, b="")

    quoted = folder(right)
    quoted.__name__ = "quoted_yolo"
    return Case(number, code, folder(wrong), quoted, severity, "names (line 2:")


def clean_pose(root: Path) -> Path:
    return _pose(HEAD + "names: [a]\nkpt_shape: [2, 3]\n", "0 0.5 0.5 0.5 0.5 0.4 0.4 2 0.5 0.5 1")(
        root
    )


def _pose(yaml: str, line: str) -> Callable[[Path], Path]:
    return lambda root: yolo_folder(root, yaml, a=f"{line}\n", b="")


def _pose_case(
    number: str, code: str, yaml: str = "kpt_shape: [2, 3]", line: str = "", **more: Any
) -> Case:
    line = line or "0 0.5 0.5 0.5 0.5 0.4 0.4 2 0.5 0.5 1"
    return Case(number, code, _pose(f"{HEAD}names: [a]\n{yaml}\n", line), clean_pose, **more)


def clean_yolo_list(root: Path) -> Path:
    yolo_folder(root, "train: train.txt\nnames: [cat, dog]\n",
                a="0 0.5 0.5 0.5 0.5\n1 0.4 0.4 0.1 0.2\n", b="")  # fmt: skip
    (root / "train.txt").write_text("./images/train/a.jpg\nimages/train/b.jpg\n")
    return root


def _listed(number: str, code: str, line: str, severity: str = "error") -> Case:
    def write(root: Path) -> None:
        with (root / "train.txt").open("a") as file:
            file.write(f"{line}\n")

    return Case(number, code, _with(clean_yolo_list, write), clean_yolo_list, severity, "line 3")


def _linked(name: str, text: str = "0 0.5 0.5 0.5 0.5\n") -> Callable[[Path], object]:
    """A label file, or a folder of them, that is a link to one outside."""

    def write(root: Path) -> None:
        outside = root.parent / f"{root.name}-outside"
        outside.mkdir()
        (outside / "a.txt").write_text(text)
        for path in (root / "labels" / "train").iterdir():
            path.unlink()
        if name == "labels/train":
            (root / name).rmdir()
            (root / name).symlink_to(outside)
        else:
            (root / name).symlink_to(outside / "a.txt")

    return write


def _linked_photo(root: Path) -> None:
    (root / "images" / "train" / "x.jpg").symlink_to(draw(root.parent / f"{root.name}-out.jpg"))


TWICE = "train: images/train\nval: images/train\nnames: [cat, dog]\n"
LAUGHS = "a: &a [1,1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)}]\n" for i in range(20)
)
YOLO = [
    _change("A2", "image.unlisted", lambda root: [
        clean_list(root), draw(root / "images/train/c.jpg")], severity="note"),
    _listed("A4", "image.listed_twice", "images/train/a.jpg", "warning"),
    _listed("A1", "image.missing", "images/train/lost.jpg"),
    _listed("A55", "file.outside", "/etc/passwd"),
    _change("A7", "image.leak", lambda root: (root / "data.yaml").write_text(TWICE),
            severity="warning", pointer="split val"),
    _change("A9", "box.clipped", lambda root: (root / "labels/train/b.txt").write_text(
        "0 0.9 0.5 0.4 0.5\n"), severity="warning", pointer="line 1"),
    _yolo("A11", "yolo.range", "0 1e308 0.5 0.5 0.5"),
    _yolo("A11", "yolo.number", "0 1e999 0.5 0.5 0.5"),
    _yolo("A11", "yolo.number", "0 infinity 0.5 0.5 0.5"),
    _yolo("A12", "yolo.number", "0 0.5 0.5 0.5 1_0"),
    _yolo("A12", "yolo.number", "0 \uff10.5 0.5 0.5 0.5"),
    _yolo("A12", "yolo.number", "0 0,5 0,5 0,5 0,5"),
    _yolo("A12", "yolo.number", "0 0x1 0.5 0.5 0.5"),
    _yolo("A12", "yolo.number", "0 0.5 0.5 0.5 \0"),
    _yolo("A14", "yolo.range", "0 0.1 0.1 0.5 0.1 0.5 1.5"),
    _yolo("A14", "yolo.range", "0 6 4 30 4 30 20 6 20"),
    _yolo("A15", "yolo.class", "+1 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "1e0 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "\uff11 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "9" * 30 + " 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "\ufeff0 0.5 0.5 0.5 0.5"),
    _yolo("all", "yolo.number", "7 a 0.5 0.5 0.5"),
    _yolo("all", "yolo.class", "7 a 0.5 0.5 0.5"),
    _yolo("A16", "yolo.columns", "0 0.1 0.1 0.5 0.1 0.5 0.5 0.2"),
    _yolo("A35", "box.degenerate", "0 0.1 0.5 0.3 0.5 0.6 0.5"),
    _yolo("A37", "polygon.too_many", "0" + " 0.1 0.2" * 100_001),
    _change("A23", "category.unused", lambda root: (root / "data.yaml").write_text(
        HEAD + "names: [cat, dog, owl]\n"), severity="warning"),
    _change("twice", "object.repeated", lambda root: (root / "labels/train/b.txt").write_text(
        "0 0.5 0.5 0.5 0.5\n" * 2), severity="warning", pointer="object 2"),
    _change("cell", "object.same_cell", lambda root: (root / "labels/train/b.txt").write_text(
        "0 0.5 0.5 0.5 0.5\n1 0.52 0.5 0.2 0.2\n"), severity="warning", pointer="objects 1, 2"),
    _change("A45", "file.encoding", lambda root: (root / "data.yaml").write_bytes(
        (HEAD + "names: [h\u00e9, b]\n").encode("latin-1")), pointer="byte"),
    _change("A50", "file.too_large", _sparse("labels/train/a.txt", (64 << 20) + 1)),
    _change("A50", "file.too_large", lambda root: (root / "data.yaml").write_text(
        HEAD + "names: [a]\n#" + "x" * (1 << 20))),
    _yaml("A51", "category.none", HEAD),
    _yaml("A51", "category.none", HEAD + "names: cat\n"),
    _yaml("A51", "yaml.object", ""),
    _yaml("A51", "file.not_found", "train: images/training\nnames: [cat, dog]\n"),
    _yaml("A20", "category.id", HEAD + "names: {-1: a, 0: b}\n"),
    _yaml("A20", "category.id", HEAD + "names: {0: a, 1.5: b}\n"),
    _yaml("A20", "category.id", HEAD + "names: {0: a, on: b}\n"),
    _yaml("A21", "category.name", HEAD + "names: [a, '']\n"),
    _yaml("A21", "category.name", HEAD + "names: [a, [b, c]]\n"),
    _yaml("A21", "category.name", HEAD + "names: [a, ~]\n"),
    _names("A21", "category.name", "null", "'null'", "error"),
    _names("A57", "category.retyped", "yes", "'yes'"),
    _names("A57", "category.retyped", "No", '"No"'),
    _names("A57", "category.retyped", "1.10", "'1.10'"),
    _names("A57", "category.retyped", "0x10", "'0x10'"),
    _names("A57", "category.retyped", "1_000", "'1_000'"),
    _names("A57", "category.retyped", "2001-01-01", "'2001-01-01'"),
    _names("A57", "category.retyped", "1:30", "'1:30'"),
    _names("A57", "category.retyped", ".inf", "'.inf'"),
    _yaml("A57", "yaml.size", HEAD + "names: [a]\nx: " + "[" * 500_000),
    _yaml("A57", "yaml.size", HEAD + "names: [a]\nx: " + "[" * 30 + "]" * 30 + "\n"),
    _yaml("A57", "yaml.size", HEAD + "names: [a]\nx: " + "{a: " * 30 + "}" * 30 + "\n"),
    _yaml("A57", "yaml.alias", HEAD + "names: [a]\n" + LAUGHS),
    _yaml("A57", "yaml.alias", HEAD + "x: &x {a: 1}\ny:\n  <<: *x\nnames: [a]\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names: !!python/name:os.system\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names: [a]\nx: !evil 1\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names:\n\t- a\n"),
    _yaml("A57", "yaml.syntax", HEAD + "? [a, b]\n: c\nnames: [a]\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names: [a]\nx: 2001-13-41\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names: [a]\n---\nnames: [b]\n"),
    _yaml("A57", "yaml.download", HEAD + "names: [a]\ndownload: https://localhost:1/a.zip\n"),
    _yaml("A47", "yaml.twice", HEAD + HEAD + "names: [a]\n"),
    _yaml("A55", "file.outside", "train: C:\\data\nnames: [a]\n"),
    _yaml("A55", "file.outside", "train: ../../../etc/x/../..\nnames: [a]\n"),
    _yaml("A55", "file.name", "train: 5\nnames: [a]\n"),
    _yaml("all", "category.count", "train: /etc\nnc: 3\nnames: [a, a]\n"),
    _yaml("all", "category.duplicate_name", "train: /etc\nnc: 3\nnames: [a, a]\n"),
    _yaml("all", "file.outside", "train: /etc\nnc: 3\nnames: [a, a]\n"),
    Case("all", "yolo.number", _pose(HEAD + "names: [a, a]\n", "0 x 1 1 1"), clean_yolo,
         "error", "line 1"),
    _change("A55", "file.outside", _linked("labels/train/a.txt")),
    _change("A55", "file.outside", _linked("labels/train")),
    _change("A55", "file.outside", _linked_photo),
    _change("A60", "category.characters", lambda root: (root / "data.yaml").write_text(
        HEAD + "names: [=cmd(), dog]\n"), severity="warning"),
    _change("A21", "category.alike", lambda root: (root / "data.yaml").write_text(
        HEAD + "names: [dog, Dog]\n"), severity="warning"),
    _pose_case("A38", "yolo.columns", line="0 0.5 0.5 0.5 0.5 0.4 0.4 2", pointer="line 1"),
    _pose_case("A39", "keypoints.visibility", line="0 0.5 0.5 0.5 0.5 0.4 0.4 3 0.5 0.5 1",
               pointer="line 1"),
    _pose_case("A41", "yolo.range", line="0 0.5 0.5 0.5 0.5 9 0.4 2 0.5 0.5 1", pointer="line 1"),
    _pose_case("A41", "keypoints.box", line="0 0.8 0.8 0.1 0.1 0 0 2 0.8 0.8 1",
               severity="warning"),
    _pose_case("A43", "yolo.flip_idx", "kpt_shape: [2, 3]\nflip_idx: [0, 0]", pointer="flip_idx"),
    _pose_case("A43", "yolo.flip_idx", "kpt_shape: [2, 3]\nflip_idx: [1, 2]", pointer="flip_idx"),
    _pose_case("A43", "yolo.kpt_shape", "kpt_shape: [2, 4]", pointer="kpt_shape"),
    _pose_case("A43", "yolo.kpt_shape", "kpt_shape: [1000000000, 3]", pointer="kpt_shape"),
]  # fmt: skip


def clean_list(root: Path) -> None:
    (root / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    (root / "train.txt").write_text("images/train/a.jpg\nimages/train/b.jpg\n")


CASES = [*COCO, *VOC, *YOLO]
