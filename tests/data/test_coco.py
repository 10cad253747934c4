"""Reading and writing COCO: what is ordinary opens, what is wrong is named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from folders import ROTATED, coco_folder, coco_labels, draw
from sightline.data import Polygons, masks, open_dataset, to_coco, write_coco
from sightline.data.doctor import check
from sightline.errors import AnnotationError, DatasetError, SightlineWarning
from sightline.skeletons import COCO_POINTS


def labels_with(**changes: Any) -> dict[str, Any]:
    """The labels with one annotation, changed."""
    row = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 30]} | changes
    return coco_labels(annotations=[row])


def test_sparse_ids_and_empty_images(tmp_path: Path) -> None:
    dataset = open_dataset(coco_folder(tmp_path), split="val")
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (3, 90)
    assert [len(example.objects) for example in dataset] == [2, 0]
    objects = dataset[0].objects
    np.testing.assert_allclose(objects.boxes, [[10, 5, 30, 35], [1.5, 2, 9.5, 6]])
    assert objects.labels.tolist() == [1, 0]
    assert objects.crowd.tolist() == [False, True]
    assert objects.area.tolist() == [600, 32]
    assert objects.ids.tolist() == [0, 5]
    assert dataset[0].size == (40, 60)
    assert dataset[1].objects.boxes.shape == (0, 4)


def test_text_ids_are_numbered(tmp_path: Path) -> None:
    labels = coco_labels(
        categories=[{"id": "z", "name": "dog"}, {"id": "b", "name": "cat"}],
        annotations=[{"image_id": 7, "category_id": "z", "bbox": [1, 1, 5, 5]}],
    )
    dataset = open_dataset(coco_folder(tmp_path, labels))
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (1, 2)
    assert dataset[0].objects.labels.tolist() == [1]


FAULTS: dict[str, dict[str, Any]] = {
    "box.degenerate": labels_with(bbox=[10, 5, 0, 30]),
    "box.outside": labels_with(bbox=[100, 5, 20, 30]),
    "box.format": labels_with(bbox=[10, 5, 20]),
    "box.not_finite": labels_with(bbox=[10, 5, "20", 30]),
    "annotation.image": labels_with(image_id=8),
    "annotation.category": labels_with(category_id=1),
    "annotation.id": labels_with(id=2**70),
    "crowd": labels_with(iscrowd=2),
    "area": labels_with(area=-1),
    "polygon.odd": labels_with(segmentation=[[1, 1, 5, 5, 9]]),
    "mask.empty": labels_with(segmentation={"size": [40, 60], "counts": [2400]}),
    "polygon.short": labels_with(segmentation=[[]]),
    "polygon.format": labels_with(segmentation=[1, 1, 5, 5, 9, 1]),
    "polygon.outside": labels_with(segmentation=[[1, 1, 5, 5, 1e300, 1]]),
    "polygon.too_many": labels_with(segmentation=[[1, 1] * 100_001]),
    "rle.size": labels_with(segmentation={"size": [60, 40], "counts": [2400]}),
    "rle.sum": labels_with(segmentation={"size": [40, 60], "counts": [2300]}),
    "rle.negative": labels_with(segmentation={"size": [40, 60], "counts": [-1, 2401]}),
    "rle.text": labels_with(segmentation={"size": [40, 60], "counts": "é~"}),
    "rle.format": labels_with(segmentation={"size": [40, 60], "counts": [1.5]}),
    "keypoints.length": labels_with(keypoints=[1, 2]),
    "annotation.duplicate_id": coco_labels(annotations=coco_labels()["annotations"][:1] * 2),
    "image.duplicate_id": coco_labels(images=[*coco_labels()["images"], {"id": 7}]),
    "image.missing": coco_labels(images=[*coco_labels()["images"], {"id": 1, "file_name": "c"}]),
    "file.outside": coco_labels(images=[*coco_labels()["images"], {"id": 1, "file_name": "/etc"}]),
    "image.size": coco_labels(
        images=[*coco_labels()["images"][:1], {**coco_labels()["images"][1], "width": 61}]
    ),
}


@pytest.mark.parametrize("code", FAULTS)
def test_faults_are_raised_or_skipped(tmp_path: Path, code: str) -> None:
    root = coco_folder(tmp_path, FAULTS[code])
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, split="val")
    assert caught.value.code == code
    assert caught.value.path
    assert "--on-bad skip" in str(caught.value)
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(root, split="val", on_bad="skip")
    assert [fault.code for fault in dataset.skipped] == [code]
    assert len(dataset) >= 1


def test_a_mask_without_a_pixel_is_never_passed_over(tmp_path: Path) -> None:
    nothing = {"size": [40, 60], "counts": masks.to_text(masks.encode(np.zeros((40, 60), bool)))}
    rows = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 30]},
        {"id": 2, "image_id": 7, "category_id": 3},
    ]
    labels = coco_labels(annotations=[row | {"segmentation": nothing} for row in rows])
    root = coco_folder(tmp_path, labels)
    (found,) = [f for f in check(root, look_alikes=False).findings if f.id == 1]
    assert (found.code, found.severity) == ("mask.empty", "error")
    with pytest.warns(SightlineWarning, match=r"mask\.empty × 2"):
        assert not len(open_dataset(root, on_bad="skip")[0].objects)
    with pytest.warns(SightlineWarning):
        mended = open_dataset(root, on_bad="fix")
    assert mended[0].objects.boxes.tolist() == [[10, 5, 30, 35]]
    assert mended[0].objects.segments is None
    assert [(f.code, f.id) for f in mended.repaired] == [("mask.empty", 1)]
    assert [(f.code, f.id) for f in mended.skipped] == [("mask.empty", 2)]


WHOLE_FILE: dict[str, str | bytes] = {
    "json.syntax": '{"images": [',
    "json.twice": '{"images": [], "images": []}',
    "json.constant": '{"images": [NaN]}',
    "json.depth": "[" * 100_000,
    "json.number": '{"images": [' + "9" * 5000 + "]}",
    "json.object": "[]",
    "json.missing_key": "{}",
    "file.encoding": json.dumps(coco_labels()).encode("utf-16"),
    "category.duplicate_id": json.dumps(coco_labels(categories=[{"id": 1, "name": "a"}] * 2)),
    "category.duplicate_name": json.dumps(
        coco_labels(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}])
    ),
    "category.name": json.dumps(coco_labels(categories=[{"id": 1, "name": " "}])),
    "category.id": json.dumps(
        coco_labels(categories=[{"id": 1, "name": "a"}, {"id": "x", "name": "b"}])
    ),
    "category.none": json.dumps(coco_labels(categories=[])),
    "skeleton.limbs": json.dumps(
        coco_labels(categories=[{"id": 1, "name": "a", "keypoints": ["p"], "skeleton": [[1, 9]]}])
    ),
}


@pytest.mark.parametrize("code", WHOLE_FILE)
@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_broken_files_are_never_skipped(tmp_path: Path, code: str, on_bad: Any) -> None:
    root = coco_folder(tmp_path, text=WHOLE_FILE[code])
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, split="val", on_bad=on_bad)
    assert caught.value.code == code
    assert caught.value.path == str(root / "annotations" / "instances_val.json")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "C:\\x.jpg", "\\\\host\\x.jpg", "a\0.jpg", "link.jpg"],
)
def test_no_file_name_leads_out(tmp_path: Path, name: str) -> None:
    outside = draw(tmp_path / "outside.jpg")
    labels = coco_labels()
    labels["images"][1]["file_name"] = name
    root = coco_folder(tmp_path / "set", labels)
    (root / "images" / "val" / "link.jpg").symlink_to(outside)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "file.outside"


def test_a_byte_order_mark_and_sub_folders_are_fine(tmp_path: Path) -> None:
    labels = coco_labels()
    labels["images"][1]["file_name"] = "deep\\c.jpg"
    root = coco_folder(tmp_path, text=b"\xef\xbb\xbf" + json.dumps(labels).encode())
    draw(root / "images" / "val" / "deep" / "c.jpg")
    dataset = open_dataset(root)
    assert dataset.file_name(dataset[1]) == "images/val/deep/c.jpg"


def test_boxes_are_cut_at_the_edge_and_counted(tmp_path: Path) -> None:
    root = coco_folder(tmp_path, labels_with(bbox=[-5, -0.5, 20, 30]))
    with pytest.warns(SightlineWarning, match=r"box\.clipped"):
        dataset = open_dataset(root)
    assert dataset[0].objects.boxes.tolist() == [[0, 0, 15, 29.5]]


def test_masks_give_missing_areas_and_boxes(tmp_path: Path) -> None:
    square = [[10, 5, 20, 5, 20, 15, 10, 15]]
    root = coco_folder(tmp_path, labels_with(bbox=None, segmentation=square))
    objects = open_dataset(root)[0].objects
    assert objects.boxes.tolist() == [[10, 5, 20, 15]]
    assert objects.area.tolist() == [100]
    assert objects.segments is not None
    assert isinstance(objects.segments[0], Polygons)


@pytest.mark.parametrize("empty", [None, []])
def test_no_mask_is_no_fault(tmp_path: Path, empty: object) -> None:
    assert (
        open_dataset(coco_folder(tmp_path, labels_with(segmentation=empty)))[0].objects.segments
        is None
    )


def test_keypoints(tmp_path: Path) -> None:
    names = ["nose", "left_eye", "right_eye"]
    category = {"id": 3, "name": "cat", "keypoints": names, "skeleton": [[1, 2], [1, 3]]}
    seen = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 1, 20, 20]}
    labels = coco_labels(
        categories=[category],
        annotations=[seen | {"keypoints": [5, 6, 2, 7, 8, 1, 9, 9, 0]}, seen | {"id": 2}],
    )
    dataset = open_dataset(coco_folder(tmp_path, labels))
    assert dataset.skeleton is not None
    assert dataset.skeleton.flips == (0, 2, 1)
    assert dataset.skeleton.limbs == ((0, 1), (0, 2))
    points = dataset[0].objects.keypoints
    assert points is not None
    assert points[0].tolist() == [[5, 6, 2], [7, 8, 1], [0, 0, 0]]
    assert not points[1].any()
    assert dataset[1].objects.keypoints.shape == (0, 3, 3)  # type: ignore[union-attr]
    for wrong, code in (([5, 6, 3] * 3, "visibility"), ([900, 6, 2] * 3, "outside")):
        labels["annotations"][0]["keypoints"] = wrong
        with pytest.raises(AnnotationError) as caught:
            open_dataset(coco_folder(tmp_path, labels))
        assert caught.value.code == f"keypoints.{code}"


def test_rotated_photos(tmp_path: Path) -> None:
    """Labels of the stored size are turned; labels of the upright size stay."""
    root = coco_folder(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / "val" / name, (40, 60), ROTATED)
    with pytest.warns(SightlineWarning, match=r"image\.rotated"):
        turned = open_dataset(root)
    assert turned[0].size == (60, 40)
    np.testing.assert_allclose(turned[0].objects.boxes[0], [40 - 35, 10, 40 - 5, 30])
    labels = coco_labels()
    for image in labels["images"]:
        image["height"], image["width"] = 60, 40
    upright = open_dataset(coco_folder_again(root, labels))
    assert upright[0].size == (60, 40)
    assert upright[0].objects.boxes[0].tolist() == [10, 5, 30, 35]


def coco_folder_again(root: Path, labels: dict[str, Any]) -> Path:
    """The same folder with other labels."""
    (root / "annotations" / "instances_val.json").write_text(json.dumps(labels))
    return root


def test_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    square = [[10, 5, 20, 5, 20, 15, 10, 15]]
    dataset = open_dataset(coco_folder(tmp_path, labels_with(segmentation=square, area=99.37)))
    written = to_coco(dataset)
    assert written["annotations"][0]["bbox"] == [10, 5, 20, 30]
    assert written["annotations"][0]["area"] == 99.37
    assert [row["id"] for row in written["categories"]] == [3, 90]
    assert [row["id"] for row in written["images"]] == [7, 9]
    write_coco(dataset, tmp_path / "again.json")
    again = open_dataset(tmp_path, annotations=tmp_path / "again.json", images=tmp_path)
    assert again.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(
    ("split", "images", "objects"), [("train", 2209, 20690), ("val", 471, 4115)]
)
def test_the_real_boxes(shared: Path, split: str, images: int, objects: int) -> None:
    dataset = open_dataset(shared / "data/coco", split=split)
    assert len(dataset) == images
    assert sum(len(example.objects) for example in dataset) == objects
    assert len(dataset.classes) == 80
    assert dataset.category_ids[-1] == 90
    assert dataset.skeleton is None
    file = json.loads((shared / f"data/coco/annotations/instances_{split}.json").read_text())
    assert [row["id"] for row in to_coco(dataset)["images"]] == [i["id"] for i in file["images"]]


def test_the_real_keypoints_and_masks(shared: Path) -> None:
    root = shared / "data/coco"
    people = open_dataset(root, annotations=root / "annotations/person_keypoints_val.json")
    assert people.skeleton is not None
    assert people.skeleton.points == COCO_POINTS
    assert people.skeleton.sigmas[0] == 0.026
    points = [e.objects.keypoints for e in people if e.objects.keypoints is not None]
    assert sum(int((p[..., 2] > 0).any(axis=1).sum()) for p in points) == 1004
    masks = open_dataset(
        root, annotations=root / "annotations/person_masks_val.json", images=root / "images/val"
    )
    assert len(masks) == 275
    assert sum(s is not None for e in masks for s in e.objects.segments or ()) == 554


OPENING = """
import json, sys, time
from pathlib import Path
from sightline.data import open_dataset
root = Path(sys.argv[1])
text = (root / "annotations/instances_train.json").read_text()
jobs = (lambda: open_dataset(root, split="train"), lambda: json.loads(text))
times = ([], [])
for _ in range(3):  # the first may wait for the disk
    for job, spent in zip(jobs, times):
        start = time.process_time()
        job()
        spent.append(time.process_time() - start)
