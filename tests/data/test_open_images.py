"""OpenImages' CSV: read, checked, written."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from folders import draw
from sightline.data import Dataset, Example, Objects, open_dataset, splits
from sightline.data.convert import convert
from sightline.data.formats.open_images_rows import LINE, is_open_images, table
from sightline.errors import AnnotationError, DatasetError, SightlineWarning

SIZE = (40, 60)
HEAD = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
ROW = "{},xclick,{},1,0.25,0.75,0.1,0.5,0,1,{},0,0\n"
NAMES = "/m/dog,Dog\n/m/cat,Cat\n/m/cow,Cow\n"


def folder(root: Path, names: str | None = NAMES, **files: str) -> Path:
    """A file of boxes for each split, and the images a and b in each split's folder."""
    root.mkdir(parents=True, exist_ok=True)
    for split, rows in files.items():
        (root / f"{split}-annotations-bbox.csv").write_text(HEAD + rows)
        for name in ("a", "b"):
            draw(root / "images" / split / f"{name}.jpg", SIZE)
    if names is not None:
        (root / "class-descriptions-boxable.csv").write_text(names)
    return root


def test_boxes_groups_and_images_without_rows(tmp_path: Path) -> None:
    rows = (
        ROW.format("a", "/m/cat", 0) + ROW.format("a", "/m/dog", 1) + ROW.format("a", "/m/cat", -1)
    )
    dataset = open_dataset(folder(tmp_path, train=rows))
    assert dataset.classes == ("Dog", "Cat")
    objects = dataset[0].objects
    np.testing.assert_allclose(objects.boxes, [[15, 4, 45, 20]] * 3)
    assert objects.labels.tolist() == [1, 0, 1]
    assert objects.crowd.tolist() == [False, True, False]
    assert [example.path.name for example in dataset] == ["a.jpg", "b.jpg"]
    assert len(dataset[1].objects) == 0


def test_splits_have_the_classes_of_all(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        train=ROW.format("a", "/m/cat", 0),
        validation=ROW.format("b", "/m/dog", 0),
        test=ROW.format("a", "/m/dog", 0) + "b,x,/m/cow,1,nan,1,0,1,0,0,0,0,0\n",
    )
    assert splits(root) == ("train", "validation", "test")
    train, val = (open_dataset(root, split=split) for split in ("train", "val"))
    assert train.classes == val.classes == ("Dog", "Cat", "Cow")
    assert [len(example.objects) for example in val] == [1, 0]
    (root / "train-annotations-bbox.csv").rename(root / "oidv6-train-annotations-bbox.csv")
    assert splits(root) == ("train", "validation", "test")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "box.format"


def test_a_shared_folder_and_labels_without_descriptions(tmp_path: Path) -> None:
    root = tmp_path / "x"
    for name in ("a", "b", "c"):
        draw(root / "images" / f"{name}.png", SIZE)
    (root / "train-annotations-bbox.csv").write_text(HEAD + ROW.format("a", "/m/cat", 0))
    (root / "test-annotations-bbox.csv").write_text(HEAD + ROW.format("b", "/m/dog", 0))
    train = open_dataset(root, "train")
    assert train.classes == ("/m/cat", "/m/dog")
    assert [example.path.name for example in train] == ["a.png"]
    assert [fault.code for fault in train.notes] == ["image.unlabelled"]
    assert [example.path.name for example in open_dataset(root)] == ["a.png", "b.png", "c.png"]
    alone = open_dataset(root / "test-annotations-bbox.csv")
    assert {example.path.name for example in alone} == {"a.png", "b.png", "c.png"}


def test_images_in_folders_of_the_split_beside_the_file(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "a.jpg", SIZE)
    draw(tmp_path / "train" / "b.jpg", SIZE)
    draw(tmp_path / "logo.png", SIZE)
    (tmp_path / "train-annotations-bbox.csv").write_text(HEAD + ROW.format("a", "cat", 0))
    assert {example.path.name for example in open_dataset(tmp_path)} == {"a.jpg", "b.jpg"}
    draw(tmp_path / "elsewhere" / "a.jpg", SIZE)
    assert len(open_dataset(tmp_path, images=tmp_path / "elsewhere")) == 1


