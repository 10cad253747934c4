"""Everything a data set can hold, from every format to every other: kept, or counted."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st

from folders import draw
from sightline.data import Dataset, Example, Objects, Polygons, Segment, masks, open_dataset, splits
from sightline.data.convert import convert
from sightline.data.formats import FORMATS, KINDS
from sightline.data.pages import labelled
from sightline.errors import DatasetError, SightlineWarning
from sightline.skeletons import skeleton

SIZE = (40, 60)
NAMES = ("cat", "dog", "person", "nobody")
IDS = (3, 7, 8, 20)
POINTS = ("nose", "left_paw", "right_paw")


def rectangle(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


def holed() -> Segment:
    mask = np.zeros(SIZE, bool)
    mask[5:25, 5:30], mask[8:12, 9:15] = True, False
    mask[30:35, 20:30] = True
    return masks.encode(mask)


TWO = Polygons((rectangle(2, 2, 12, 10), rectangle(20, 4, 30, 16)))
OVERLAPPING = Polygons((rectangle(30, 20, 44, 30), rectangle(40, 25, 55, 38)))
ONE = Polygons((np.array([[33, 2], [55, 6], [40, 18]], np.float64),))


def everything(root: Path) -> list[Dataset]:
    """Two splits. Every kind is there, each in objects of its own, so that counts are plain."""
    around = [list(masks.box_of(segment, SIZE)) for segment in (TWO, OVERLAPPING, ONE)]
    first = Objects.of(
        [*around, [5, 5, 30, 35], [1, 1, 9, 9], [31, 3, 32, 9], [10, 20, 25, 33]],
        [0, 0, 1, 2, 2, 1, 0],
        [TWO, OVERLAPPING, ONE, holed(), None, None, None],
        np.zeros((7, 3, 3), np.float32),
    )
    assert first.keypoints is not None
    first.keypoints[4] = [[2, 3, 2], [66, 5, 1], [0, 0, 0]]  # the second lies outside
    first.area[:4] = [masks.area(segment, SIZE) for segment in first.segments[:4] if segment]  # type: ignore[index]
    first.area[6] = 77  # its own
    first.crowd[6], first.difficult[4] = True, True
    first.ids[2] = 99
    second = Objects.of([[4, 4, 30, 30]], [1], [ONE], np.zeros((1, 3, 3), np.float32))
    second.area[:] = masks.area(ONE, SIZE)  # the box is not the one around the mask
    bones = skeleton(POINTS, [(0, 1), (0, 2)])
    names = (("a.png", first), ("b.png", second), ("empty.png", second[[]]))
    rows = [
        Example(draw(root / name, SIZE), number, SIZE, found)
        for number, (name, found) in enumerate(names, 1)
    ]
    return [
        Dataset(tuple(part), NAMES, IDS, bones, "x", root, split)
        for part, split in ((rows[:1], "train"), (rows[1:], "val"))
    ]


EXPECTED = {
    "crowd": 1,
    "difficult": 1,
    "masks": 5,
    "runs": 1,
    "parts": 2,
    "boxes": 1,
    "keypoints": 1,
    "outside": 1,
    "names": 3,
    "limbs": 2,
    "points": 1,
    "area": 1,
    "ids": 1,
    "thin": 1,
    "empty": 1,
    "classes": 1,
    "category_ids": 4,
    "splits": 2,
}
"""What a format that holds nothing of a kind, and all others, loses of `everything`."""

ABOVE = {
    "runs": "masks", "parts": "masks", "boxes": "masks", "names": "keypoints", "points": "names",
    "area": "crowd", "outside": "keypoints",
}  # fmt: skip
"""Kinds that are not lost on their own where another is: that of the crowd goes with it."""


def test_every_kind_is_in_the_data_set() -> None:
    assert EXPECTED.keys() == KINDS.keys()


def held(name: str, datasets: list[Dataset]) -> frozenset[str]:
    """What a format holds of certain data sets."""
    return FORMATS[name].holds - FORMATS[name].lacks(datasets)


@pytest.mark.parametrize("to", FORMATS)
def test_what_a_format_does_not_hold_is_counted(tmp_path: Path, to: str) -> None:
    source = everything(tmp_path / "from")
    holds = held(to, source)
    losses = convert(source, tmp_path / "out", to, images="link")
    wanted = {
        kind: number
        for kind, number in EXPECTED.items()
        if kind not in holds and ABOVE.get(kind, kind) in {*holds, kind}
    }
    if "area" in wanted and "crowd" not in holds:
        del wanted["area"]
    assert losses.to_json() == wanted


def facts(
    datasets: list[Dataset], holds: frozenset[str], moved: bool = False
) -> dict[str, list[tuple[Any, ...]]]:
    """What formats that hold `holds` must keep of each image, in an order of its own; `moved` for
    boxes that became those around the masks.
    """
    answer = {}
    for dataset in datasets:
        for example in dataset:
            rows = [
                _row(example, i, dataset, holds, moved)
                for i in range(len(example.objects))
                if ("crowd" in holds or not example.objects.crowd[i])
                and (
                    "thin" in holds or (np.ptp(example.objects.boxes[i].reshape(2, 2), 0) > 1).all()
                )
            ]
            answer[example.path.name] = sorted(rows, key=str)
    return answer


def _row(
    example: Example, i: int, dataset: Dataset, holds: frozenset[str], moved: bool
) -> tuple[Any, ...]:
    found = example.objects
    segment = None if found.segments is None else found.segments[i]
    box = tuple(round(value, 2) for value in found.boxes[i].tolist())
    if segment is not None and moved:
        box = tuple(round(value, 2) for value in masks.box_of(segment, SIZE))
    pixels = "" if segment is None else masks.to_text(masks.encode(masks.rasterise(segment, SIZE)))
    places = None if found.keypoints is None else found.keypoints[i].copy()
    if places is not None and "outside" not in holds:
        places[places[:, 0] > SIZE[1]] = 0
    points = [] if places is None else places.round(2).tolist()
    seen = sorted(point for point in points if point[2] > 0)
    return (
        dataset.classes[found.labels[i]],
        box,
        pixels if "masks" in holds else None,
        bool(found.crowd[i]) if "crowd" in holds else None,
        bool(found.difficult[i]) if "difficult" in holds else None,
        seen if "keypoints" in holds else None,
        round(float(found.area[i])) if "area" in holds else None,
    )


def every_split(folder: Path) -> list[Dataset]:
    names = splits(folder) or (None,)
    return [open_dataset(folder, name) for name in names]


def moves(holds: frozenset[str]) -> bool:
    """Whether a format has masks, and no boxes of their own beside them."""
    return "masks" in holds and "boxes" not in holds


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_what_both_formats_hold_goes_through_both(tmp_path: Path, first: str, second: str) -> None:
    source = everything(tmp_path / "from")
    convert(source, tmp_path / "one", first, images="link")
    between = every_split(tmp_path / "one")
    convert(between, tmp_path / "two", second, images="link")
    got = every_split(tmp_path / "two")
    one, two = held(first, source), held(second, between)
    both = one & two
    moved = moves(one) or ("masks" in one and moves(two))
    assert facts(got, both) == facts(source, both, moved)
    if "splits" in both:
        assert {d.split for d in got} == {"train", "val"}
    if {"classes", "category_ids"} <= both:
        assert (got[0].classes, got[0].category_ids) == (NAMES, IDS)
    if {"keypoints", "names", "limbs"} <= both:
        assert got[0].skeleton == source[0].skeleton


REAL = {
    "raccoon": ("voc", "val", None),
    "bccd": ("voc", "val", None),
    "pet_heads_yolo": ("yolo", "val", None),
    "coco": ("coco", "val", None),
    "coco masks": ("coco", "val", "annotations/person_masks_val.json"),
    "coco keypoints": ("coco", "val", "annotations/person_keypoints_val.json"),
}


def worst_box(first: Dataset, second: Dataset, moved: bool) -> float:
    """The largest difference of a box's end, objects matched in their order by image."""
    back = {example.path.name: example.objects for example in second}
    worst = 0.0
    for example in first:
        mine, other = example.objects, back[example.path.name]
        mine = mine[~mine.crowd]
        assert first_names(first, mine) == first_names(second, other)
        boxes = mine.boxes
        if moved and mine.segments is not None:
            around = [
                box if segment is None else masks.box_of(segment, example.size)
                for box, segment in zip(boxes, mine.segments, strict=True)
            ]
            boxes = np.clip(np.array(around).reshape(-1, 4), 0, example.size[::-1] * 2)
        if len(boxes):
            worst = max(worst, float(np.abs(boxes - other.boxes).max()))
    return worst


