"""Pascal VOC's average precision on ranked lists worked out by hand."""

import numpy as np
import pytest
from evaluation_world import dataset_of, found, square

from sightline.errors import UsageError
from sightline.evaluate import evaluate_voc
from sightline.evaluate.voc import area_under, curve, eleven_points
from sightline.types import Detections

CAT = ("cat",)


def test_both_readings_of_one_ranked_list() -> None:
    # right, wrong, right, wrong, right with four objects: precision 1, 1/2, 2/3, 2/4, 3/5
    right = np.array([1, 0, 1, 0, 1], bool)
    recall, precision = curve(right, ~right, 4)
    assert recall.tolist() == [0.25, 0.25, 0.5, 0.5, 0.75]
    # recalls 0, .1, .2 -> 1; .3, .4, .5 -> 2/3; .6, .7 -> 3/5; beyond 0.75 nothing
    assert eleven_points(recall, precision) == pytest.approx((3 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert area_under(recall, precision) == pytest.approx(0.25 * (1 + 2 / 3 + 3 / 5))


def test_eleven_points_count_a_recall_that_is_met_exactly() -> None:
    right = np.array([1, 1, 1], bool)
    recall, precision = curve(right, ~right, 10)  # recall 0.3, which 3 · 0.1 is not in floats
    assert eleven_points(recall, precision) == pytest.approx(4 / 11)


def scene(difficult: bool) -> tuple[object, list[Detections]]:
    data = dataset_of(
        CAT,
        [("cat", square(0, 0)), ("cat", square(40, 40))],
        difficult=[(0, 1)] if difficult else [],
    )
    answers = found(
        CAT,
        ("cat", 0.9, square(40, 40)),
        ("cat", 0.8, square(0, 0)),
        ("cat", 0.7, square(40, 40)),
        ("cat", 0.6, square(20, 20)),
    )
    return data, [answers]


def test_difficult_objects_need_not_be_found_and_do_no_harm() -> None:
    data, answers = scene(difficult=True)
    assert evaluate_voc(data, answers).mAP == pytest.approx(1)  # type: ignore[arg-type]
    data, answers = scene(difficult=False)
    assert evaluate_voc(data, answers).mAP == pytest.approx(1)  # type: ignore[arg-type]
    first = answers[0][[0, 2]]  # the second time the same object, better scored than the other
    report = evaluate_voc(data, [first])  # type: ignore[arg-type]
    assert report.mAP == pytest.approx(0.5)


def test_a_detection_goes_to_the_object_it_overlaps_most_even_if_that_is_taken() -> None:
    near = [0.0, 0.0, 10.0, 10.0]
    beside = [0.0, 2.0, 10.0, 12.0]  # IoU 80/120 with the first
    data = dataset_of(CAT, [("cat", near), ("cat", beside)])
    twice = [0.0, 0.5, 10.0, 10.5]  # nearer to the first, IoU 85/115 with the second
    answers = [found(CAT, ("cat", 0.9, near), ("cat", 0.8, twice))]
    assert evaluate_voc(data, answers).mAP == pytest.approx(0.5)


def test_an_iou_of_exactly_one_half_is_enough() -> None:
    data = dataset_of(CAT, [("cat", [0, 0, 10, 10])])
    assert evaluate_voc(data, [found(CAT, ("cat", 0.9, [0, 0, 10, 5]))]).mAP == 1
    assert evaluate_voc(data, [found(CAT, ("cat", 0.9, [0, 0, 10, 4.9]))]).mAP == 0


def test_classes_without_objects_are_null_and_methods_are_checked() -> None:
    data = dataset_of(("cat", "dog"), [("cat", square(0, 0))])
    answers = [found(("cat", "dog"), ("dog", 0.9, square(0, 0)), ("cat", 0.8, square(0, 0)))]
    report = evaluate_voc(data, answers, method="eleven_points")
    assert report.to_json() == {
        "mAP": 1.0,
        "per_class": {"cat": 1.0, "dog": None},
        "method": "eleven_points",
        "iou": 0.5,
    }
    with pytest.raises(UsageError):
        evaluate_voc(data, answers, method="2012")  # type: ignore[arg-type]
    empty = dataset_of(CAT, [])
    assert evaluate_voc(empty, [found(CAT)]).mAP is None
