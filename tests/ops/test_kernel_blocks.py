"""The loops that take the place of sorting and copying whole arrays in kernels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.kernels.cpu.blocks import copy, falling, longer

NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@given(scores=st.lists(NUMBERS, max_size=100))
def test_falling_is_a_stable_sort(kind: type, scores: list[float]) -> None:
    """What is not a number comes last, and equal scores keep their order, −0 and 0 too."""
    values = np.array(scores, kind)
    np.testing.assert_array_equal(falling(values), np.argsort(-values, kind="stable"))


@pytest.mark.parametrize("size", [15, 16, 17, 31, 32, 33, 64, 1000, 4097])
def test_falling_merges_runs_of_any_number(size: int) -> None:
    values = np.random.default_rng(size).integers(0, size // 3, size).astype(np.float32)
    np.testing.assert_array_equal(falling(values), np.argsort(-values, kind="stable"))


def test_copies_and_room_for_more() -> None:
    some, more = np.arange(3), np.zeros(5, np.int64)
    copy(some, more[1:])
    assert more.tolist() == [0, 0, 1, 2, 0]
    twice = longer(some)
    assert twice.size == 6
    assert twice[:3].tolist() == [0, 1, 2]