print(min(times[0]) / min(times[1]))
"""


def test_opening_is_quick(shared: Path) -> None:
    """Against what reading the JSON alone takes, for machines differ and are never quiet; in a
    process of its own, without the checks of shapes that tests add, which take as long again.
    """
    command = [sys.executable, "-c", OPENING, str(shared / "data/coco")]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(told.stdout) < 16


def test_roboflow_and_folders_that_are_not_found(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        folder = tmp_path / split
        draw(folder / "a.jpg")
        draw(folder / "b.jpg")
        labels = coco_labels()
        for image in labels["images"]:
            image["id"] += split == "valid"
        for row in labels["annotations"]:
            row["image_id"] += split == "valid"
        (folder / "_annotations.coco.json").write_text(json.dumps(labels))
    assert open_dataset(tmp_path, split="val").split == "valid"
    assert len(open_dataset(tmp_path)) == 4
    with pytest.raises(DatasetError) as caught:
        open_dataset(coco_folder(tmp_path / "x"), split="train")
    assert caught.value.code == "dataset.split"
    with pytest.raises(DatasetError) as caught:
        open_dataset(
            tmp_path / "x", annotations="annotations/instances_val.json", images="/nowhere"
        )
    assert caught.value.code == "dataset.images"


def test_a_gigantic_image_is_refused_before_its_masks_are_drawn(tmp_path: Path) -> None:
    labels = coco_labels()
    labels["images"][0] |= {"width": 10**9, "height": 10**9}
    labels["annotations"][0]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    with pytest.raises(AnnotationError) as caught:
        open_dataset(coco_folder(tmp_path, labels))
    assert caught.value.code == "image.size"
