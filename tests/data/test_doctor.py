"""The data doctor: every planted fault is found with its place, and its twin shows none."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from folders import coco_folder, coco_labels, draw
from hostile_faults import CASES as HOSTILE
from json_faults import CASES as JSON
from label_faults import CASES as PLAIN
from label_faults import Case, clean_voc
from sightline.data import Polygons, masks, open_dataset, voc_pages
from sightline.data.doctor import check
from sightline.errors import AnnotationError, DatasetError, SightlineWarning
from table_faults import CASES as TABLE

CASES = (*PLAIN, *HOSTILE, *TABLE, *JSON)

WHOLE = ("file.", "xml.root", "yaml.object", "json.object", "category.", "dataset.", "image.")
"""Rules that may speak of a file or a folder as a whole, without a place in it."""


def of_format(name: str) -> list[Case]:
    """The cases whose folder is in a format: "coco", "voc", "yolo", "cvat" and so on."""
    other = {"clean_splits": "coco", "quoted_yolo": "yolo", "clean_pose": "yolo"}
    return [c for c in CASES if name in other.get(c.twin.__name__, c.twin.__name__)]


def test_how_many_faults_are_planted() -> None:
    """What docs/data.md says of their number; no two may be the same."""
    known = {"coco": 216, "voc": 68, "yolo": 113}
    known |= {"cvat": 63, "open_images": 44, "csv": 38, "labelme": 64, "label_studio": 61}
    assert {name: len(of_format(name)) for name in known} == known
    assert sum(known.values()) == len(CASES) == 667


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """The mask kernel is compiled before anything is timed."""
    masks.area(Polygons((np.array([[1.0, 1], [5, 1], [5, 5]]),)), (40, 60))


def contents(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case.name}" for i, case in enumerate(CASES)])
def test_a_fault_is_found_and_its_twin_has_none(case: Case, tmp_path: Path) -> None:
    root = case.make(tmp_path / "fault")
    before, began = contents(root), time.process_time()
    found = check(root, look_alikes=False)
    assert time.process_time() - began < 2, "hostile or not, it is told quickly"
    assert contents(root) == before, "nothing of the user's is changed"
    faults = [fault for fault in found.findings if fault.code == case.code]
    assert faults, [str(fault.error()) for fault in found.findings]
    fault = next((f for f in faults if (case.pointer or "") in (f.pointer or "")), None)
    assert fault is not None, [f.pointer for f in faults]
    assert fault.severity == case.severity
    assert fault.path and fault.message
    assert fault.pointer or fault.code.startswith(WHOLE)
    assert fault.hint or fault.severity == "note"
    assert found.sound == (not any(f.severity == "error" for f in found.findings))
    json.dumps(found.to_json(), allow_nan=False)
    twin = check(case.twin(tmp_path / "twin"), look_alikes=False)
    assert case.code not in {other.code for other in twin.findings}


@pytest.mark.parametrize("make", sorted({case.twin for case in CASES}, key=lambda f: f.__name__))
def test_clean_folders_are_sound(make: object, tmp_path: Path) -> None:
    found = check(make(tmp_path), look_alikes=False)  # type: ignore[operator]
    assert found.sound and not found.findings
    assert found.to_json()["counts"] == {"error": 0, "warning": 0, "note": 0}


def test_many_boxes_out_of_their_images_are_corners(tmp_path: Path) -> None:
    """x1, y1, x2, y2 written where x, y, width, height are expected."""
    boxes = [[25 + i, 20, 45 + i, 35] for i in range(8)]
    rows = [
        {"id": i + 1, "image_id": 7, "category_id": 3, "bbox": box} for i, box in enumerate(boxes)
    ]
    found = check(coco_folder(tmp_path / "a", coco_labels(annotations=rows)), look_alikes=False)
    assert "box.corners" in {fault.code for fault in found.findings}
    for row in rows:
        x1, y1, x2, y2 = row["bbox"]  # type: ignore[misc]
        row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    found = check(coco_folder(tmp_path / "b", coco_labels(annotations=rows)), look_alikes=False)
    assert "box.corners" not in {fault.code for fault in found.findings}


def test_splits_with_other_classes(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / "train" / name)
    labels = coco_labels(categories=[{"id": 90, "name": "dog"}, {"id": 3, "name": "owl"}])
    (root / "annotations" / "instances_train.json").write_text(json.dumps(labels))
    (fault,) = [f for f in check(root).findings if f.code == "dataset.classes"]
    assert fault.severity == "error" and "owl" in fault.message and "cat" in fault.message


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        check(tmp_path)


FIXED = {
    "box.swapped": {"bbox": [30, 35, -20, -30]},
    "annotation.duplicate_id": {"id": 5},
    "area": {"area": -3},
}


@pytest.mark.parametrize("code", FIXED)
def test_fix_mends_what_has_a_plain_mend(code: str, tmp_path: Path) -> None:
    row = {"id": 17, "image_id": 9, "category_id": 3, "bbox": [10, 5, 20, 30]} | FIXED[code]
    root = coco_folder(tmp_path, coco_labels(annotations=[*coco_labels()["annotations"], row]))
    before = contents(root)
    with pytest.raises(AnnotationError):
        open_dataset(root)
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(root, on_bad="fix")
    assert [fault.code for fault in dataset.repaired] == [code] and not dataset.skipped
    objects = dataset[1].objects
    assert objects.boxes.tolist() == [[10, 5, 30, 35]] and objects.area.tolist() == [600]
    ids = [i for example in dataset for i in example.objects.ids.tolist()]
    assert len(set(ids)) == len(ids)
    with pytest.warns(SightlineWarning, match="skipped"):
        assert len(open_dataset(root, on_bad="skip")[1].objects) == 0
    assert contents(root) == before


def test_fix_drops_what_has_no_mend(tmp_path: Path) -> None:
    row = {"id": 17, "image_id": 9, "category_id": 3, "bbox": [10, 5, 0, 30]}
    root = coco_folder(tmp_path, coco_labels(annotations=[*coco_labels()["annotations"], row]))
    with pytest.warns(SightlineWarning, match="skipped"):
        dataset = open_dataset(root, on_bad="fix")
    assert [fault.code for fault in dataset.skipped] == ["box.degenerate"]
    assert dataset.skipped[0].id == 17


def test_fix_exchanges_corners_of_voc(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.code == "box.swapped")
    root = case.make(tmp_path)
    with pytest.warns(SightlineWarning, match="exchanged"):
        dataset = open_dataset(root, on_bad="fix")
    boxes = next(e for e in dataset if e.image_id == "x").objects.boxes
    assert boxes[1].tolist() == [9, 4, 20, 30]


def test_the_real_faults(shared: Path) -> None:
    blood = check(shared / "data" / "bccd", look_alikes=False)
    rules = {code: len(faults) for (_, code), faults in blood.by_rule().items()}
    assert rules == {"box.degenerate": 2, "file.machine_path": 364, "object.same_cell": 169}
    raccoon = check(shared / "data" / "raccoon")
    rules = {code: len(faults) for (_, code), faults in raccoon.by_rule().items()}
    assert raccoon.sound and rules["file.machine_path"] == 200
    assert rules["image.leak"] == 1 and rules["image.duplicate"] >= 3


def test_each_xml_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many splits there are; and anew when the folder is looked at again."""
    root = clean_voc(tmp_path)
    main = root / "ImageSets" / "Main"
    main.mkdir(parents=True)
    for name, text in {"train": "a\n", "val": "b\n", "trainval": "a\nb\n"}.items():
        (main / f"{name}.txt").write_text(text)
    (root / "Annotations" / "a.xml").write_text("<annotation>")  # a fault is kept as well
    read: list[Path] = []
    original = voc_pages.read_xml

    def counted(path: Path, *more: Any) -> Any:
        read.append(path)
        return original(path, *more)

    monkeypatch.setattr(voc_pages, "read_xml", counted)
    found = check(root, look_alikes=False)
    assert sorted(path.name for path in read) == ["a.xml", "b.xml"]
    assert set(found.to_json()["rules"]) == {"xml.syntax", "dataset.empty", "image.unlisted"}
    check(root, look_alikes=False)
    assert len(read) == 4
    read.clear()
    with pytest.warns(SightlineWarning):
        open_dataset(root, "val", on_bad="skip")
        open_dataset(root, "trainval", on_bad="skip")
    assert len(read) == 4, "outside of a check nothing is remembered"


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    """Faults of one file, its categories, text, images and annotations, in one pass."""
    labels = coco_labels()
    labels["categories"].append({"id": 90, "name": "owl"})
    labels["images"].append({"id": 1, "file_name": "gone.jpg", "width": 60, "height": 40})
    bad = {"id": 5, "image_id": 1, "category_id": 4, "bbox": [1, 2, 3], "iscrowd": 4, "area": -1}
    labels["annotations"].append(bad)
    text = json.dumps(labels).replace("[1.5, 2", "[NaN, 2").replace('"id": 9,', '"id": 9, "id": 9,')
    found = check(coco_folder(tmp_path, text=text), look_alikes=False)
    assert set(found.to_json()["rules"]) == {
        "annotation.category", "annotation.duplicate_id", "area", "box.format", "box.not_finite",
        "category.duplicate_id", "crowd", "image.missing", "json.constant", "json.twice",
    }  # fmt: skip
    assert not found.parts, "a file whose categories are at fault is no data set"


def test_an_image_that_two_splits_list(tmp_path: Path) -> None:
    root = clean_voc(tmp_path)
    main = root / "ImageSets" / "Main"
    main.mkdir(parents=True)
    lists = {"train": "a\n", "val": "b\n", "trainval": "a\nb\n"}
    for name, text in lists.items():
        (main / f"{name}.txt").write_text(text)
    assert "image.leak" not in {f.code for f in check(root, look_alikes=False).findings}
    (main / "val.txt").write_text("b\na\n")
    (root / "Annotations" / "c.xml").write_text(
        (root / "Annotations" / "b.xml").read_text().replace("b.jpg", "c.jpg")
    )
    draw(root / "JPEGImages" / "c.jpg", (40, 60))
    (main / "train.txt").write_text("a\nc\n")
    (main / "trainval.txt").write_text("a\nb\nc\n")
    (fault,) = [f for f in check(root, look_alikes=False).findings if f.code == "image.leak"]
    assert "a.jpg" in fault.message and fault.pointer == "split val"
