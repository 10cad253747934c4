"""PCK: which points are correct, of whom, and by which length."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.data.records import Dataset, Example, Objects
from sightline.evaluate import evaluate
from sightline.skeletons import Skeleton, skeleton
from sightline.types import Detections

TORSO = skeleton(("left_shoulder", "right_hip", "paw"), ())
HEAD = skeleton(("head_top", "neck", "paw"), ())


def judged(bones: Skeleton, points: np.ndarray, guesses: np.ndarray, scores: list[float]) -> object:
    """The report of one image of 100 × 80 pixels; people's boxes are 40 wide and 50 high."""
    boxes = [[10, 10, 50, 60]] * len(points)
    objects = Objects.of(boxes, [0] * len(points), keypoints=points.astype(np.float32))
    example = Example(Path("/x.png"), 1, (80, 100), objects)
    data = Dataset((example,), ("cat",), (1,), bones, "c", Path("/"), None)
    count = len(guesses)
    found = Detections(
        torch.tensor([[10.0, 10.0, 50.0, 60.0]]).repeat(count, 1),
        torch.tensor(scores),
        torch.zeros(count).long(),
        torch.arange(count),
        (80, 100),
        ("cat",),
        keypoints=torch.from_numpy(guesses).float(),
    )
    return evaluate(data, [found])


POINTS = np.array([[[15, 15, 2], [15, 45, 1], [40, 50, 2]]], float)


def moved(*steps: float) -> np.ndarray:
    """The points, each so many pixels further right."""
    guess = POINTS.copy()
    guess[0, :, 0] += steps
    return guess


@pytest.mark.parametrize(
    ("bones", "name", "limit"), [(TORSO, "PCK", 10), (TORSO, "PCK_torso", 6), (HEAD, "PCKh", 15)]
)
def test_a_point_is_correct_within_a_share_of_its_persons_length(
    bones: Skeleton, name: str, limit: float
) -> None:
    """0.2 of a box 50 high; 0.2 of a torso and 0.5 of a head 30 long."""
    report = judged(bones, POINTS, moved(0, limit - 0.1, limit + 0.1), [0.9])
    assert getattr(report, f"keypoints_{name}") == pytest.approx(2 / 3)
    unknown = {"PCK": None, "PCK_torso": "PCKh", "PCKh": "PCK_torso"}[name]
    assert unknown is None or getattr(report, f"keypoints_{unknown}") is None


def test_points_without_a_label_do_not_count_and_what_was_not_found_is_missed() -> None:
    points = POINTS.copy()
    points[0, 2] = 0
    guess = moved(0, 0, 0)
    guess[0, 0] = 0
    report = judged(TORSO, points, guess, [0.9])
    assert report.keypoints_PCK == pytest.approx(1 / 2)  # type: ignore[attr-defined]


def test_each_person_is_taken_once_by_the_best_answer_and_more_answers_do_no_harm() -> None:
    """Two people; the best answer lies on the first, another on it too, a third on nobody."""
    people = np.concatenate([POINTS, POINTS])
    people[1, :, 0] += 45
    far = POINTS.copy()
    far[0, :, :2] = [[90, 5], [95, 75], [92, 5]]
    guesses = np.concatenate([moved(9, 9, 9), moved(0, 0, 0), far])
    one = judged(TORSO, people, guesses, [0.5, 0.9, 0.4])
    assert one.keypoints_PCK == pytest.approx(1 / 2)  # type: ignore[attr-defined]
    none = judged(TORSO, people, guesses[:0], [])
    assert none.keypoints_PCK in (0, None)  # type: ignore[attr-defined]


def test_people_without_a_labelled_point_do_not_count() -> None:
    people = np.concatenate([POINTS, POINTS])
    people[1, :, 2] = 0
    report = judged(TORSO, people, moved(0, 0, 0), [0.9])
    assert report.keypoints_PCK == 1 and report.to_json()["keypoints_PCKh"] is None  # type: ignore[attr-defined]
    assert "PCK_torso" in report.summary()  # type: ignore[attr-defined]
