"""Converting data sets: what both formats hold comes back, the rest is told."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from folders import draw, voc_folder, voc_object, voc_page
from sightline.bitmaps import trace
from sightline.cli import app
from sightline.data import Dataset, Example, Objects, Polygons, masks, open_dataset, splits
from sightline.data.contours import one_ring, outline
from sightline.data.convert import convert
from sightline.data.formats import FORMATS
from sightline.errors import AnnotationError, DatasetError, SightlineWarning, UsageError

SIZE = (40, 60)
MASKS = st.integers(0, 2**48 - 1).map(
    lambda bits: np.array([bits >> i & 1 for i in range(48)], bool).reshape(6, 8)
)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_an_outline_gives_the_same_pixels_again(mask: np.ndarray) -> None:
    runs = masks.encode(mask)
    np.testing.assert_array_equal(masks.rasterise(outline(runs, (6, 8)), (6, 8)), mask)
    ring = one_ring(runs, (6, 8))
    if ring is None:
        assert not mask.any()
    else:
        np.testing.assert_array_equal(masks.fill_ring(ring, (6, 8)), mask)


def test_outlines_are_of_corners_only_and_holes_turn_the_other_way() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:5, 1:6] = True
    (ring,) = trace(mask)
    assert sorted(ring.tolist()) == [[1, 1], [1, 5], [6, 1], [6, 5]]
    mask[2:4, 2:4] = False
    assert len(trace(mask)) == 2
    assert len(outline(masks.encode(mask), (6, 8)).rings) == 1


def test_overlapping_parts_become_one_ring_of_the_same_pixels() -> None:
    square = np.array([[2, 2], [12, 2], [12, 12], [2, 12]], float)
    both = Polygons((square, square + 5))
    ring = one_ring(both, SIZE)
    assert ring is not None
    np.testing.assert_array_equal(masks.fill_ring(ring, SIZE), masks.rasterise(both, SIZE))


NAMES = ("cat", "=cmd()|' /C calc'!A0", "Straße & <b>", "'quoted, comma")
BOXES = st.tuples(st.integers(0, 90), st.integers(0, 50), st.integers(9, 30), st.integers(9, 30))


ROWS = st.lists(st.tuples(BOXES, st.integers(0, 3), st.booleans()), max_size=4)
Drawn = tuple[tuple[int, int, int, int], int, bool]
"""x, y, width and height in half pixels; class; whether it is difficult."""


def objects(rows: Sequence[Drawn]) -> Objects:
    """Not a strategy: what checks the shapes takes numbers of `random`, which these must not."""
    corners = [[x / 2, y / 2, (x + w) / 2, (y + h) / 2] for (x, y, w, h), _, _ in rows]
    found = Objects.of(corners, [label for _, label, _ in rows])
    found.difficult[:] = [hard for *_, hard in rows]
    return found


def make(root: Path, contents: Sequence[Objects]) -> Dataset:
    examples = []
    for i, found in enumerate(contents):
        path = draw(root / f"b {i} ü.png", SIZE)
        examples.append(Example(path, path.stem, SIZE, found))
    every = Objects.of([[1, 1, 9.5, 9]] * 4, range(4))
    examples.append(Example(draw(root / "all.png", SIZE), "all", SIZE, every))
    return Dataset(tuple(examples), NAMES, (1, 2, 3, 4), None, "x", root, None)


def rows(dataset: Dataset, holds: frozenset[str]) -> dict[str, list[tuple[object, ...]]]:
    answer = {}
    for example in dataset:
        found = example.objects
        answer[example.path.name] = sorted(
            (
                dataset.classes[label],
                *box,
                bool(hard) if "difficult" in holds else None,
            )
            for label, box, hard in zip(
                found.labels, found.boxes.tolist(), found.difficult, strict=True
            )
        )
    return answer


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@settings(max_examples=2, deadline=None)
@given(st.lists(ROWS, max_size=2))
def test_there_and_on_to_another(first: str, second: str, contents: list[list[Drawn]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        dataset = make(home / "from", [objects(found) for found in contents])
        convert([dataset], home / "one", first, images="link")
        convert([open_dataset(home / "one")], home / "two", second, images="link")
        both = FORMATS[first].holds & FORMATS[second].holds
        got, wanted = rows(open_dataset(home / "two"), both), rows(dataset, both)
    assert got.keys() == wanted.keys()
    for name, found in wanted.items():
        assert len(got[name]) == len(found)
        for mine, own in zip(got[name], found, strict=True):
            assert (mine[0], mine[5]) == (own[0], own[5])
            np.testing.assert_allclose(mine[1:5], own[1:5], atol=1e-4)


def test_masks_survive_yolo_to_the_pixel(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, bool)
    mask[5:20, 5:30], mask[8:12, 9:15] = True, False
    mask[30:35, 40:50] = True
    found = Objects.of([[5, 5, 50, 35]], [0], [masks.encode(mask)])
    dataset = replace(make(tmp_path / "from", []), classes=NAMES)
    example = replace(dataset[0], objects=found)
    losses = convert([replace(dataset, examples=(example,))], tmp_path / "yolo", "yolo")
    assert losses.to_json()["runs"] == 1
    (segment,) = open_dataset(tmp_path / "yolo")[0].objects.segments or ()
    assert segment is not None
    np.testing.assert_array_equal(masks.rasterise(segment, SIZE), mask)


def test_what_is_lost_is_counted_and_strict_refuses(tmp_path: Path) -> None:
    dataset = make(tmp_path / "from", [])
    found = Objects.of([[5, 5, 50, 35], [1, 1, 9, 9], [3, 3, 4, 9]], [0, 1, 0])
    found.crowd[0], found.difficult[1] = True, True
    dataset = replace(dataset, examples=(replace(dataset[0], objects=found),))
    with pytest.raises(DatasetError) as caught:
        convert([dataset], tmp_path / "out", "voc", strict=True)
    assert caught.value.code == "convert.loss"
    assert not (tmp_path / "out").exists()
    assert convert([dataset], tmp_path / "voc", "voc").to_json() == {
        "crowd": 1,
        "thin": 1,
        "classes": 3,
    }
    assert convert([dataset], tmp_path / "csv", "csv").to_json()["difficult"] == 1
    assert not convert([dataset], tmp_path / "coco", "coco", strict=True)
    assert open_dataset(tmp_path / "coco")[0].objects.crowd.tolist() == [True, False, False]


def test_images_are_copied_linked_or_left_and_nothing_is_overwritten(tmp_path: Path) -> None:
    dataset = make(tmp_path / "from", [])
    source = dataset[0].path
    before = hashlib.sha256(source.read_bytes()).digest()
    convert([dataset], tmp_path / "a", "voc")
    convert([dataset], tmp_path / "b", "voc", images="link")
    convert([dataset], tmp_path / "c", "voc", images="none")
    copy = tmp_path / "a/JPEGImages/all.png"
    assert hashlib.sha256(copy.read_bytes()).digest() == before
    assert (tmp_path / "b/JPEGImages/all.png").samefile(source)
    assert not (tmp_path / "c/JPEGImages").exists()
    with pytest.raises(DatasetError) as caught:
        convert([dataset], tmp_path / "a", "coco")
    assert caught.value.code == "convert.not_empty"
    for wrong in ({"to": "paper"}, {"to": "voc", "images": "move"}):
        with pytest.raises(UsageError):
            convert([dataset], tmp_path / "d", **wrong)  # type: ignore[arg-type]


HEAD = "file,width,height,label,x1,y1,x2,y2\n"
FAULTS = {
    "csv.syntax": HEAD + 'a.png,60,40,"cat,1,1,9,9\n',
    "csv.header": "file,label,x1\na.png,cat,1\n",
    "csv.columns": HEAD + "a.png,60,40,cat,1,1,9\n",
    "box.format": HEAD + "a.png,60,40,cat,1,1,nan,9\n",
    "box.degenerate": HEAD + "a.png,60,40,cat,9,1,1,9\n",
    "box.outside": HEAD + "a.png,60,40,cat,100,1,120,9\n",
    "category.name": HEAD + "a.png,60,40,,1,1,9,9\n",
    "image.size": HEAD + "a.png,60,-4,cat,1,1,9,9\n",
    "image.missing": HEAD + "b.png,60,40,cat,1,1,9,9\n",
    "file.outside": HEAD + "../a.png,60,40,cat,1,1,9,9\n",
    "file.name": HEAD + ",60,40,cat,1,1,9,9\n",
}


@pytest.mark.parametrize("code", FAULTS)
def test_faults_of_csv(tmp_path: Path, code: str) -> None:
    draw(tmp_path / "images" / "a.png", SIZE)
    draw(tmp_path / "images" / "c.png", SIZE)
    (tmp_path / "labels.csv").write_text(FAULTS[code] + "c.png,60,40,cat,1,1,9,9\n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path)
    assert caught.value.code == code
    if code not in ("csv.syntax", "csv.header"):
        assert caught.value.pointer == "line 2"
        with pytest.warns(SightlineWarning, match=code):
            assert "c" in {e.image_id for e in open_dataset(tmp_path, on_bad="skip")}


def test_csv_without_a_header(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", SIZE)
    draw(tmp_path / "images" / "b.png", SIZE)
    (tmp_path / "annotations.csv").write_text("images/a.png,1,2,9,8,cow\nimages/b.png,,,,,\n")
    dataset = open_dataset(tmp_path)
    assert [len(example.objects) for example in dataset] == [1, 0]
    assert dataset[0].objects.boxes.tolist() == [[1, 2, 9, 8]]
    assert dataset.classes == ("cow",)


def test_no_cell_begins_like_a_formula(tmp_path: Path) -> None:
    convert([make(tmp_path / "from", [])], tmp_path / "out", "csv")
    text = (tmp_path / "out/labels.csv").read_text()
    assert "'=cmd()" in text
    assert ",=" not in text
    assert set(open_dataset(tmp_path / "out").classes) == set(NAMES)


def test_the_verb(tmp_path: Path) -> None:
    source = voc_folder(tmp_path / "voc", a=voc_page(voc_object("cat", (5, 5, 20, 20))))
    out = tmp_path / "out"
    arguments = ["convert", str(source), "--to", "yolo", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "out": str(out),
        "format": "yolo",
        "images": 1,
        "losses": {},
    }
    assert open_dataset(out)[0].objects.boxes.tolist() == [[4, 4, 20, 20]]


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", ["bccd", "pet_heads_yolo"])
def test_real_data_there_and_back(shared: Path, tmp_path: Path, name: str, to: str) -> None:
    folder = shared / "data" / name
    origin = "voc" if name == "bccd" else "yolo"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SightlineWarning)  # bccd's two boxes without area
        data = open_dataset(folder, splits(folder)[1], on_bad="skip")
    data = data.subset(range(6))
    convert([data], tmp_path / "there", to, images="link")
    convert([open_dataset(tmp_path / "there")], tmp_path / "back", origin, images="link")
    back = {example.path.name: example.objects for example in open_dataset(tmp_path / "back")}
    worst = max(
        float(np.abs(np.sort(e.objects.boxes, 0) - np.sort(back[e.path.name].boxes, 0)).max())
        for e in data
        if len(e.objects)
    )
    print(f"{name} → {to} → {origin}: largest error of a box {worst:g} pixels")
    assert worst <= 2e-4


def test_a_box_that_leaves_its_image_is_cut_and_told(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.jpg", (40, 60))
    (tmp_path / "labels.csv").write_text("file,label,x1,y1,x2,y2\na.jpg,cat,50,5,90,30\n")
    with pytest.warns(SightlineWarning, match=r"box\.clipped"):
        dataset = open_dataset(tmp_path)
    assert dataset[0].objects.boxes.tolist() == [[50, 5, 60, 30]]
    (told,) = dataset.repaired
    assert (told.code, told.pointer) == ("box.clipped", "line 2")


def test_splits_get_the_names_that_yolo_looks_for(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "in", **{s: voc_page(filename=f"{s}.jpg") for s in "abc"})
    page = voc_page(voc_object("cat", (10, 5, 30, 20)), filename="a.jpg")
    (root / "Annotations" / "a.xml").write_text(page)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, stem in (("train2017", "a"), ("valid", "b"), ("test-dev", "c")):
        (lists / f"{name}.txt").write_text(f"{stem}\n")
    out = tmp_path / "out"
    convert([open_dataset(root, name) for name in splits(root)], out, "yolo")
    assert sorted(splits(out)) == ["test", "train", "val"]
    assert [e.path.name for e in open_dataset(out, "val")] == ["b.jpg"]
    for name in ("validation", "shelf"):
        (lists / f"{name}.txt").write_text("c\n")
        (lists / "test-dev.txt").unlink(missing_ok=True)
        parts = [open_dataset(root, split) for split in ("valid", name)]
        with pytest.raises(DatasetError, match=f"no place for the split '{name}'") as caught:
            convert(parts, tmp_path / name, "yolo")
        assert caught.value.code == "convert.name"
        assert not (tmp_path / name).exists()
