"""Planted faults: one folder each, with what must be found in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folders import coco_folder, coco_labels, draw, voc_folder, voc_object, voc_page, yolo_folder

BOX = (5, 5, 20, 20)


@dataclass(frozen=True)
class Case:
    """`make` plants the fault in an empty folder; `twin` makes the same without it."""

    number: str
    code: str
    make: Callable[[Path], Path]
    twin: Callable[[Path], Path]
    severity: str = "error"
    pointer: str | None = None

    @property
    def name(self) -> str:
        return f"{self.number}-{self.twin.__name__}-{self.code}"


def clean_coco(root: Path) -> Path:
    return coco_folder(root, _coco())


def clean_voc(root: Path) -> Path:
    page = voc_page(voc_object("cat", BOX)).replace("<path>/home/somebody/a.jpg</path>", "")
    return voc_folder(root, a=page, b=page.replace("a.jpg", "b.jpg"))


def clean_yolo(root: Path) -> Path:
    return yolo_folder(root, a="0 0.5 0.5 0.5 0.5\n1 0.4 0.4 0.1 0.2\n", b="")


def _coco(**changes: Any) -> dict[str, Any]:
    """Two images, the second empty, two objects of two classes."""
    dog, cat = coco_labels()["annotations"]
    return coco_labels(**{"annotations": [dog, cat | {"iscrowd": 0}]} | changes)


def _row(**changes: Any) -> dict[str, Any]:
    """The clean labels, one annotation more, changed."""
    row = {"id": 17, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 30]} | changes
    return _coco(annotations=[*_coco()["annotations"], row])


def _coco_case(
    number: str,
    code: str,
    labels: Any = None,
    text: str | bytes | None = None,
    severity: str = "error",
    pointer: str | None = None,
) -> Case:
    def make(root: Path) -> Path:
        return coco_folder(root, labels, text)

    return Case(number, code, make, clean_coco, severity, pointer)


def _annotation(number: str, code: str, severity: str = "error", **changes: Any) -> Case:
    return _coco_case(number, code, _row(**changes), severity=severity, pointer="/annotations/2")


POINTS = {"id": 3, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}


def _keypoints(number: str, code: str, severity: str = "error", **changes: Any) -> Case:
    labels = _row(**changes)
    labels["categories"] = [{"id": 90, "name": "dog"}, POINTS]
    return _coco_case(number, code, labels, severity=severity)


def _images(number: str, code: str, row: dict[str, Any], severity: str = "error") -> Case:
    return _coco_case(number, code, _coco(images=[*_coco()["images"], row]), severity=severity)


def _rle(number: str, code: str, counts: Any, size: tuple[int, int] = (40, 60)) -> Case:
    return _annotation(number, code, segmentation={"size": list(size), "counts": counts})


def _categories(number: str, code: str, rows: list[Any]) -> Case:
    return _coco_case(number, code, _coco(categories=rows))


DOG, CAT = {"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}
GOOD = json.dumps(_coco())

COCO = [
    _images("A1", "image.missing", {"id": 1, "file_name": "c.jpg"}),
    _annotation("A3", "annotation.image", image_id=8),
    _annotation("A3", "annotation.image", image_id=None),
    _annotation("A3", "annotation.image", image_id=7.5),
    _images("A4", "image.duplicate_id", {"id": 7, "file_name": "a.jpg"}),
    _images("A4", "image.duplicate_file", {"id": 8, "file_name": "a.jpg"}),
    _images("A4", "image.id", {"id": None, "file_name": "a.jpg"}),
    _annotation("A5", "annotation.duplicate_id", id=5),
    _annotation("A5", "annotation.id", id=2**70),
    _annotation("A5", "annotation.id", id=True),
    _annotation("A8", "box.degenerate", bbox=[10, 5, 0, 30]),
    _annotation("A8", "box.degenerate", bbox=[10, 5, 20, -1e-9]),
    _annotation("A8", "box.degenerate", bbox=[30, 5, -20, 10]),
    _annotation("A9", "box.clipped", "warning", bbox=[50, 5, 20, 30]),
    _annotation("A9", "box.clipped", "warning", bbox=[-4, -3, 20, 30]),
    _annotation("A10", "box.outside", bbox=[100, 5, 20, 30]),
    _annotation("A10", "box.outside", bbox=[-40, 5, 20, 30]),
    _annotation("A11", "box.huge", bbox=[1e308, 5, 20, 30]),
    _annotation("A12", "box.format", bbox=[10, 5, 20]),
    _annotation("A12", "box.format", bbox=[10, 5, 20, 30, 1]),
    _annotation("A12", "box.format", bbox=None),
    _annotation("A12", "box.format", bbox="10 5 20 30"),
    _annotation("A12", "box.not_finite", bbox=[10, 5, "20", 30]),
    _annotation("A12", "box.not_finite", bbox=[10, 5, [20], 30]),
    _annotation("A12", "box.not_finite", bbox=[10, 5, None, 30]),
    _annotation("A12", "box.not_finite", bbox=[10, 5, True, 30]),
    _coco_case("A19", "dataset.no_objects", _coco(annotations=[]), pointer="split val"),
    _categories("A20", "category.id", [{"id": 1, "name": "a"}, {"id": "x", "name": "b"}]),
    _categories("A21", "category.duplicate_id", [DOG, DOG]),
    _categories("A21", "category.duplicate_name", [DOG, {"id": 1, "name": "dog"}]),
    _categories("A21", "category.name", [DOG, {"id": 1, "name": " "}]),
    _categories("A21", "category.name", [DOG, {"id": 1, "name": 5}]),
    _annotation("A22", "annotation.category", category_id=1),
    _annotation("A22", "annotation.category", category_id=None),
    _coco_case(
        "A23", "category.unused", _coco(categories=[DOG, CAT, {"id": 4, "name": "owl"}]),
        severity="warning", pointer="split val",
    ),
    _annotation("A25", "crowd", iscrowd=2),
    _annotation("A25", "crowd", iscrowd="no"),
    _annotation("A26", "area", area=-1),
    _annotation("A26", "area", area="large"),
    _coco_case(
        "A26", "area.mask",
        _row(area=9000, segmentation=[[10, 5, 30, 5, 30, 35, 10, 35]]), severity="warning",
    ),
    _rle("A28", "rle.negative", [2500]),
    _rle("A29", "rle.sum", [2300]),
    _rle("A30", "rle.size", [2400], (60, 40)),
    _rle("A31", "rle.negative", [-1, 2401]),
    _rle("A31", "rle.size", [10**12], (10**6, 10**6)),
    _rle("A32", "rle.text", "é~"),
    _rle("A32", "rle.format", [1.5]),
    _rle("A32", "rle.format", None),
    _annotation("A34", "polygon.outside", segmentation=[[1, 1, 5, 5, 1e300, 1]]),
    _annotation("A35", "polygon.odd", segmentation=[[1, 1, 5, 5, 9]]),
    _annotation("A35", "polygon.short", segmentation=[[1, 1, 5, 5]]),
    _annotation("A35", "polygon.short", segmentation=[[]]),
    _annotation("A35", "polygon.format", segmentation=[1, 1, 5, 5, 9, 1]),
    _annotation("A37", "polygon.too_many", segmentation=[[1, 1] * 100_001]),
    _keypoints("A38", "keypoints.length", keypoints=[11, 6, 2]),
    _keypoints("A38", "keypoints.length", keypoints="nose"),
    _keypoints("A39", "keypoints.visibility", keypoints=[11, 6, 3, 12, 9, 1]),
    _keypoints("A39", "keypoints.visibility", keypoints=[11, 6, -1, 12, 9, 1]),
    _keypoints("A41", "keypoints.not_finite", keypoints=[11, None, 2, 12, 9, 1]),
    _keypoints("A41", "keypoints.outside", keypoints=[1000, 6, 2, 12, 9, 1]),
    _keypoints("A41", "keypoints.box", "warning", keypoints=[59, 39, 2, 12, 9, 1]),
    _keypoints("A42", "keypoints.count", "warning", keypoints=[11, 6, 2, 12, 9, 1],
               num_keypoints=1),
    _coco_case("A43", "skeleton.format", _coco(categories=[DOG, CAT | {"keypoints": [1, 2]}])),
    _coco_case("A43", "skeleton.limbs", _coco(categories=[DOG, POINTS | {"skeleton": [[1, 9]]}])),
    _coco_case("A45", "file.encoding", text=GOOD.encode("utf-16"), pointer="byte"),
    _coco_case("A45", "file.encoding", text=GOOD.replace("dog", "dög").encode("latin-1")),
    _coco_case("A46", "json.constant", text=GOOD.replace("[10, 5", "[NaN, 5")),
    _coco_case("A46", "json.constant", text=GOOD.replace("[10, 5", "[-Infinity, 5")),
    _coco_case("A47", "json.twice", text='{"images": [], "images": []}'),
    _coco_case("A48", "json.depth", text="[" * 100_000),
    _coco_case("A49", "json.number", text='{"images": [' + "9" * 100_000 + "]}"),
    _coco_case("A51", "json.syntax", text=GOOD[: len(GOOD) // 2], pointer="line 1"),
    _coco_case("A51", "json.syntax", text=GOOD[:-1] + ",}"),
    _coco_case("A51", "json.syntax", text=""),
    _coco_case("A51", "json.object", text="[]"),
    _coco_case("A51", "json.object", _coco(images=[7]), pointer="/images/0"),
    _coco_case("A51", "json.missing_key", text="{}", pointer="/images"),
    _images("A55", "file.outside", {"id": 1, "file_name": "../../etc/passwd"}),
    _images("A55", "file.outside", {"id": 1, "file_name": "/etc/passwd"}),
    _images("A55", "file.outside", {"id": 1, "file_name": "C:\\windows\\a.jpg"}),
    _images("A55", "file.outside", {"id": 1, "file_name": "a\0.jpg"}),
    _images("A55", "file.name", {"id": 1, "file_name": 5}),
    _coco_case("A59", "image.size", _coco(
        images=[_coco()["images"][0], _coco()["images"][1] | {"width": 61}])),
    _coco_case("A59", "image.size", _coco(
        images=[_coco()["images"][0], _coco()["images"][1] | {"width": 0}])),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "=cmd()"}])),
    _coco_case("A60", "category.characters", severity="warning",
               labels=_coco(categories=[DOG, CAT | {"name": "a\x1b[31m"}])),
    _coco_case("twice", "object.repeated", severity="warning",
               labels=_row(category_id=90, bbox=[10, 5, 20, 30])),
    _coco_case("cell", "object.same_cell", severity="warning", pointer="objects 1, 3 (ids 0, 17)",
               labels=_row(category_id=3, bbox=[15, 10, 12, 21])),
]  # fmt: skip


def _with(make: Callable[[Path], Path], change: Callable[[Path], object]) -> Callable[[Path], Path]:
    def changed(root: Path) -> Path:
        make(root)
        change(root)
        return root

    return changed


def _voc(
    number: str,
    code: str,
    page: str,
    severity: str = "error",
    pointer: str | None = None,
) -> Case:
    def change(root: Path) -> None:
        draw(root / "JPEGImages" / "x.jpg")
        (root / "Annotations" / "x.xml").write_text(page, encoding="utf-8")

    return Case(number, code, _with(clean_voc, change), clean_voc, severity, pointer)


def _voc_box(number: str, code: str, box: tuple[object, ...], severity: str = "error") -> Case:
    page = voc_page(voc_object("cat", BOX), voc_object("dog", box), filename="x.jpg")
    return _voc(number, code, page, severity, "object 2 ('dog')")


ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"x" * 50_000}">]><annotation>{"&a;" * 50_000}</annotation>'
ONE = voc_object("cat", BOX)

VOC = [
    Case("A1", "image.missing",
         _with(clean_voc, lambda root: (root / "JPEGImages" / "a.jpg").unlink()), clean_voc),
    Case("A2", "image.unlisted",
         _with(clean_voc, lambda root: draw(root / "JPEGImages" / "more.jpg")), clean_voc, "note"),
    _voc_box("A8", "box.degenerate", (20, 5, 20, 30)),
    _voc_box("A56", "box.swapped", (20, 5, 10, 30)),
    _voc_box("A56", "box.swapped", (5, 30, 10, 5)),
    _voc_box("A9", "box.clipped", (50, 5, 90, 30), "warning"),
    _voc_box("A10", "box.outside", (100, 5, 120, 30)),
    _voc_box("A11", "box.format", ("nan", 5, 20, 30)),
    _voc_box("A11", "box.format", ("1e999", 5, 20, 30)),
    _voc_box("A56", "box.format", ("ten", 5, 20, 30)),
    _voc_box("A56", "box.format", ("", 5, 20, 30)),
    _voc("A21", "category.name", voc_page(voc_object(" ", BOX), filename="x.jpg")),
    _voc("A51", "xml.syntax", "<annotation><object>", pointer="line 1"),
    _voc("A51", "xml.syntax", ""),
    _voc("A51", "xml.root", "<html></html>"),
    _voc("A52", "xml.forbidden",
         f'<!DOCTYPE x [<!ENTITY e0 "x">{ENTITIES}]><annotation>&e8;</annotation>'),
    _voc("A52", "xml.forbidden", QUADRATIC),
    _voc("A52", "xml.forbidden", "<!DOCTYPE annotation><annotation/>"),
    _voc("A53", "xml.forbidden",
         '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'),
    _voc("A54", "xml.size", "<annotation>" + "<a>" * 200_000 + "</a>" * 200_000 + "</annotation>"),
    _voc("A55", "file.outside", voc_page(ONE, filename="../../etc/passwd")),
    _voc("A55", "file.outside", voc_page(ONE, filename="/etc/passwd")),
    _voc("A55", "file.outside", voc_page(ONE, filename="C:\\a.jpg")),
    _voc("A55", "file.outside", voc_page(ONE, filename="..\\..\\a.jpg")),
    _voc("A59", "image.size", voc_page(ONE, filename="x.jpg", size=(40, 61))),
    _voc("path", "file.machine_path", voc_page(ONE, filename="x.jpg"), "note", "path"),
    _voc("twice", "object.repeated", voc_page(ONE, ONE, filename="x.jpg"), "warning"),
    _voc("cell", "object.same_cell",
         voc_page(ONE, voc_object("cat", (6, 5, 20, 21)), filename="x.jpg"), "warning"),
]  # fmt: skip


def _yolo(number: str, code: str, line: str) -> Case:
    def make(root: Path) -> Path:
        clean_yolo(root)
        with (root / "labels" / "train" / "a.txt").open("a") as file:
            file.write(f"{line}\n")
        return root

    return Case(number, code, make, clean_yolo, "error", "line 3")


def _yaml(number: str, code: str, text: str) -> Case:
    def make(root: Path) -> Path:
        return yolo_folder(root, text, a="0 0.5 0.5 0.5 0.5", b="")

    return Case(number, code, make, clean_yolo)


HEAD = "train: images/train\n"

YOLO = [
    _yolo("A8", "box.degenerate", "0 0.5 0.5 0 0.5"),
    _yolo("A14", "yolo.range", "0 30 20 10 10"),
    _yolo("A14", "yolo.range", "0 0.5 1.2 0.1 0.1"),
    _yolo("A14", "yolo.range", "0 -0.5 0.2 0.1 0.1"),
    _yolo("A11", "yolo.number", "0 nan 0.5 0.5 0.5"),
    _yolo("A11", "yolo.number", "0 inf 0.5 0.5 0.5"),
    _yolo("A12", "yolo.number", "0 a 0.5 0.5 0.5"),
    _yolo("A12", "yolo.columns", "0 0.5 0.5 0.5"),
    _yolo("A12", "yolo.columns", "0 0.5 0.5 0.5 0.5 0.9"),
    _yolo("A12", "yolo.columns", "0"),
    _yolo("A15", "yolo.class", "2 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "0.0 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "-1 0.5 0.5 0.5 0.5"),
    _yolo("A15", "yolo.class", "cat 0.5 0.5 0.5 0.5"),
    Case("A17", "image.ambiguous",
         _with(clean_yolo, lambda root: draw(root / "images" / "train" / "a.png")), clean_yolo),
    Case("A1", "image.missing",
         _with(clean_yolo,
               lambda root: (root / "labels" / "train" / "lost.txt").write_text("")), clean_yolo),
    Case("A45", "file.encoding",
         _with(clean_yolo,
               lambda root: (root / "labels" / "train" / "b.txt").write_bytes(b"\xff\xfe0")),
         clean_yolo, pointer="byte"),
    Case("A19", "dataset.no_objects",
         _with(clean_yolo, lambda root: (root / "labels" / "train" / "a.txt").write_text("")),
         clean_yolo),
    _yaml("A57", "yaml.download", HEAD + "names: [a]\ndownload: |\n  import os\n"),
    _yaml("A57", "yaml.alias", HEAD + "x: &x [1]\ny: *x\nnames: [a]\n"),
    _yaml("A57", "yaml.syntax", HEAD + "names: !!python/object/apply:os.system ['true']\n"),
    _yaml("A51", "yaml.syntax", HEAD + "names: [a\n"),
    _yaml("A47", "yaml.twice", HEAD + "names: {0: a, 0: b}\n"),
    _yaml("A51", "yaml.object", "- names\n"),
    _yaml("A21", "category.none", HEAD + "names: []\n"),
    _yaml("A21", "category.count", HEAD + "nc: 3\nnames: [a]\n"),
    _yaml("A21", "category.duplicate_name", HEAD + "names: [a, a]\n"),
    _yaml("A20", "category.id", HEAD + "names: {x: a}\n"),
    _yaml("A55", "file.outside", "train: /etc\nnames: [a]\n"),
]  # fmt: skip

CASES = [*COCO, *VOC, *YOLO]
