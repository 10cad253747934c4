"""Masks and keypoints of the same objects from other label files."""

import json
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from folders import coco_folder, coco_labels, draw
from sightline.cli import main
from sightline.data import Polygons, open_dataset
from sightline.data.more_labels import with_more
from sightline.errors import AnnotationError, DatasetError, SightlineWarning

RING = [12.0, 8.0, 28.0, 8.0, 28.0, 30.0]


def row(**changes: Any) -> dict[str, Any]:
    """The dog of the first image, with its mask."""
    plain = {"id": 0, "image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 30]}
    return {**plain, "segmentation": [RING], "area": 176, **changes}


def beside(root: Path, rows: list[dict[str, Any]], **changes: Any) -> Path:
    """A second label file, with other ids of its categories."""
    labels = coco_labels(annotations=rows, categories=[{"id": 1, "name": "dog"}])
    labels["images"] = labels["images"][:1]
    file = root / "annotations" / "masks_val.json"
    file.write_text(json.dumps(labels | changes))
    return file


def skeleton(*points: str) -> list[dict[str, Any]]:
    return [{"id": 1, "name": "dog", "keypoints": list(points), "skeleton": [[1, 2]]}]


def test_a_mask_comes_to_its_object(tmp_path: Path) -> None:
    """With its area; the objects that only the first file knows stay as they were."""
    root = coco_folder(tmp_path)
    dataset = open_dataset(root, "val")
    (found,) = with_more([dataset], [beside(root, [row()])])
    assert found is not None
    assert [len(example.objects) for example in found] == [2, 0]
    objects = found[0].objects
    assert objects.segments is not None
    mask, none = objects.segments
    assert isinstance(mask, Polygons)
    assert mask.rings[0].tolist() == [[12, 8], [28, 8], [28, 30]]
    assert none is None
    assert objects.area.tolist() == [176, 32]
    assert_array_equal(objects.boxes, dataset[0].objects.boxes)
    assert found[1].objects.segments is None
    assert found.classes == ("cat", "dog")
    assert found.fingerprint() != dataset.fingerprint()


def test_what_an_object_has_stays(tmp_path: Path) -> None:
    labels = coco_labels()
    labels["annotations"][0]["segmentation"] = [[11, 6, 20, 6, 20, 20]]
    labels["annotations"][0]["area"] = 63
    root = coco_folder(tmp_path, labels)
    dataset = open_dataset(root, "val")
    (found,) = with_more([dataset], [beside(root, [row()])])
    assert found is not None
    assert found.fingerprint() == dataset.fingerprint()
    assert found[0].objects.area.tolist() == [63, 32]


def test_keypoints_come_with_their_skeleton(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    points = [12, 8, 2, 20, 25, 1]
    file = beside(root, [row(keypoints=points)], categories=skeleton("nose", "tail"))
    (found,) = with_more([open_dataset(root, "val")], [file])
    assert found is not None
    assert found.skeleton is not None
    assert found.skeleton.points == ("nose", "tail")
    first, second = (example.objects.keypoints for example in found)
    assert first is not None
    assert second is not None
    assert first.tolist() == [[[12, 8, 2], [20, 25, 1]], [[0, 0, 0], [0, 0, 0]]]
    assert second.shape == (0, 2, 3)


def test_another_skeleton_is_refused(tmp_path: Path) -> None:
    labels = coco_labels(categories=[{"id": 3, "name": "cat"}, *skeleton("nose", "tail")])
    labels["annotations"] = [row(keypoints=[12, 8, 2, 20, 25, 1])]
    root = coco_folder(tmp_path, labels)
    other = beside(root, [row(keypoints=[1, 8, 2, 9, 9, 1])], categories=skeleton("ear", "paw"))
    with pytest.raises(DatasetError) as caught:
        with_more([open_dataset(root, "val")], [other])
    assert caught.value.code == "labels.skeleton"


@pytest.mark.parametrize(
    "change",
    [{"bbox": [40, 5, 15, 30], "segmentation": None}, {"id": 5, "bbox": [1.5, 2, 8, 4]}],
    ids=["another place", "another class"],
)
def test_an_id_of_another_object_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    root = coco_folder(tmp_path)
    file = beside(root, [row(**change)])
    with pytest.raises(AnnotationError, match="in the first labels") as caught:
        with_more([open_dataset(root, "val")], [file])
    assert caught.value.code == "labels.disagree"
    assert caught.value.path == str(file)
    assert caught.value.pointer == f"id {change.get('id', 0)}"


def test_objects_of_the_second_file_alone_are_told(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    file = beside(root, [row(), row(id=17)])
    with pytest.warns(SightlineWarning, match="1 objects that the first labels do not list"):
        (found,) = with_more([open_dataset(root, "val")], [file])
    assert found is not None
    assert found[0].objects.ids.tolist() == [0, 5]


def test_a_file_is_of_one_of_the_sets(tmp_path: Path) -> None:
    """Of the validation images it tells the training images nothing; of neither it is refused."""
    root = coco_folder(tmp_path / "one")
    other = coco_folder(tmp_path / "two")
    file = beside(root, [row()])
    both = open_dataset(other, "val"), open_dataset(root, "val")
    first, second = with_more(both, [file])
    assert first is not None
    assert second is not None
    assert first.fingerprint() == both[0].fingerprint()
    assert second[0].objects.segments is not None
    assert with_more([None, both[1]], [file])[0] is None
    with pytest.raises(DatasetError) as caught:
        with_more(both[:1], [file])
    assert caught.value.code == "labels.other_images"


def test_its_faults_are_told_or_skipped(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    file = beside(root, [row(segmentation=[[1, 2]])])
    with pytest.raises(AnnotationError):
        with_more([open_dataset(root, "val")], [file])
    with pytest.warns(SightlineWarning):
        (found,) = with_more([open_dataset(root, "val")], [file], "skip")
    assert found is not None
    assert found[0].objects.segments is None


def test_masks_of_some_images_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run learns masks from them, its record names them, and repeats with them elsewhere."""
    root = coco_folder(tmp_path / "data")
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / "train" / name)
    labels = root / "annotations" / "instances_train.json"
    labels.write_text(json.dumps(coco_labels()))
    masks = beside(root, [row()]).rename(root / "annotations" / "masks_train.json")
    out = tmp_path / "run"
    options = [str(root), "--model", "mask_rcnn", "--start", "none", "--steps", "2", "--size", "64"]
    options += ["--batch", "2", "--threads", "1", "--set", "log_steps=1", "--no-validate"]
    with pytest.raises(SystemExit) as stop:
        main(["train", *options, "--more-labels", str(masks), "--out", str(out)])
    assert not stop.value.code, capsys.readouterr().err
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert any(line["loss_mask"] > 0 for line in logged)
    record = json.loads((out / "repro.json").read_text())
    assert record["data"]["more"] == [str(masks)]
    moved = root.rename(tmp_path / "moved")
    again = ["--repro", str(out), "--out", str(tmp_path / "again"), "--json"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["train", str(moved), *again])
    told = capsys.readouterr()
    assert not stop.value.code, told.err
    assert json.loads(told.out)["repeated"] == {"best": True, "last": True}
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(moved), "--model", str(out), "--more-labels", str(masks), "--json"])
    assert stop.value.code  # it lies elsewhere now
    assert f"{masks}: there is no such file [file.not_found]" in capsys.readouterr().err
