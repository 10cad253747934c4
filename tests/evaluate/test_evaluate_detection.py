"""COCO's figures on scenes whose answer can be worked out by hand."""

import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_world import SIZE, blob, dataset_of, found, square

from sightline.data.masks import encode
from sightline.data.records import Dataset, Example, Objects, Polygons, Skeleton
from sightline.errors import AnnotationError, DatasetError, SightlineWarning, UsageError
from sightline.evaluate import evaluate
from sightline.types import Detections

AB = ("cat", "dog")


def perfect(dataset: Dataset) -> list[Detections]:
    return [
        found(
            dataset.classes,
            *(
                (dataset.classes[label], 0.9, box)
                for label, box in zip(
                    e.objects.labels.tolist(), e.objects.boxes.tolist(), strict=True
                )
            ),
        )
        for e in dataset
    ]


def test_perfect_answers_get_one_and_a_wrong_one_costs_what_the_protocol_says() -> None:
    data = dataset_of(AB, [("cat", square(0, 0))], [("dog", square(5, 5, 40))])
    report = evaluate(data, perfect(data))
    assert pytest.approx([1, 1, 1], abs=1e-12) == [report.AP, report.AP50, report.AR100]
    assert report.per_class == pytest.approx({"cat": 1, "dog": 1}, abs=1e-12)
    assert report.AP_large is None and report.segm_AP is None and report.keypoints_AP is None
    worse = perfect(data)
    # a better scored cat where nothing is: precision 1/2 at every recall
    worse[0] = found(AB, ("cat", 0.95, square(40, 40)), ("cat", 0.9, square(0, 0)))
    report = evaluate(data, worse)
    assert report.per_class["cat"] == pytest.approx(0.5)
    assert pytest.approx(0.75) == report.AP


def test_iou_decides_how_many_of_the_ten_thresholds_are_met() -> None:
    data = dataset_of(("cat",), [("cat", [0, 0, 10, 10])])
    report = evaluate(data, [found(("cat",), ("cat", 0.9, [0, 0, 10, 7]))])  # IoU 0.7 exactly
    assert pytest.approx(0.5) == report.AP and pytest.approx(1) == report.AP50
    assert report.AP75 == 0


def test_annotation_id_zero_changes_nothing() -> None:
    data = dataset_of(("cat",), [("cat", square(0, 0)), ("cat", square(30, 30))])
    objects = replace(data[0].objects, ids=np.array([0, 1]))
    zero = replace(data, examples=(replace(data[0], objects=objects),))
    assert pytest.approx(1, abs=1e-12) == evaluate(zero, perfect(zero)).AP


def test_image_ids_may_be_names() -> None:
    data = dataset_of(("cat",), [("cat", square(0, 0))], [("cat", square(9, 9))])
    named = replace(
        data,
        examples=tuple(
            replace(e, image_id=name) for e, name in zip(data, ("b/x", "a"), strict=True)
        ),
    )
    assert pytest.approx(1, abs=1e-12) == evaluate(named, perfect(named)).AP


def test_classes_are_matched_by_name_and_strangers_are_ignored() -> None:
    data = dataset_of(AB, [("cat", square(0, 0)), ("dog", square(30, 20))])
    model = ("zebra", "dog", "cat")
    rows = [
        found(
            model,
            ("zebra", 0.99, square(0, 0)),
            ("dog", 0.9, square(30, 20)),
            ("cat", 0.8, square(0, 0)),
        )
    ]
    assert pytest.approx(1, abs=1e-12) == evaluate(data, rows).AP


def test_a_class_that_the_model_lacks_is_named_and_counts_as_zero() -> None:
    data = dataset_of(AB, [("cat", square(0, 0)), ("dog", square(30, 20))])
    with pytest.warns(SightlineWarning, match="does not know dog"):
        report = evaluate(data, [found(("cat",), ("cat", 0.9, square(0, 0)))])
    assert report.unknown == ("dog",) and report.per_class["dog"] == 0
    assert pytest.approx(0.5) == report.AP
    assert "does not know: dog" in report.summary()


def test_a_class_without_objects_is_null_and_not_part_of_the_mean() -> None:
    data = dataset_of(AB, [("cat", square(0, 0))])
    with pytest.warns(SightlineWarning, match="no object of dog"):
        report = evaluate(data, perfect(data))
    assert report.per_class == {"cat": pytest.approx(1, abs=1e-12), "dog": None}
    assert pytest.approx(1, abs=1e-12) == report.AP and report.absent == ("dog",)


