"""The tracker: ids that stay with their objects."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import UsageError
from sightline.skeletons import skeleton
from sightline.tracking import Tracker, Tracking, pose_likeness
from sightline.types import Detections

SIZE = (100, 160)


def found(*boxes: tuple[float, ...], labels: list[int] | None = None) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.linspace(0.9, 0.5, count),
        torch.tensor(labels or [0] * count, dtype=torch.int64),
        torch.arange(count),
        SIZE,
        ("cat", "dog"),
    )


def box(x: float, y: float = 20, size: float = 20) -> tuple[float, ...]:
    return (x, y, x + size, y + size)


def ids(tracker: Tracker, answer: Detections) -> list[int]:
    tracks = tracker(answer).tracks
    assert tracks is not None
    return tracks.tolist()


def test_two_objects_that_pass_each_other_keep_their_ids() -> None:
    tracker = Tracker()
    seen = []
    for step in range(14):
        right, left = box(10 + 6 * step, 20), box(100 - 6 * step, 26)
        pair = (right, left) if step % 2 else (left, right)
        numbers = ids(tracker, found(*pair))
        seen.append(tuple(numbers if step % 2 else numbers[::-1]))
    assert len(set(seen)) == 1
    assert sorted(seen[0]) == [1, 2]


def test_the_best_total_and_not_the_best_first() -> None:
    """Greedily the first would take the second's place, and one would be lost."""
    tracker = Tracker(Tracking(likeness=0.1))
    assert ids(tracker, found((0, 0, 20, 20), (12, 0, 32, 20))) == [1, 2]
    # the first detection is likest to track 2, and the only one that is like track 1
    assert ids(tracker, found((9, 0, 29, 20), (20, 0, 40, 20))) == [1, 2]


def test_classes_are_never_paired() -> None:
    tracker = Tracker()
    assert ids(tracker, found(box(10), labels=[0])) == [1]
    assert ids(tracker, found(box(10), labels=[1])) == [2]
    assert ids(tracker, found(box(10), box(10), labels=[1, 0])) == [2, 1]


def test_age() -> None:
    for gap, number in ((3, 1), (4, 2)):
        tracker = Tracker(Tracking(age=3))
        assert ids(tracker, found(box(10))) == [1]
        for _ in range(gap):
            assert ids(tracker, found()) == []
        assert ids(tracker, found(box(10))) == [number]


def test_an_id_only_after_some_hits() -> None:
    tracker = Tracker(Tracking(hits=3, age=1))
    assert [ids(tracker, found(box(10 + i)))[0] for i in range(4)] == [0, 0, 1, 1]
    assert ids(tracker, found(box(80), box(14))) == [0, 1]


def test_what_moves_is_looked_for_ahead() -> None:
    """Steps of the box's own width: there is no overlap with where it was."""
    tracker = Tracker(Tracking(likeness=0.2))
    numbers = [ids(tracker, found(box(x)))[0] for x in (0, 8, 18, 31, 47, 65, 84, 104)]
    assert set(numbers) == {1}


def pose(x: float, missing: int = 0) -> torch.Tensor:
    points = torch.tensor([[x, 20.0, 0.9], [x + 5, 30, 0.9], [x + 2, 40, 0.9]])
    points[:missing] = 0
    return points


def people(*poses: torch.Tensor, boxes: list[tuple[float, ...]]) -> Detections:
    answer = found(*boxes)
    bones = skeleton(["head", "hand", "foot"], [(0, 1), (0, 2)])
    return Detections(
        answer.boxes,
        answer.scores,
        answer.labels,
        answer.region,
        SIZE,
        ("cat", "dog"),
        keypoints=torch.stack(poses),
        skeleton=bones,
    )


def test_poses_tell_people_apart_where_boxes_do_not() -> None:
    tracker = Tracker()
    same = [(0.0, 0.0, 40.0, 60.0), (0.0, 0.0, 40.0, 60.0)]
    assert ids(tracker, people(pose(5), pose(25), boxes=same)) == [1, 2]
    assert ids(tracker, people(pose(26), pose(6), boxes=same)) == [2, 1]


def test_only_points_that_both_have_count() -> None:
    sigmas = torch.full((3,), 0.05)
    known, other = torch.stack([pose(5)]), torch.stack([pose(5, missing=2), pose(5, missing=3)])
    alike = pose_likeness(known, other, torch.tensor([400.0]), sigmas)
    assert alike.tolist() == [[1.0, 0.0]]
    moved = pose_likeness(known, torch.stack([pose(9)]), torch.tensor([400.0]), sigmas)
    expected = torch.tensor(-16 / (2 * 400 * 0.1**2)).exp()
    assert float(moved) == pytest.approx(float(expected))


def test_numbers_that_make_no_sense() -> None:
    for wrong in ({"likeness": 0.0}, {"likeness": 1.1}, {"age": -1}, {"hits": 0}):
        with pytest.raises(UsageError):
            Tracking(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.lists(st.integers(0, 15), max_size=5), min_size=1, max_size=12))
def test_an_id_stands_once_in_a_frame_and_frames_decide_alone(places: list[list[int]]) -> None:
    frames = [found(*(box(10.0 * x) for x in row)) for row in places]
    first, second = Tracker(), Tracker()
    high = 0
    for answer in frames:
        numbers = ids(first, answer)
        assert numbers == ids(second, answer)
        assert len(set(numbers)) == len(numbers)
        assert all(number >= 1 for number in numbers)
        high = max([high, *numbers])
    assert high <= sum(len(row) for row in places)
