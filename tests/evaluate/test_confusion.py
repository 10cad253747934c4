"""The confusion matrix on scenes whose answer can be counted by hand."""

from pathlib import Path

import numpy as np
from evaluation_world import dataset_of, found, square
from PIL import Image

from sightline.evaluate import confusion

AB = ("cat", "dog")


def test_every_object_and_every_detection_is_counted_once() -> None:
    data = dataset_of(
        AB,
        [("cat", square(0, 0)), ("dog", square(40, 40)), ("dog", square(20, 20))],
        [],
    )
    rows = [
        found(
            AB,
            ("cat", 0.9, square(0, 0)),  # right
            ("cat", 0.8, square(40, 40)),  # a dog taken for a cat
            ("dog", 0.7, square(60, 0)),  # nothing is there
            ("dog", 0.3, square(20, 20)),  # not above the score
        ),
        found(AB, ("dog", 0.31, square(0, 0))),
    ]
    table = confusion(data, rows, score=0.3)
    assert table.matrix.tolist() == [[1, 0, 0], [1, 0, 1], [0, 2, 0]]
    assert table.pairs() == [("dog", "cat", 1)]
    assert table.to_json()["names"] == ["cat", "dog", "background"]


def test_the_best_iou_is_paired_first_and_the_right_class_at_equal_iou() -> None:
    data = dataset_of(AB, [("cat", square(0, 0))])
    near = [0, 0, 10, 9]
    rows = [found(AB, ("dog", 0.9, near), ("cat", 0.8, square(0, 0)))]
    assert confusion(data, rows).matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    rows = [found(AB, ("dog", 0.9, square(0, 0)), ("cat", 0.8, square(0, 0)))]
    assert confusion(data, rows).matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_detections_in_a_crowd_are_left_out() -> None:
    data = dataset_of(AB, [("cat", [0, 0, 60, 60])], crowd=[(0, 0)])
    rows = [found(AB, ("cat", 0.9, square(5, 5)), ("cat", 0.8, [58, 0, 68, 10]))]
    assert confusion(data, rows).matrix.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_picture_is_drawn_for_few_and_for_many_classes(tmp_path: Path) -> None:
    for count in (2, 40):
        classes = tuple(f"class ${k}" for k in range(count))
        data = dataset_of(classes, [(c, square(k, 0)) for k, c in enumerate(classes)])
        rows = [found(classes, *((c, 0.9, square(k, 0)) for k, c in enumerate(classes)))]
        path = confusion(data, rows).draw(tmp_path / f"{count}.png")
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert min(pixels.shape[:2]) > 300 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2.png", "40.png"]


def test_nothing_at_all_can_be_drawn(tmp_path: Path) -> None:
    table = confusion(dataset_of(AB), [])
    assert table.matrix.sum() == 0 and table.draw(tmp_path / "x.png").is_file()
