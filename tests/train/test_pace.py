"""The share of the budget before each step: decided once, kept, and followed again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import UsageError
from sightline.train.course import Progress
from sightline.train.pace import PARTS, Pace, realised, repeat
from sightline.train.schedule import Budget

CLOCK = Budget(steps=None, seconds=10.0)


def test_steps_need_no_marks() -> None:
    at = Progress(seconds=1e9)
    assert Pace(Budget(8, None)).fraction(2, at) == 0.25
    assert not at.marks


def test_what_the_loader_was_told_is_told_again() -> None:
    pace, at = Pace(CLOCK), Progress()
    assert [pace.fraction(step, at) for step in (0, 1, 2)] == [0.0, 0.0, 0.0]
    at.step, at.seconds = 1, 2.5
    assert pace.fraction(1, at) == 0.0
    assert pace.fraction(3, at) == 0.25
    assert pace.fraction(2, at) == 0.0
    assert at.marks == [[0, 0], [3, 250]]


def test_the_end_of_the_time_is_seen_at_once() -> None:
    pace, at = Pace(CLOCK), Progress()
    for step in range(4):
        pace.fraction(step, at)
    at.step, at.seconds = 2, 10.0
    assert pace.fraction(4, at) == 1.0, "the loader, which is ahead"
    assert pace.fraction(2, at) == 1.0
    assert realised(at) == [[0, 0], [2, PARTS]]


def test_a_resumed_run_decides_anew_about_what_it_has_not_done() -> None:
    pace, at = Pace(CLOCK), Progress()
    at.step, at.seconds = 1, 3.0
    assert pace.fraction(0, Progress()) == 0.0
    assert [pace.fraction(step, at) for step in (1, 2, 3)] == [0.3, 0.3, 0.3]
    saved = Progress(**vars(at))
    saved.step, saved.seconds = 2, 4.0
    again = Pace(CLOCK)
    again.go_on(saved)
    assert [again.fraction(step, saved) for step in (2, 3)] == [0.4, 0.4]


def test_a_run_that_ends_early_ends_there_again() -> None:
    pace, at = Pace(CLOCK), Progress()
    for step in range(5):
        at.step, at.seconds = step, float(step)
        pace.fraction(step, at)
    marks = realised(at)
    assert marks == [[0, 0], [1, 100], [2, 200], [3, 300], [4, PARTS]]


@given(
    st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30), st.integers(0, 5), st.integers(0, 29)
)
def test_a_repeated_run_moves_as_the_first_did(
    times: list[float], ahead: int, stopped: int
) -> None:
    """Whatever each step takes, however far the loader is ahead, and wherever the run was resumed:
    what each step was told is told again, and the end is the same.
    """
    pace, at, told = Pace(CLOCK), Progress(), list[float]()
    promised: dict[int, float] = {}
    for index in range(200):
        now = pace.fraction(at.step, at)
        if now >= 1:
            break
        assert now == promised.get(at.step, now), "the loader was told something else"
        promised |= {s: pace.fraction(s, at) for s in range(at.step, at.step + ahead + 1)}
        told.append(now)
        at.step += 1
        at.seconds += times[index % len(times)] + 0.1
        if index == stopped:
            pace = Pace(CLOCK)
            pace.go_on(at)
            promised = {}
    assert told == sorted(told)
    other = Progress(seconds=123.0)
    repeat(realised(at), other)
    again = Pace(CLOCK)
    assert [again.fraction(step, other) for step in range(len(told))] == told
    assert again.fraction(at.step, other) == 1.0


@pytest.mark.parametrize(
    "marks",
    [
        [],
        [[0, 0]],
        [[1, 0], [2, 1000]],
        [[0, 0], [0, 1000]],
        [[0, 5], [1, 2], [3, 1000]],
        [[0, -1], [1, 1000]],
        [[0], [1, 1000]],
        [0, 1000],
        [["a", 0], [1, 1000]],
        None,
    ],
)
def test_what_is_no_schedule_is_refused(marks: object) -> None:
    with pytest.raises(UsageError) as caught:
        repeat(marks, Progress())  # type: ignore[arg-type]
    assert caught.value.code == "train.record"