@pytest.mark.parametrize("name", ["labels.csv", "annotations.csv", "boxes.csv"])
def test_the_header_tells_it_from_plain_csv(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "images" / "a.jpg", SIZE)
    header = '\ufeff"imageid",LabelName,XMin,YMin,XMax,YMax\r\n'
    (tmp_path / name).write_text(header + "a,cat,0.25,0.1,0.75,0.5\r\n")
    dataset = open_dataset(tmp_path)
    np.testing.assert_allclose(dataset[0].objects.boxes, [[15, 4, 45, 20]])
    assert splits(tmp_path) == ()


BOX = "a,xclick,/m/cat,{},{},0.75,0.1,0.5,0,0,{},0,0\n"
ROWS = {
    "csv.columns": ["a,xclick,/m/cat,1\n"],
    "box.format": [BOX.format(1, "nan", 0), BOX.format(1, "1e999", 0), BOX.format(1, "", 0)],
    "box.range": [BOX.format(1, "15", 0), BOX.format(1, "-0.5", 0), BOX.format(1, "1e300", 0)],
    "box.degenerate": [BOX.format(1, "0.75", 0), BOX.format(1, "0.9", 0)],
    "box.confidence": [BOX.format(0, 0.1, 0), BOX.format("nan", 0.1, 0), BOX.format(2, 0.1, 0)],
    "crowd": [BOX.format(1, 0.1, 2), BOX.format(1, 0.1, "yes")],
    "category.name": [ROW.format("a", " ", 0)],
    "annotation.category": [ROW.format("a", "/m/fox", 0)],
    "image.missing": [ROW.format("z", "/m/cat", 0), ROW.format("sub/a", "/m/cat", 0)],
    "file.outside": [ROW.format("../a", "/m/cat", 0), ROW.format("/etc/passwd", "/m/cat", 0)],
    "file.name": [ROW.format("", "/m/cat", 0)],
}


@pytest.mark.parametrize(("code", "row"), [(c, row) for c in ROWS for row in ROWS[c]])
def test_bad_rows(tmp_path: Path, code: str, row: str) -> None:
    root = folder(tmp_path, train=ROW.format("a", "/m/cat", 0) + row)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert (caught.value.code, caught.value.pointer) == (code, "line 3")
    assert str(caught.value.path).endswith("train-annotations-bbox.csv")
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(root, on_bad="skip")
    assert [len(example.objects) for example in dataset] == [1, 0]


def test_what_rounding_costs_is_cut_without_a_word(tmp_path: Path) -> None:
    rows = "a,xclick,/m/cat,1e-9,-0.001,1.0009,0,1,0,0,0,0,0\n"
    objects = open_dataset(folder(tmp_path / "in", train=rows))[0].objects
    assert objects.boxes.tolist() == [[0, 0, 60, 40]]
    for ends in ("-0.0011,1,0,1", "0,1.0011,0,1", "0,1,-0.0011,1", "0,1,0,1.0011"):
        root = folder(tmp_path / ends, train=f"a,xclick,/m/cat,1,{ends},0,0,0,0,0\n")
        with pytest.raises(AnnotationError) as caught:
            open_dataset(root)
        assert caught.value.code == "box.range"


def test_train_is_the_first_split(tmp_path: Path) -> None:
    row = ROW.format("a", "/m/cat", 0)
    names = ("zoo", "test", "validation", "val", "train")
    root = folder(tmp_path, **dict.fromkeys(names, row))
    assert splits(root) == ("train", "val", "validation", "test", "zoo")
    file = root / "oidv6-human-annotations-human-bbox.csv"
    file.write_text(HEAD + row)
    draw(root / "images" / "human" / "a.jpg", SIZE)
    assert splits(root) == ("train", "val", "validation", "test", "human", "zoo")


