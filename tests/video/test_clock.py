"""The clock: forward only, by the stamps where they can be true."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.video.clock import LEAP, Clock


def told(stamps: list[float | None], rate: float | None = 10.0) -> tuple[list[float], int]:
    clock = Clock.of_rate(rate)
    return [round(clock.tell(stamp), 6) for stamp in stamps], clock.repaired


@pytest.mark.parametrize(
    ("stamps", "times", "repaired"),
    [
        ([5.0, 5.1, 5.5, 5.6], [0, 0.1, 0.5, 0.6], 0),
        ([-0.2, -0.1, 0.0], [0, 0.1, 0.2], 0),
        ([None, None, None], [0, 0.1, 0.2], 3),
        ([0.0, None, 0.2], [0, 0.1, 0.2], 1),
        ([0.0, 0.0, 0.2], [0, 0.1, 0.2], 1),
        ([0.0, 0.1, 0.05, 0.3], [0, 0.1, 0.2, 0.3], 1),  # one stamp alone went back
        ([9.0, 9.1, 0.0, 0.2, 0.3], [0, 0.1, 0.2, 0.4, 0.5], 1),  # another clock from there on
        ([0.0, 0.1, 1e9, 0.3], [0, 0.1, 0.2, 0.3], 1),
        ([0.0, 0.1, 1e9, 1e9 + 0.5], [0, 0.1, 0.2, 0.7], 1),
        ([0.0, 60.0, 360.0], [0, 60, 360], 0),  # a picture every few minutes is no fault
    ],
)
def test_times(stamps: list[float | None], times: list[float], repaired: int) -> None:
    assert told(stamps) == (times, repaired)


@pytest.mark.parametrize("rate", [None, 0.0, 1e6, float("nan"), -25.0, 1e-9])
def test_a_rate_that_makes_no_sense_is_not_believed(rate: float | None) -> None:
    assert told([None, None], rate)[0] == [0.0, 0.04]
    assert told([0.0, 0.5, 0.75], rate)[0] == [0.0, 0.5, 0.75]


@given(
    st.lists(st.none() | st.floats(-1e12, 1e12) | st.integers(0, 400).map(lambda i: i / 25)),
)
def test_time_goes_forward(stamps: list[float | None]) -> None:
    clock = Clock()
    times = [clock.tell(stamp) for stamp in stamps]
    assert all(a < b <= a + LEAP for a, b in itertools.pairwise(times))
    assert times[:1] in ([], [0.0])