def test_a_model_of_other_things_is_refused() -> None:
    data = dataset_of(AB, [("cat", square(0, 0))])
    with pytest.raises(DatasetError) as caught:
        evaluate(data, [found(("bus",), ("bus", 0.9, square(0, 0)))])
    assert caught.value.code == "dataset.no_common_class"


@pytest.mark.filterwarnings("ignore::sightline.errors.SightlineWarning")
def test_nothing_found_is_zero_and_nothing_to_find_is_null_never_nan() -> None:
    data = dataset_of(("cat",), [("cat", square(0, 0))])
    assert evaluate(data, [found(("cat",))]).AP == 0
    empty = dataset_of(("cat",), [])
    for rows in ([found(("cat",))], [found(("cat",), ("cat", 0.5, square(0, 0)))]):
        report = evaluate(empty, rows)
        assert report.AP is None and report.AR1 is None and report.per_class == {"cat": None}
        text = json.dumps(report.to_json(), allow_nan=False)
        assert json.loads(text)["AP"] is None
    assert evaluate(dataset_of(("cat",)), []).AP is None
    crowd = dataset_of(("cat",), [("cat", square(0, 0))], crowd=[(0, 0)])
    assert evaluate(crowd, [found(("cat",), ("cat", 0.5, square(0, 0)))]).AP is None


def test_results_of_another_number_of_images_are_refused() -> None:
    data = dataset_of(("cat",), [("cat", square(0, 0))], [])
    rows = perfect(data)
    for wrong in (rows[:1], [*rows, rows[0]]):
        with pytest.raises(UsageError) as caught:
            evaluate(data, wrong)
        assert caught.value.code == "usage.results_count"


@pytest.mark.parametrize("score, side", [(float("nan"), 10.0), (0.5, float("inf"))])
def test_numbers_that_are_not_finite_are_refused(score: float, side: float) -> None:
    data = dataset_of(("cat",), [("cat", square(0, 0))])
    with pytest.raises(AnnotationError) as caught:
        evaluate(data, [found(("cat",), ("cat", score, [0, 0, side, 10]))])
    assert caught.value.code == "result.non_finite" and "0.png" in str(caught.value)


def masked() -> tuple[Dataset, Detections]:
    """A polygon, run lengths and an object without a mask, and an answer that finds two."""
    data = dataset_of(
        ("cat",),
        [("cat", [2, 2, 22, 22]), ("cat", [40, 10, 60, 40]), ("cat", [70, 40, 79, 59])],
    )
    ring = np.array([[2, 2], [22, 2], [22, 22], [2, 22]], float)
    segments = (Polygons((ring,)), encode(blob([40, 10, 60, 40])), None)
    data = replace(
        data, examples=(replace(data[0], objects=replace(data[0].objects, segments=segments)),)
    )
    answer = found(("cat",), ("cat", 0.9, [2, 2, 22, 22]), ("cat", 0.8, [40, 10, 60, 40]))
    return data, answer


def test_masks_are_judged_where_labels_and_results_have_them() -> None:
    data, answer = masked()
    right = torch.from_numpy(np.stack([blob([2, 2, 22, 22]), blob([40, 10, 60, 40])]))
    report = evaluate(data, [replace(answer, masks=right)])
    assert report.segm_AP == pytest.approx(1, abs=1e-12) and report.AP < 0.7
    half = right.clone()
    half[1, 28:] = False  # 18 of 30 rows: IoU 0.6
    report = evaluate(data, [replace(answer, masks=half)])
    # recall 1/2 with precision 1 beyond IoU 0.6: 51 of the 101 recalls
    assert report.segm_AP50 == pytest.approx(1)
    assert report.segm_AP == pytest.approx((3 + 7 * 51 / 101) / 10)
    assert report.to_json()["segm_AP"] == report.segm_AP
    assert "segm_AP" not in evaluate(data, [answer]).to_json()


def test_masks_of_another_size_are_refused() -> None:
    data, answer = masked()
    with pytest.raises(UsageError, match="80×60"):
        evaluate(data, [replace(answer, masks=torch.zeros(2, 80, 60, dtype=torch.bool))])


def posed(points: np.ndarray, guesses: np.ndarray) -> tuple[Dataset, Detections]:
    """Objects of one class with a skeleton of three points, and answers with others."""
    skeleton = Skeleton(("nose", "tail", "paw"), ((0, 1),), (0, 1, 2), (0.05, 0.1, 0.1))
    boxes = [[0, 0, 40, 30]] * len(points)
    objects = Objects.of(boxes, [0] * len(points), keypoints=points)
    data = Dataset(
        (Example(Path("/x.png"), 1, SIZE, objects),), ("cat",), (1,), skeleton, "c", Path("/"), None
    )
    answer = found(("cat",), *[("cat", 0.9 - 0.1 * i, boxes[0]) for i in range(len(guesses))])
    return data, replace(answer, keypoints=torch.from_numpy(guesses).float())


