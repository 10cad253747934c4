"""Reading YOLO's text labels."""

from pathlib import Path

import numpy as np
import pytest

from folders import ROTATED, draw, yolo_folder
from sightline.data import Polygons, open_dataset, splits
from sightline.errors import AnnotationError, SightlineWarning

BOX = "0 0.5 0.5 0.5 0.25"


def test_boxes_outlines_and_images_without_labels(tmp_path: Path) -> None:
    outline = "1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"
    root = yolo_folder(tmp_path, a=f"{BOX}\n\n{outline}\n", b=None, c="")
    dataset = open_dataset(root, split="train")
    assert [len(example.objects) for example in dataset] == [2, 0, 0]
    objects = dataset[0].objects
    np.testing.assert_allclose(objects.boxes, [[15, 15, 45, 25], [6, 4, 30, 20]])
    assert objects.labels.tolist() == [0, 1]
    assert objects.segments is not None
    assert objects.segments[0] is None
    assert isinstance(objects.segments[1], Polygons)
    assert objects.area.tolist() == [300, 24 * 16]
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (0, 1)


def test_shares_are_of_the_upright_image(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, a=BOX)
    draw(root / "images" / "train" / "a.jpg", (40, 60), ROTATED)
    dataset = open_dataset(root)
    assert dataset[0].size == (60, 40)
    np.testing.assert_allclose(dataset[0].objects.boxes, [[10, 22.5, 30, 37.5]])


LINES = {
    "yolo.class": ["2 0.5 0.5 0.5 0.5", "0.0 0.5 0.5 0.5 0.5", "-1 0.5 0.5 0.5 0.5"],
    "yolo.range": ["0 30 20 10 10", "0 0.5 1.2 0.1 0.1"],
    "yolo.number": ["0 a 0.5 0.5 0.5", "0 nan 0.5 0.5 0.5"],
    "yolo.columns": ["0 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.5 0.9", "0"],
    "box.degenerate": ["0 0.5 0.5 0 0.5"],
}


@pytest.mark.parametrize(("code", "line"), [(c, line) for c in LINES for line in LINES[c]])
def test_bad_lines(tmp_path: Path, code: str, line: str) -> None:
    root = yolo_folder(tmp_path, a=f"{BOX}\n{line}\n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == code
    assert caught.value.pointer == "line 2"
    assert str(caught.value.path).endswith("labels/train/a.txt")
    if code.startswith("yolo."):
        assert caught.value.faults[0].hint  # type: ignore[attr-defined]
    with pytest.warns(SightlineWarning, match=code):
        assert len(open_dataset(root, on_bad="skip")[0].objects) == 1


def test_two_images_of_one_name_and_labels_without_image(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, a=BOX)
    draw(root / "images" / "train" / "a.png")
    (root / "labels" / "train" / "lost.txt").write_text(BOX)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    codes = [fault.code for fault in caught.value.faults]  # type: ignore[attr-defined]
    assert codes == ["image.ambiguous", "image.missing"]


HEAD = "train: images/train\n"
CONFIGS = {
    "yaml.download": HEAD + "names: [a]\ndownload: |\n  import os; os.system('touch canary')\n",
    "yaml.alias": HEAD + "x: &x [1]\ny: *x\nnames: [a]\n",
    "yaml.syntax": HEAD + "names: [a\n",
    "yaml.twice": HEAD + "names: {0: a, 0: b}\n",
    "yaml.object": "- names\n",
    "category.none": HEAD + "names: []\n",
    "category.count": HEAD + "nc: 3\nnames: [a]\n",
    "category.duplicate_name": HEAD + "names: [a, a]\n",
    "category.id": HEAD + "names: {x: a}\n",
    "file.outside": "train: /etc\nnames: [a]\n",
}


@pytest.mark.parametrize("code", CONFIGS)
def test_bad_configurations(tmp_path: Path, code: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        open_dataset(yolo_folder(tmp_path, CONFIGS[code], a=BOX))
    assert caught.value.code == code


def test_python_tags_are_not_run(tmp_path: Path) -> None:
    text = HEAD + "names: !!python/object/apply:os.system ['touch canary']\n"
    with pytest.raises(AnnotationError) as caught:
        open_dataset(yolo_folder(tmp_path, text, a=BOX))
    assert caught.value.code == "yaml.syntax"


def test_gaps_in_ids_lists_of_files_and_exporters_paths(tmp_path: Path) -> None:
    text = "path: /somebody/elsewhere\ntrain: ../images/train\nval: val.txt\nnames: {5: a, 2: b}\n"
    root = yolo_folder(tmp_path, text, a="5 0.5 0.5 0.5 0.5", b="2 0.5 0.5 0.5 0.5")
    (root / "val.txt").write_text("./images/train/b.jpg\n")
    assert splits(root) == ("train", "val")
    train, val = (open_dataset(root, split=split) for split in ("train", "val"))
    assert (train.classes, train.category_ids) == (("b", "a"), (2, 5))
    assert [example.objects.labels.tolist() for example in train] == [[1], [0]]
    assert len(val) == 1
    assert len(open_dataset(root)) == 2
    (root / "val.txt").write_text("../x.jpg\n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, split="val")
    assert (caught.value.code, caught.value.pointer) == ("file.outside", "line 1")


@pytest.mark.parametrize(("split", "images", "objects"), [("train", 225, 225), ("val", 71, 72)])
def test_the_real_pet_heads(shared: Path, split: str, images: int, objects: int) -> None:
    dataset = open_dataset(shared / "data/pet_heads_yolo", split=split)
    assert len(dataset) == images
    assert sum(len(example.objects) for example in dataset) == objects
    assert dataset.classes == ("cat_head", "dog_head")
