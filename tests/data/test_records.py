"""The records of data sets, skeletons, turning labels, and opening folders."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from folders import coco_folder, draw, yolo_folder
from sightline.data import Objects, Polygons, Skeleton, default_split, open_dataset, splits
from sightline.data.masks import encode, rasterise
from sightline.data.upright import turn
from sightline.errors import AnnotationError, DatasetError, UsageError
from sightline.skeletons import COCO_POINTS, DEFAULT_SIGMA, flips, skeleton


def test_a_subset_of_objects_keeps_everything_together() -> None:
    points = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    segment = encode(np.ones((4, 5), bool))
    objects = Objects.of([[0, 0, 1, 2]] * 3, [0, 1, 2], [segment, None, segment], points)
    for rows in ([2, 0], np.array([2, 0]), slice(None, None, -2)):
        chosen = objects[rows]
        assert chosen.labels.tolist() == [2, 0]
        assert chosen.segments == (segment, segment)
        assert chosen.keypoints is not None
        assert (chosen.keypoints == points[[2, 0]]).all()
    assert len(objects[np.zeros(3, bool)]) == 0
    assert objects.area.tolist() == [2, 2, 2]


def test_the_fingerprint_is_of_the_labels_not_of_the_place(tmp_path: Path) -> None:
    first = open_dataset(coco_folder(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    second = open_dataset(tmp_path / "two")
    assert first.fingerprint() == second.fingerprint()
    assert first.fingerprint() is first.fingerprint(), "worked out once"
    example = second[0]
    objects = example.objects
    for other in (
        replace(example, size=(41, 60)),
        replace(example, path=example.path.with_name("z.jpg")),
        replace(example, objects=replace(objects, boxes=objects.boxes + 0.001)),
        replace(example, objects=replace(objects, labels=1 - objects.labels)),
        replace(example, objects=replace(objects, crowd=~objects.crowd)),
        replace(example, objects=objects[[0]]),
    ):
        changed = replace(second, examples=(other, *second.examples[1:]))
        assert changed.fingerprint() != first.fingerprint()
    assert replace(second, classes=("dog", "cat")).fingerprint() != first.fingerprint()


def test_skeletons() -> None:
    person = skeleton(COCO_POINTS, [(0, 1)])
    assert person.flips == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert person.sigmas == (
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
        *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    )
    assert flips(["LeftEye", "tail", "RightEye", "paw_l", "paw_r", "left_ear"]) == (
        2,
        1,
        0,
        4,
        3,
        5,
    )
    assert skeleton(["a", "b"], []).sigmas == (DEFAULT_SIGMA,) * 2
    for wrong in ((1, 2, 0), (0, 1), (0, 5, 2)):
        with pytest.raises(DatasetError):
            Skeleton(("a", "b", "c"), (), wrong, (0.1, 0.1, 0.1))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_labels_turn_as_the_pixels_do(orientation: int) -> None:
    """A drawn object, turned by Pillow and by us, comes to lie in the same place."""
    stored = np.zeros((40, 60), np.uint8)
    stored[5:15, 10:40] = 255
    picture = Image.fromarray(stored)
    picture.getexif()[274] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture)) > 0
    ring = np.array([[10, 5], [40, 5], [40, 15], [10, 15]], np.float64)
    points = np.array([[[10.5, 5.5, 2], [0, 0, 0]]], np.float32)
    for segment in (Polygons((ring,)), encode(stored > 0)):
        objects = Objects.of([[10, 5, 40, 15]], [0], [segment], points)
        turned = turn(objects, (60, 40), orientation)
        x1, y1, x2, y2 = turned.boxes[0].astype(int)
        assert upright[y1:y2, x1:x2].all()
        assert upright.sum() == (y2 - y1) * (x2 - x1)
        assert turned.segments is not None and turned.keypoints is not None
        assert (rasterise(turned.segments[0], (60, 40)) == upright).all()  # type: ignore[arg-type]
        x, y, _ = turned.keypoints[0, 0]
        assert upright[int(y), int(x)]
        assert min(abs(x - x1), abs(x - x2)) == min(abs(y - y1), abs(y - y2)) == 0.5
        assert not turned.keypoints[0, 1].any()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    draw(tmp_path / "plain" / "a.jpg")
    for folder, code in (
        (tmp_path / "none", "dataset.missing"),
        (tmp_path / "plain", "dataset.unknown"),
    ):
        with pytest.raises(DatasetError) as caught:
            open_dataset(folder)
        assert caught.value.code == code
    with pytest.raises(AnnotationError) as missing:
        open_dataset(tmp_path, annotations="nowhere.json")
    assert missing.value.code == "file.not_found"
    with pytest.raises(UsageError):
        open_dataset(coco_folder(tmp_path / "x"), on_bad="mend")  # type: ignore[arg-type]


def test_splits_have_names_and_others_for_the_same(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    assert splits(root) == ("val",)
    assert default_split(root, "val") == "val"
    assert open_dataset(root, split="valid").split == "val"
    with pytest.raises(DatasetError) as caught:
        default_split(root, "train")
    assert "it has val" in str(caught.value)
    (root / "annotations" / "instances_val.json").rename(root / "annotations" / "instances.json")
    (root / "images" / "val").rename(root / "data")
    assert default_split(root, "val") is None
    assert len(open_dataset(root)) == 2


def test_a_label_file_is_an_entrance_too(tmp_path: Path) -> None:
    coco = coco_folder(tmp_path / "coco")
    assert len(open_dataset(coco / "annotations" / "instances_val.json")) == 2
    yolo = yolo_folder(tmp_path / "yolo", a="")
    assert len(open_dataset(yolo / "data.yaml", split="train")) == 1


def test_the_real_voc_images(shared: Path) -> None:
    dataset = open_dataset(shared / "data/voc2012_100")
    assert len(dataset) == 100
    assert len(dataset.classes) == 20
    assert splits(shared / "data/voc2012_100") == ()
