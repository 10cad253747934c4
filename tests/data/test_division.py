"""Dividing data sets: real ones and small ones, what is told of them, and what is refused."""

import json
import random
import warnings
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from folders import coco_folder, coco_labels, draw
from sightline.data import Dataset, Example, Objects, open_dataset, splits
from sightline.data.convert import convert
from sightline.data.division import divide_dataset, gather, group_by_name
from sightline.data.duplicates import find, leaks
from sightline.data.split import divide
from sightline.errors import DatasetError, SightlineWarning, UsageError

RATIOS = {"train": 0.8, "val": 0.1, "test": 0.1}


def world(*labels: list[int], classes: int = 3) -> Dataset:
    """Images `0.jpg` … that show these classes; nothing of it is on the disk."""
    examples = [
        Example(Path("x", f"{i}.jpg"), i, (40, 60), Objects.of([[1, 1, 9, 9]] * len(found), found))
        for i, found in enumerate(labels)
    ]
    names = ("cat", "dog", "cow")[:classes]
    return Dataset(tuple(examples), names, (1, 2, 3)[:classes], None, "x", Path("x"), None)


def away(shown: np.ndarray, parts: tuple[tuple[int, ...], ...]) -> float:
    """Mean distance of the classes' shares from the ratios, in percentage points."""
    total = shown.sum(axis=0)
    shares = [shown[list(part)].sum(axis=0) / total for part in parts]
    wanted = np.array(list(RATIOS.values()))[:, None]
    return float(np.abs(np.array(shares) - wanted).mean() * 100)


@pytest.mark.parametrize("name", ["coco", "bccd", "pet_heads_yolo"])
def test_real_classes_are_nearer_their_ratios_than_by_chance(shared: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SightlineWarning)  # bccd's two boxes without area
        data = gather(shared / "data" / name, "skip")
    shown = np.zeros((len(data), len(data.classes)))
    for row, example in enumerate(data):
        shown[row, np.unique(example.objects.labels[~example.objects.crowd])] = 1
    shown = shown[:, shown.any(axis=0)]
    contents = [Counter(np.flatnonzero(row).tolist()) for row in shown]
    names = [data.file_name(example) for example in data]
    ours, chance = [], []
    for seed in range(3):
        parts = divide(contents, names, RATIOS, seed)
        assert [len(part) for part in parts] == pytest.approx(
            [ratio * len(data) for ratio in RATIOS.values()], abs=1
        )
        order = random.Random(seed).sample(range(len(data)), len(data))
        ends = np.cumsum([0, *map(len, parts)])
        drawn = tuple(tuple(order[a:b]) for a, b in pairwise(ends))
        ours.append(away(shown, parts))
        chance.append(away(shown, drawn))
    print(f"{name}: {np.mean(ours):.2f} points from the ratios, by chance {np.mean(chance):.2f}")
    assert np.mean(ours) < 0.5 * np.mean(chance)


def test_no_real_class_is_missing_that_has_an_image_for_each_split(shared: Path) -> None:
    data = gather(shared / "data" / "coco")
    for parts in (RATIOS, {"train": 0.95, "val": 0.05}):
        division = divide_dataset(data, parts)  # its rarest class has four images
        assert division.absent() == [] and division.uneven() == []
        assert (division.images[:-1].sum(axis=1) >= 4).all()


def test_real_near_copies_come_together_and_no_split_leaks(shared: Path, tmp_path: Path) -> None:
    data = gather(shared / "data" / "raccoon")
    groups = [group.rows for group in find([example.path for example in data]).groups]
    assert groups
    division = divide_dataset(data, {"train": 0.5, "val": 0.3, "test": 0.2}, 3, groups)
    place = {file: name for name, files in division.files().items() for file in files}
    assert place["JPEGImages/raccoon-11.jpg"] == place["JPEGImages/raccoon-116.jpg"]
    convert(division.parts(), tmp_path / "out", "voc", "link")
    written = {name: open_dataset(tmp_path / "out", name) for name in splits(tmp_path / "out")}
    assert {name: len(part) for name, part in written.items()} == {
        "train": 100,
        "val": 60,
        "test": 40,
    }
    assert {fault.code for fault in leaks(written)} <= {"image.duplicate"}


def test_seeds_differ_and_a_seed_gives_the_same_again_whatever_the_order() -> None:
    data = world(*([[0], [1], [0, 1], [2], []] * 8))
    first = divide_dataset(data, RATIOS, 1).files()
    assert divide_dataset(data, RATIOS, 1).files() == first
    assert divide_dataset(data, RATIOS, 2).files() != first
    back = divide_dataset(data.subset(range(len(data))[::-1]), RATIOS, 1).files()
    assert {name: sorted(files) for name, files in back.items()} == {
        name: sorted(files) for name, files in first.items()
    }


