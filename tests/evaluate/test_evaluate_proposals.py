"""Recall, best overlap and average recall of proposals against figures worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_world import dataset_of, found, square
from numpy import ndarray
from PIL import Image

from sightline.detectors.faster_rcnn import faster_rcnn_mobilenet_v2
from sightline.detectors.selective_search import SelectiveSearch
from sightline.errors import DatasetError, UsageError
from sightline.evaluate.proposals import ProposalReport, evaluate_proposals, proposer

AB = ("cat", "dog", "cow")
DATA = dataset_of(
    AB,
    [
        ("cat", square(0, 0)),
        ("dog", square(40, 40)),
        ("dog", square(0, 40)),
        ("cat", square(60, 0)),
    ],
    [("cat", square(20, 20))],
    [],
    crowd=[(0, 2)],
    difficult=[(0, 3)],
)
"""A cat and a dog to find in the first image, a cat in the second, nothing in the third."""


def rows(*boxes: list[float]) -> ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


FOUND = [
    rows([0, 0, 10, 5], [40, 40, 50, 48], [0, 0, 10, 9]),  # 0.5 of the cat, 0.8 of the dog, 0.9
    rows([70, 0, 80, 10], [20, 20, 30, 26]),  # nothing, then 0.6 of the cat
    rows([0, 0, 5, 5]),
]


@pytest.fixture
def report() -> ProposalReport:
    return evaluate_proposals(DATA, FOUND, (1, 2))


def test_the_best_of_each_object(report: ProposalReport) -> None:
    assert report.labels.tolist() == [0, 1, 0]
    assert report._row(1) == pytest.approx([0.5, 0, 0])
    assert report._row(2) == pytest.approx([0.5, 0.8, 0.6])
    assert report._row(None) == pytest.approx([0.9, 0.8, 0.6])


def test_the_figures(report: ProposalReport) -> None:
    one, two, every = report.rows
    assert (one.limit, two.limit, every.limit) == (1, 2, None)
    assert [row.count for row in report.rows] == pytest.approx([1, 5 / 3, 2])
    assert one.recall == pytest.approx({0.5: 1 / 3, 0.7: 0})
    assert two.recall == pytest.approx({0.5: 1, 0.7: 1 / 3})
    assert every.recall == pytest.approx({0.5: 1, 0.7: 2 / 3})
    # the mean of the classes' means, not of the objects: cats (0.9 + 0.6) / 2, dogs 0.8
    assert report.abo() == pytest.approx({"cat": 0.75, "dog": 0.8})
    assert every.mabo == pytest.approx(0.775)
    assert two.mabo == pytest.approx((0.55 + 0.8) / 2)
    assert every.average_recall == pytest.approx((9 + 7 + 3) / 30)  # of 0.50, 0.55, … 0.95


def test_average_recall_of_perfect_proposals() -> None:
    perfect = [example.objects.boxes.astype(np.float64) for example in DATA]
    (every,) = evaluate_proposals(DATA, perfect, (9,)).rows[1:]
    assert every.average_recall == every.mabo == every.recall[0.7] == 1


def test_detections_count_whatever_their_class() -> None:
    answers = [
        found(AB, ("cow", 0.9, square(0, 0)), ("cow", 0.8, square(40, 40))),
        found(AB, ("dog", 0.9, square(20, 20))),
        found(AB),
    ]
    report = evaluate_proposals(DATA, answers)
    assert report.recall(0.99) == 1 and report.counts.tolist() == [2, 1, 0]


def test_images_without_proposals() -> None:
    report = evaluate_proposals(DATA, [rows(), rows(), rows()])
    assert report.figures().mabo == report.recall(0.5) == report.figures(100).count == 0


def test_told_for_people_and_programs(report: ProposalReport) -> None:
    lines = report.summary().splitlines()
    assert lines[0] == "3 images, 3 objects of 2 classes"
    assert lines[-1].split() == [
        "all",
        "2.0",
        "1.000",
        "0.667",
        "0.775",
        "0.633",
    ]  # 9, 7 and 3 of 10
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [row["limit"] for row in plain["rows"]] == [1, 2, None]
    assert plain["rows"][2]["recall"] == {"0.5": 1.0, "0.7": pytest.approx(2 / 3)}
    assert plain["abo"]["dog"] == pytest.approx(0.8)


def test_a_picture(report: ProposalReport, tmp_path: Path) -> None:
    path = report.draw(tmp_path / "curves.png", "Mine")
    with Image.open(path) as picture:
        assert picture.width > picture.height > 300
        assert len(set(picture.convert("L").tobytes())) > 20


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: evaluate_proposals(DATA, FOUND[:2]), "usage.value"),
        (lambda: evaluate_proposals(DATA, [*FOUND, rows()]), "usage.value"),
        (lambda: evaluate_proposals(DATA, FOUND, (0, 5)), "usage.value"),
        (lambda: evaluate_proposals(DATA, FOUND, ()), "usage.value"),
        (lambda: evaluate_proposals(DATA, FOUND).recall(0.5, 777), "usage.value"),
        (lambda: evaluate_proposals(dataset_of(AB, []), [rows()]), "dataset.no_objects"),
    ],
)
def test_what_makes_no_sense(call: object, code: str) -> None:
    with pytest.raises((UsageError, DatasetError)) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == code


def test_of_two_stages_the_first_is_judged() -> None:
    both = faster_rcnn_mobilenet_v2(AB)
    assert proposer(both) is both.proposer
    alone = SelectiveSearch()
    assert proposer(alone) is alone
