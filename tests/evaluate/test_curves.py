"""Precision–recall and F1 curves against hand-made ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_world import dataset_of, found, square
from PIL import Image

from sightline.evaluate import curves

AB = ("cat", "dog")
DATA = dataset_of(AB, [("cat", square(0, 0)), ("cat", square(40, 40))])
ROWS = [
    found(
        AB,
        ("cat", 0.9, square(0, 0)),
        ("cat", 0.6, square(60, 0)),
        ("cat", 0.3, square(40, 40)),
    )
]


def test_precision_at_the_101_recalls() -> None:
    drawn = curves(DATA, ROWS)
    assert drawn.classes == ("cat",)  # there is no dog to find
    expected = np.where(np.arange(101) <= 50, 1, 2 / 3)
    np.testing.assert_allclose(drawn.precision[0], expected)


def test_f1_precision_and_recall_above_each_threshold() -> None:
    drawn = curves(DATA, ROWS)
    at = {t: int(np.abs(drawn.thresholds - t).argmin()) for t in (0.2, 0.5, 0.8, 0.95)}
    for t, f1, precision, recall in (
        (0.2, 4 / 5, 2 / 3, 1),
        (0.5, 2 / 4, 1 / 2, 1 / 2),
        (0.8, 2 / 3, 1, 1 / 2),
        (0.95, 0, 1, 0),
    ):
        place = at[t]
        assert drawn.f1[0, place] == pytest.approx(f1)
        assert drawn.precision_above[0, place] == pytest.approx(precision)
        assert drawn.recall_above[0, place] == pytest.approx(recall)
    assert drawn.best == pytest.approx((0, 0.8))


def test_margins_stretch_the_axis_of_thresholds() -> None:
    rows = [found(AB, ("cat", 3.0, square(0, 0)), ("cat", -1.0, square(40, 40)))]
    drawn = curves(DATA, rows)
    assert drawn.thresholds[0] == -1 and drawn.thresholds[-1] == 3
    assert drawn.f1[0, 1] == pytest.approx(2 / 3)


def test_plain_data_and_nothing_to_find() -> None:
    value = json.loads(json.dumps(curves(DATA, ROWS).to_json(), allow_nan=False))
    assert len(value["recall"]) == len(value["precision"]["cat"]) == 101
    empty = curves(dataset_of(AB, []), [found(AB, ("cat", 0.5, square(0, 0)))])
    assert empty.classes == () and empty.best is None


@pytest.mark.parametrize("count", [0, 2, 30])
def test_the_pictures_are_drawn(tmp_path: Path, count: int) -> None:
    classes = tuple(f"class ${k}" for k in range(max(count, 1)))
    data = dataset_of(classes, [(c, square(k, 0)) for k, c in enumerate(classes)][:count])
    rows = [found(classes, *((c, 0.5 + k / 99, square(k, 0)) for k, c in enumerate(classes)))]
    drawn = curves(data, rows)
    for path in (
        drawn.draw_precision_recall(tmp_path / "pr.png"),
        drawn.draw_f1(tmp_path / "f1.png"),
    ):
        with Image.open(path) as image:
            assert image.format == "PNG" and image.size == (840, 600)
    assert len(list(tmp_path.iterdir())) == 2