def test_keypoints_use_the_skeletons_own_sigmas() -> None:
    points = np.array([[[5, 5, 2], [30, 20, 2], [0, 0, 0]]], np.float32)
    guess = points.copy()
    guess[0, 0, 0] += 4  # OKS of this point: exp(−d² / (2 · area · (2σ)²)) = exp(−16 / 24)
    data, answer = posed(points, guess)
    expected = (np.exp(-16 / (2 * 1200 * 0.1**2)) + 1) / 2
    report = evaluate(data, [answer])
    met = int((np.linspace(0.5, 0.95, 10) <= expected).sum())
    assert 0 < met < 10 and report.keypoints_AP == pytest.approx(met / 10)
    loose = replace(data, skeleton=replace(data.skeleton, sigmas=(1.0, 0.1, 0.1)))
    assert evaluate(loose, [answer]).keypoints_AP == pytest.approx(1)


def test_keypoints_of_another_skeleton_are_refused() -> None:
    points = np.array([[[5, 5, 2], [30, 20, 2], [9, 9, 1]]], np.float32)
    data, answer = posed(points, points[:, :2])
    with pytest.raises(UsageError, match="2 keypoints for labels that have 3"):
        evaluate(data, [answer])


def test_keypoints_in_another_order_are_refused_and_other_names_are_told() -> None:
    points = np.array([[[5, 5, 2], [30, 20, 2], [9, 9, 1]]], np.float32)
    data, answer = posed(points, points)
    assert data.skeleton is not None
    answer = replace(answer, skeleton=data.skeleton)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(data, [answer]).keypoints_AP == pytest.approx(1)
    turned = replace(data.skeleton, points=("nose", "paw", "tail"))
    with pytest.raises(UsageError, match="another order") as caught:
        evaluate(data, [replace(answer, skeleton=turned)])
    assert "nose, paw, tail" in str(caught.value.hint)
    named = replace(data.skeleton, points=("nose", "point_2", "point_3"))
    with pytest.warns(SightlineWarning, match="'point_2' is held against 'tail'"):
        assert evaluate(data, [replace(answer, skeleton=named)]).keypoints_AP == pytest.approx(1)


def test_a_person_without_labelled_keypoints_is_ignored_for_oks() -> None:
    points = np.zeros((2, 3, 3), np.float32)
    points[0] = [[5, 5, 2], [30, 20, 2], [10, 10, 1]]
    data, answer = posed(points, points[:1])
    report = evaluate(data, [answer])
    assert report.keypoints_AP == pytest.approx(1) and report.per_class["cat"] < 0.6


def test_a_report_has_no_other_figures_and_a_table_for_people() -> None:
    data = dataset_of(
        ("a very long name of a class",), [("a very long name of a class", square(0, 0))]
    )
    report = evaluate(data, perfect(data))
    with pytest.raises(AttributeError):
        _ = report.AP42
    lines = report.summary().splitlines()
    assert any(line.split() == ["AP", "100.0"] for line in lines)
    assert any(line.startswith("a very long name of a class ") for line in lines)
    assert "1 images, 1 objects, 1 detections" in lines[-1]


def test_471_images_with_100_detections_each_take_less_than_a_second() -> None:
    # processor time of all threads: other programs on the machine do not count
    rng = np.random.default_rng(0)
    classes = tuple(f"class {k}" for k in range(80))
    examples, results = [], []
    for number in range(471):
        corner = rng.random((9, 2)) * 200
        boxes = np.concatenate([corner, corner + 5 + rng.random((9, 2)) * 100], axis=1)
        objects = Objects.of(boxes, rng.integers(0, 80, 9))
        examples.append(Example(Path(f"/{number}.png"), number, (360, 480), objects))
        guesses = np.tile(boxes, (12, 1))[:100] + rng.normal(0, 5, (100, 4))
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2])
        results.append(
            Detections(
                torch.from_numpy(guesses).float(),
                torch.from_numpy(rng.random(100)).float(),
                torch.from_numpy(rng.integers(0, 80, 100)),
                torch.arange(100),
                (360, 480),
                classes,
            )
        )
    data = Dataset(tuple(examples), classes, tuple(range(80)), None, "speed", Path("/"), None)
    evaluate(data, results)
    times = []
    for _ in range(3):
        start = time.process_time()
        evaluate(data, results)
        times.append(time.process_time() - start)
    assert min(times) < 1, times
    print(f"471 × 100: {min(times):.3f} s")
