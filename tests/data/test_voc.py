"""Reading Pascal VOC."""

from pathlib import Path

import numpy as np
import pytest

from folders import ROTATED, draw, voc_folder, voc_object, voc_page
from sightline.data import open_dataset, splits
from sightline.errors import AnnotationError, DatasetError, SightlineWarning


def test_boxes_count_from_one_with_both_ends(tmp_path: Path) -> None:
    page = voc_page(
        voc_object("dog", (1, 1, 60, 40)), voc_object("cat", ("10.0", 5, 20, 30), difficult=1)
    )
    dataset = open_dataset(voc_folder(tmp_path, a=page, b=voc_page(filename="b.jpg")))
    assert dataset.classes == ("cat", "dog")
    objects = dataset[0].objects
    assert objects.boxes.tolist() == [[0, 0, 60, 40], [9, 4, 20, 30]]
    assert objects.labels.tolist() == [1, 0]
    assert objects.difficult.tolist() == [False, True]
    assert len(dataset[1].objects) == 0


def test_classes_are_those_of_the_folder_not_of_the_split(tmp_path: Path) -> None:
    box = (5, 5, 20, 20)
    root = voc_folder(
        tmp_path,
        a=voc_page(voc_object("zebra", box)),
        b=voc_page(voc_object("ant", box), filename="b.jpg"),
    )
    main = root / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("a\n")
    (main / "val.txt").write_text("b\n\n")
    (main / "ant_val.txt").write_text("b  1\n")
    assert splits(root) == ("train", "val")
    train, val = (open_dataset(root, split=split) for split in ("train", "val"))
    assert train.classes == val.classes == ("ant", "zebra")
    assert [example.image_id for example in val] == ["b"]
    (main / "val.txt").write_text("b\nmissing\n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, split="val")
    assert (caught.value.code, caught.value.pointer) == ("image.unlabelled", "line 2")


def test_vocs_own_classes_keep_their_order(tmp_path: Path) -> None:
    box = (5, 5, 20, 20)
    page = voc_page(*(voc_object(name, box) for name in ("tvmonitor", "person", "aeroplane")))
    assert open_dataset(voc_folder(tmp_path, a=page)).classes == (
        "aeroplane",
        "person",
        "tvmonitor",
    )


OBJECT_FAULTS = {
    "box.degenerate": (20, 5, 20, 30),
    "box.swapped": (20, 5, 10, 30),
    "box.outside": (100, 5, 120, 30),
    "box.format": ("nan", 5, 20, 30),
}


@pytest.mark.parametrize("code", OBJECT_FAULTS)
def test_bad_objects(tmp_path: Path, code: str) -> None:
    page = voc_page(
        voc_object("cat", (5, 5, 20, 20)), "\n\n", voc_object("dog", OBJECT_FAULTS[code])
    )
    root = voc_folder(tmp_path, a=page)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == code
    assert caught.value.pointer == "object 2 ('dog'), line 3"
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(root, on_bad="skip")
    assert len(dataset[0].objects) == 1


ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))
PAGE_FAULTS = {
    "xml.forbidden": f'<!DOCTYPE x [<!ENTITY e0 "x">{ENTITIES}]><annotation>&e8;</annotation>',
    "xml.size": "<annotation>" + "<a>" * 200_000,
    "xml.syntax": "<annotation><object>",
    "xml.root": "<html></html>",
    "file.outside": voc_page(filename="../../etc/passwd"),
    "image.size": voc_page(size=(40, 61)),
}


@pytest.mark.parametrize("code", PAGE_FAULTS)
def test_bad_pages(tmp_path: Path, code: str) -> None:
    good = voc_page(voc_object("cat", (5, 5, 20, 20)), filename="b.jpg")
    root = voc_folder(tmp_path, a=PAGE_FAULTS[code], b=good)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == code
    with pytest.warns(SightlineWarning, match=code):
        assert len(open_dataset(root, on_bad="skip")) == 1


def test_an_external_entity_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("cat")
    page = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>' + voc_page(
        voc_object("&x;", (5, 5, 20, 20))
    )
    with pytest.raises(AnnotationError) as caught:
        open_dataset(voc_folder(tmp_path / "set", a=page))
    assert caught.value.code == "xml.forbidden"


def test_missing_size_and_file_name(tmp_path: Path) -> None:
    page = voc_page(voc_object("cat", (5, 5, 20, 20)), filename="other", size=(0, 0))
    dataset = open_dataset(voc_folder(tmp_path, a=page))
    assert dataset[0].size == (40, 60)
    assert dataset[0].path.name == "a.jpg"
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path)
    assert caught.value.code == "image.missing"


def test_a_photo_labelled_as_it_was_stored(tmp_path: Path) -> None:
    root = voc_folder(tmp_path, a=voc_page(voc_object("cat", (11, 6, 30, 35))))
    draw(root / "JPEGImages" / "a.jpg", (40, 60), ROTATED)
    with pytest.warns(SightlineWarning, match="turned as EXIF says"):
        dataset = open_dataset(root)
    assert dataset[0].size == (60, 40)
    np.testing.assert_allclose(dataset[0].objects.boxes, [[5, 10, 35, 30]])


def test_nothing_but_empty_pages(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset(voc_folder(tmp_path, a=voc_page()))
    assert caught.value.code == "dataset.empty"


@pytest.mark.parametrize(("split", "images"), [("train", 158), ("val", 42), (None, 200)])
def test_the_real_raccoons(shared: Path, split: str | None, images: int) -> None:
    dataset = open_dataset(shared / "data/raccoon", split=split)
    assert len(dataset) == images
    assert dataset.classes == ("raccoon",)


def test_the_real_blood_cells_hold_two_bad_boxes(shared: Path) -> None:
    folder = shared / "data/bccd"
    with pytest.raises(AnnotationError) as caught:
        open_dataset(folder)
    assert len(caught.value.faults) == 2
    with pytest.warns(SightlineWarning, match=r"box\.degenerate × 2"):
        dataset = open_dataset(folder, on_bad="skip")
    assert len(dataset) == 364
    assert sum(len(example.objects) for example in dataset) == 4888 - 2
    assert dataset.classes == ("Platelets", "RBC", "WBC")