def test_descriptions_of_the_boxable_classes_go_first(tmp_path: Path) -> None:
    root = folder(tmp_path, None, train=ROW.format("a", "/m/cat", 0))
    (root / "annotations").mkdir()
    (root / "annotations" / "class-descriptions.csv").write_text("/m/cat,All cats\n")
    assert open_dataset(root).classes == ("All cats",)
    (root / "class-descriptions-boxable.csv").write_text("/m/cat,Cat\n")
    (root / "class-descriptions-boxable.txt").write_text("/m/cat,No table\n")
    assert open_dataset(root).classes == ("Cat",)


def test_a_file_is_known_by_its_name_or_its_header(tmp_path: Path) -> None:
    named = tmp_path / "val-annotations-bbox.csv"
    named.write_text("ImageID,Label,XMin\n")
    assert is_open_images(named)
    other = tmp_path / "mine.csv"
    for header, known in (
        ("ImageID,LabelName,XMin", True),
        ("ImageID,LabelName,Source", False),
        ("ImageID,XMin,YMin", False),
        ("LabelName,XMin,YMin", False),
    ):
        other.write_text(header + "\n")
        assert is_open_images(other) == known
    assert not is_open_images(named.rename(tmp_path / "val-annotations-bbox.txt"))
    assert not is_open_images(tmp_path / "none.csv")


def test_a_missing_image_is_told_once(tmp_path: Path) -> None:
    root = folder(tmp_path, train=ROW.format("z", "/m/cat", 0) * 3)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert len(caught.value.faults) == 1
    assert "images/train" in str(caught.value.hint)


def test_two_images_of_one_name_and_one_image_in_two_splits(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", train=ROW.format("a", "/m/cat", 0))
    draw(root / "images/train/a.png", SIZE)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "image.ambiguous"
    root = tmp_path / "y"
    draw(root / "images/a.png", SIZE)
    for split in ("train", "test"):
        (root / f"{split}-annotations-bbox.csv").write_text(HEAD + ROW.format("a", "cat", 0))
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "image.duplicate_file"
    assert len(open_dataset(root, "test")) == 1


HEADERS = {
    "csv.header": HEAD.replace("YMax", "Ymox"),
    "csv.syntax": HEAD + 'a,"x\n',
    "file.encoding": HEAD.encode() + b"\xff\xfe,x\n",
}


@pytest.mark.parametrize("code", HEADERS)
def test_bad_files(tmp_path: Path, code: str) -> None:
    root = folder(tmp_path, train="", test=ROW.format("a", "/m/cat", 0))
    text = HEADERS[code]
    raw = text if isinstance(text, bytes) else (text + ROW.format("a", "/m/cat", 0)).encode()
    (root / "train-annotations-bbox.csv").write_bytes(raw)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, "train")
    assert caught.value.code == code
    test = open_dataset(root, "test")
    assert len(test[0].objects) == 1
    assert [fault.code for fault in test.notes] == [code]


DESCRIPTIONS = {
    "csv.columns": "/m/cat,Cat,more\n",
    "category.name": "/m/cat, \n",
    "category.duplicate_id": "/m/cat,Cat\n/m/cat,Dog\n",
    "category.duplicate_name": "/m/cat,Cat\n/m/dog,Cat\n",
}


@pytest.mark.parametrize("code", DESCRIPTIONS)
def test_bad_descriptions(tmp_path: Path, code: str) -> None:
    rows = ROW.format("a", "/m/cat", 0) + ROW.format("a", "/m/dog", 0)
    root = folder(tmp_path, "LabelName,DisplayName\n" + DESCRIPTIONS[code], train=rows)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root, on_bad="skip" if code == "category.duplicate_name" else "error")
    assert caught.value.code == code
    assert str(caught.value.path).endswith("class-descriptions-boxable.csv")
    assert str(caught.value.pointer).startswith("line ")


def test_equal_names_of_labels_that_nobody_uses_do_no_harm(tmp_path: Path) -> None:
    names = NAMES + "/m/other,Dog\n"
    assert open_dataset(folder(tmp_path, names, train=ROW.format("a", "/m/cat", 0))).classes == (
        "Cat",
    )


def test_no_rows_at_all(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder(tmp_path, train=""))
    assert caught.value.code == "dataset.empty"