def first_names(dataset: Dataset, objects: Objects) -> list[str]:
    return [dataset.classes[label] for label in objects.labels]


@pytest.mark.parametrize("to", ["labelme", "labelstudio"])
@pytest.mark.parametrize("name", REAL)
def test_real_data_there_and_back(shared: Path, tmp_path: Path, name: str, to: str) -> None:
    origin, split, labels = REAL[name]
    root = shared / "data" / name.split(maxsplit=1)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SightlineWarning)  # bccd's two boxes without area
        data = open_dataset(root, split, root / labels if labels else None, on_bad="skip")
    data = data.subset(range(min(len(data), 40)))
    convert([data], tmp_path / "there", to, images="link")
    there = open_dataset(tmp_path / "there", split)
    convert([there], tmp_path / "back", origin, images="link")
    back = open_dataset(tmp_path / "back", split)
    worst = worst_box(data, back, labels is not None)
    count = sum(len(example.objects) for example in back)
    print(f"{name} → {to} → {origin}: {count} objects, largest error of a box {worst:g} pixels")
    assert worst <= 2e-3
    assert count > 20
    if "masks" in name:
        assert same_pixels(data, back) > 20
    if "keypoints" in name:
        assert same_keypoints(data, back) > 20


def same_keypoints(first: Dataset, second: Dataset) -> int:
    """How many objects have keypoints, each called and placed the same in both."""
    count = 0
    back = {example.path.name: example.objects for example in second}
    for example in first:
        mine, other = example.objects, back[example.path.name]
        mine = mine[~mine.crowd]
        for i in range(len(mine)):
            one, two = labelled(mine, i, first), labelled(other, i, second)
            assert one.keys() == two.keys()
            for name, place in one.items():
                np.testing.assert_allclose(two[name], place, atol=1e-3)
            count += bool(one)
    return count