def test_a_division_stays_what_it_was() -> None:
    """Written down once: another machine, version or generator must not change it."""
    files = divide_dataset(world(*([[0], [1], [0, 1], []] * 5)), {"a": 0.7, "b": 0.3}, 7).files()
    assert files["b"] == FROZEN


FROZEN = ["0.jpg", "3.jpg", "5.jpg", "6.jpg", "10.jpg", "16.jpg"]


def test_images_without_objects_are_spread() -> None:
    division = divide_dataset(world(*([[0]] * 70 + [[]] * 30)), RATIOS)
    assert division.images[-1].tolist() == [24, 3, 3]
    assert division.images[0].tolist() == [56, 7, 7]


def test_objects_are_spread_like_images() -> None:
    """Half of the objects are in a few crowded images; every split gets its part of these too."""
    data = world(*([[0] * 20] * 20 + [[0]] * 180))
    division = divide_dataset(data, RATIOS, 5)
    assert division.objects[0].tolist() == [16 * 20 + 144, 2 * 20 + 18, 2 * 20 + 18]


def test_a_rare_class_is_named() -> None:
    data = world(*([[0]] * 20 + [[0, 1]] * 2 + [[2]] * 3))
    with pytest.warns(SightlineWarning, match="every split: dog;"):
        division = divide_dataset(data, RATIOS)
    assert division.absent() == ["dog"]
    assert division.images[2].tolist() == [1, 1, 1]
    assert division.to_json()["absent"] == ["dog"]


def test_large_groups_are_kept_and_told() -> None:
    data = world(*([[0]] * 10))
    with pytest.warns(SightlineWarning, match="far from the ratios: a has [28], b has"):
        division = divide_dataset(data, {"a": 0.5, "b": 0.5}, 0, [range(5), range(4, 8)])
    assert division.groups == (tuple(range(8)),)
    assert [len(rows) for rows in division.rows] in ([8, 2], [2, 8])


def test_crowds_are_no_objects_of_their_class() -> None:
    data = world(*([[0]] * 10))
    for example in data.examples[:4]:
        example.objects.crowd[:] = True
    division = divide_dataset(data, {"a": 0.5, "b": 0.5})
    assert division.images[[0, -1]].tolist() == [[3, 3], [2, 2]]


@pytest.mark.parametrize(
    ("ratios", "told"),
    [
        ({"train": 0.8, "val": 0.3}, "sum to 1.1"),
        ({"train": 1.2, "val": -0.2}, "'val' is -0.2"),
        ({"train": 1.0, "val": 0.0}, "'val' is 0"),
        ({"train": 1.0, "val": float("nan")}, "'val' is nan"),
        ({"train": 1.0}, "two splits"),
        ({}, "two splits"),
    ],
)
def test_ratios_that_are_none(ratios: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        divide_dataset(world([0], [1], [2]), ratios)
    assert caught.value.code == "split.ratio"


def test_fewer_units_than_splits() -> None:
    with pytest.raises(DatasetError, match="4 images, of which 2") as caught:
        divide_dataset(world([0], [1], [2], []), RATIOS, 0, [[0, 1, 2]])
    assert caught.value.code == "split.too_few"


def test_frames_of_one_video_stay_together() -> None:
    data = world(*([[0]] * 40))
    names = [f"v{i // 4}_frame{i % 4}.jpg" for i in range(39)] + ["photo.jpg"]
    data = replace(
        data,
        examples=tuple(
            replace(e, path=Path("x", name)) for e, name in zip(data, names, strict=True)
        ),
    )
    with pytest.warns(SightlineWarning, match="1 of 40 images"):
        groups = group_by_name(data, r"^(.+)_frame")
    assert groups == [list(range(i, min(39, i + 4))) for i in range(0, 40, 4)]
    assert group_by_name(data, r"^\w") == [list(range(39)), [39]]
    for wrong in ("(", "nothing like it"):
        with pytest.raises(UsageError) as caught:
            group_by_name(data, wrong)
        assert caught.value.code == "split.pattern"


def test_splits_that_number_their_images_alike_are_taken_together(tmp_path: Path) -> None:
    coco_folder(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        draw(tmp_path / "images" / "train" / name)
    labels = json.dumps(coco_labels())
    (tmp_path / "annotations" / "instances_train.json").write_text(labels)
    data = gather(tmp_path)
    assert [data.file_name(example) for example in data] == [
        "images/train/a.jpg",
        "images/train/b.jpg",
        "images/val/a.jpg",
        "images/val/b.jpg",
    ]
    assert [example.image_id for example in data] == [1, 2, 3, 4]
    assert data.split is None