def made(root: Path, name: str = "=cmd.png") -> Dataset:
    found = Objects.of([[5, 5, 50, 35], [1 / 3, 1, 9, 40]], [0, 1])
    found.crowd[1], found.difficult[0] = True, True
    example = Example(draw(root / name, SIZE), "a", SIZE, found)
    empty = Example(draw(root / "empty.png", SIZE), "b", SIZE, Objects.of([], []))
    classes = ("=HYPERLINK(1)", "cat, fat", "never")
    return Dataset((example, empty), classes, (1, 2, 3), None, "x", root, "train")


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    dataset = made(tmp_path / "from")
    losses = convert([dataset], tmp_path / "out", "openimages").to_json()
    assert losses == {"difficult": 1, "classes": 1}
    back = open_dataset(tmp_path / "out", "train")
    assert back.classes == dataset.classes[:2]
    assert [example.path.name for example in back] == ["=cmd.png", "empty.png"]
    np.testing.assert_allclose(back[0].objects.boxes, dataset[0].objects.boxes, atol=1e-5)
    assert back[0].objects.crowd.tolist() == [False, True]
    assert len(back[1].objects) == 0
    for path in (tmp_path / "out").glob("*.csv"):
        text = path.read_text()
        assert not any(
            cell.startswith("=") for line in text.split("\n") for cell in line.split(",")
        )
        assert "=" in text


@pytest.mark.parametrize("split", ["a/b", "oidv6-x", ".x"])
def test_splits_that_a_file_name_cannot_tell(tmp_path: Path, split: str) -> None:
    dataset = replace(made(tmp_path / "from"), split=split)
    with pytest.raises(DatasetError) as caught:
        convert([dataset], tmp_path / "out", "openimages", images="none")
    assert caught.value.code == "convert.name"


@pytest.mark.parametrize("to", ["openimages", "cvat"])
def test_real_raccoons_and_coco_there_and_back(shared: Path, tmp_path: Path, to: str) -> None:
    for name in ("raccoon", "coco"):
        data = open_dataset(shared / "data" / name, "val")
        data = data.subset(range(20))
        convert([data], tmp_path / name, to, images="link")
        back = {example.path.name: example.objects for example in open_dataset(tmp_path / name)}
        worst = 0.0
        for example in data:
            mine, theirs = example.objects, back[example.path.name]
            worst = max(worst, float(np.abs(mine.boxes - theirs.boxes).max(initial=0)))
            np.testing.assert_array_equal(mine.crowd, theirs.crowd)
        print(f"{name} → {to}: largest error of a box {worst:g} pixels")
        assert worst <= 1e-4


def test_the_first_byte_that_is_no_text(tmp_path: Path) -> None:
    """However far it is into the file, and where a character is cut off at its end."""
    file = tmp_path / "train-annotations-bbox.csv"
    cut = "ä".encode()[:1]
    for begin, bad in ((0, b"\xff"), (0, cut), (LINE - 2, cut), (LINE + 5, b"\xff")):
        text = HEAD.encode() + b"x,\n" * (begin // 3)
        file.write_bytes(b"\xef\xbb\xbf" + text + bad)
        with pytest.raises(AnnotationError) as caught:
            list(table(file))
        assert (caught.value.code, caught.value.path) == ("file.encoding", str(file))
        assert caught.value.pointer == f"byte {3 + len(text)}"


def test_a_large_table_is_never_in_memory(tmp_path: Path) -> None:
    """32 MiB of rows in less than two, and a line without an end in a few."""
    file, width = tmp_path / "train-annotations-bbox.csv", 20_000
    row = ROW.format("a", "/m/cat", 0).strip() + f',"{"x" * width}"\n'
    with file.open("w") as stream:
        stream.write(HEAD.strip() + ",Note\n")
        for _ in range((32 << 20) // len(row)):
            stream.write(row)
    tracemalloc.start()
    try:
        count = sum(1 for _ in table(file))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
        assert count == (32 << 20) // len(row) + 1
        with file.open("wb") as stream:
            stream.truncate(32 << 20)  # a single line of zeros
        with pytest.raises(AnnotationError) as caught:
            list(table(file))
        assert (caught.value.code, caught.value.pointer) == ("csv.syntax", "line 1")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
