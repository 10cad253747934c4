"""Plain CSV, read: headers, sizes, names, and the rows of one image."""

from pathlib import Path

import pytest

from folders import ROTATED, draw
from sightline.data import open_dataset
from sightline.errors import AnnotationError, SightlineWarning

SIZE = (40, 60)


def folder(root: Path, text: str, name: str = "labels.csv") -> Path:
    for image in ("a.png", "b.png"):
        draw(root / "images" / image, SIZE)
    (root / name).write_bytes(text.encode())
    return root


@pytest.mark.parametrize(
    "header",
    [
        "file,x1,y1,x2,y2,label",
        "filename,xmin,ymin,xmax,ymax,class",
        " Path ,XMIN,y1,X2,ymax,Class",
        "image,x1,y1,x2,y2,label",
    ],
)
def test_a_header_is_known_by_any_of_its_names(tmp_path: Path, header: str) -> None:
    dataset = open_dataset(folder(tmp_path, f"\n{header}\n,,,,,\na.png,1,2,9,8,cat\n"))
    assert (len(dataset), dataset.classes) == (1, ("cat",))
    assert dataset[0].objects.boxes.tolist() == [[1, 2, 9, 8]]
    assert dataset[0].size == SIZE


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    text = "note,y2,x2,y1,x1,class,file\nx,8,9,2,1,cat,a.png\n"
    assert open_dataset(folder(tmp_path, text))[0].objects.boxes.tolist() == [[1, 2, 9, 8]]


def test_labels_go_before_annotations(tmp_path: Path) -> None:
    folder(tmp_path, "a.png,1,2,9,8,cat\n")
    folder(tmp_path, "a.png,1,2,9,8,dog\n", "annotations.csv")
    assert open_dataset(tmp_path).classes == ("cat",)


def test_images_may_lie_beside_the_file(tmp_path: Path) -> None:
    root = folder(tmp_path, "c.png,1,2,9,8,cat\n")
    draw(root / "c.png", SIZE)
    assert open_dataset(root)[0].path == root / "c.png"


def test_two_names_of_one_image_are_one_image(tmp_path: Path) -> None:
    text = "a.png,1,2,9,8,cat\nimages/a.png,5,5,9,9,dog\n./a.png,,,,,\nb.png,,,,,\n"
    dataset = open_dataset(folder(tmp_path, text))
    assert [len(example.objects) for example in dataset] == [2, 0]


HEAD = "file,width,height,label,x1,y1,x2,y2\n"


def test_rows_of_one_image_that_disagree_on_its_size(tmp_path: Path) -> None:
    rows = ["a.png,60,40,cat,1,2,9,8", "a.png,060,40,cat,2,2,9,8", "a.png,,,cat,3,2,9,8"]
    for odd in ("61,40", "60,41", "60,", ",40", "40,60"):
        text = HEAD + "\n".join([*rows, f"a.png,{odd},cat,4,2,9,8"])
        root = folder(tmp_path, text)
        with pytest.raises(AnnotationError) as caught:
            open_dataset(root)
        assert (caught.value.code, caught.value.pointer) == ("image.size", "line 5")
        with pytest.warns(SightlineWarning, match=r"image\.size"):
            assert len(open_dataset(root, on_bad="skip")[0].objects) == 3


@pytest.mark.parametrize(
    "size",
    [
        "0,40",
        "60,0",
        "60,",
        ",40",
        "6e1,40",
        "1000000000,40",
        "60.0,40",
        "６０,40",
        "9" * 5000 + ",40",
    ],
)
def test_sizes_that_are_none(tmp_path: Path, size: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        open_dataset(folder(tmp_path, f"{HEAD}b.png,60,40,cat,1,2,9,8\na.png,{size},cat,1,2,9,8\n"))
    assert (caught.value.code, caught.value.pointer) == ("image.size", "line 3")


def test_a_photo_labelled_as_it_was_stored_is_turned(tmp_path: Path) -> None:
    root = folder(tmp_path, f"{HEAD}a.png,60,40,cat,10,5,30,35\n")
    draw(root / "images/a.png", SIZE, ROTATED)
    with pytest.warns(SightlineWarning, match="turned as EXIF says"):
        dataset = open_dataset(root)
    assert dataset[0].objects.boxes.tolist() == [[5, 10, 35, 30]]


def test_a_quote_is_taken_from_what_a_spreadsheet_may_run_alone(tmp_path: Path) -> None:
    rows = ["'=x", "'-x", "'+x", "'@x", "''x", "'x", "x'"]
    text = "".join(f"a.png,1,2,9,{9 + i},{name}\n" for i, name in enumerate(rows))
    assert set(open_dataset(folder(tmp_path, text)).classes) == {
        "=x", "-x", "+x", "@x", "'x", "x'",
    }  # fmt: skip


def test_a_line_ends_with_line_feeds_and_returns_alone(tmp_path: Path) -> None:
    text = 'a.png,1,2,9,8,a\u2028b\r\nb.png,1,2,9,8,"c\rd"\n'
    assert open_dataset(folder(tmp_path, text)).classes == ("a\u2028b", "c\rd")