def same_pixels(first: Dataset, second: Dataset) -> int:
    """How many masks there are, each of the same pixels in both."""
    count = 0
    back = {example.path.name: example.objects for example in second}
    for example in first:
        mine, other = example.objects, back[example.path.name]
        mine = mine[~mine.crowd]
        for one, two in zip(mine.segments or (), other.segments or (), strict=True):
            if one is not None and two is not None:
                pixels = [masks.rasterise(segment, example.size) for segment in (one, two)]
                np.testing.assert_array_equal(*pixels)
                count += 1
    return count


WORDS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("\u2028\x85\x0b\x1c\r\n\t'\"=#:,&<%\x00"),
    min_size=1,
    max_size=6,
).filter(str.strip)


def one(path: Path, label: str, split: str | None) -> Dataset:
    found = Objects.of([[1, 2, 9, 8.5]], [0])
    example = Example(path, path.stem, SIZE, found)
    return Dataset((example,), (label,), (1,), None, "x", path.parent, split)


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=40, deadline=None)
@given(label=WORDS)
@also(label="a\rb")
@also(label="0\r")
@also(label="0\x850")
@also(label="\u2028a\u2029")
def test_any_class_name_comes_back_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, to: str, label: str
) -> None:
    home = tmp_path_factory.mktemp("names")
    try:
        convert([one(draw(home / "a.png", SIZE), label, None)], home / "out", to, images="link")
    except DatasetError as error:
        assert error.code == "convert.name"
        assert not (home / "out").exists()
        return
    again = open_dataset(home / "out")
    assert again.classes == (label,)
    assert again[0].objects.boxes.tolist() == [[1, 2, 9, 8.5]]


FILES = (
    "a b.png", " a.png", "a .png", "a\nb.png", "=a.png", "'a.png", "a,b.png", 'a"b.png', "%20.png",
    "a#b.png", "a?d=b.png", "a+b.png", "ü\u0308.png", "-a.png", "a&b.png", "a\\b.png", "C:a.png",
    "..a.png", "a..png", "0a1b2c3d-a.png", "a\udcff.png", "a\u2028b.png", "a\x1cb.png", "~.png",
    "a.txt.png", "A.PNG",
)  # fmt: skip


@pytest.mark.parametrize("split", [None, "train"])
@pytest.mark.parametrize("to", FORMATS)
def test_any_file_name_comes_back_or_is_refused(tmp_path: Path, to: str, split: str | None) -> None:
    kept = 0
    for number, name in enumerate(FILES):
        path = draw(tmp_path / "from.png", SIZE).rename(tmp_path / name)
        out = tmp_path / f"out{number}"
        try:
            convert([one(path, "cat", split)], out, to, images="link")
        except DatasetError as error:
            assert error.code == "convert.name"
            continue
        again = open_dataset(out)
        assert [e.path.name for e in again] == [name]
        assert again[0].objects.boxes.tolist() == [[1, 2, 9, 8.5]]
        kept += 1
    assert kept >= 16
