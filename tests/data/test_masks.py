"""Masks: polygons, run lengths, text, areas, boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline import bitmaps
from sightline.data import masks
from sightline.data.records import Polygons, Runs
from sightline.errors import AnnotationError

SQUARE = np.array([[2, 1], [6, 1], [6, 4], [2, 4]], np.float64)


def test_a_square_covers_its_pixels() -> None:
    expected = np.zeros((7, 11), bool)
    expected[1:4, 2:6] = True
    for ring in (SQUARE, SQUARE[::-1].copy()):
        assert (masks.rasterise(Polygons((ring,)), (7, 11)) == expected).all()
    assert masks.area(Polygons((SQUARE,)), (7, 11)) == 12
    assert masks.bounding_box(expected) == (2, 1, 6, 4)
    assert masks.box_of(masks.encode(expected), (7, 11)) == (2, 1, 6, 4)


def test_rings_are_united_and_cut_at_the_edge() -> None:
    both = Polygons((SQUARE, SQUARE + np.array([2, 1]), SQUARE + np.array([7, 0])))
    mask = masks.rasterise(both, (7, 11))
    assert mask[1:4, 2:6].all()
    assert mask[2:5, 4:8].all()
    assert mask[1:4, 9:11].all()
    assert mask.sum() == 12 + 12 - 4 + 6


def test_a_line_covers_nothing() -> None:
    line = np.array([[1, 1], [9, 5], [1, 1]], np.float64)
    assert not masks.rasterise(Polygons((line,)), (7, 11)).any()
    assert masks.bounding_box(np.zeros((7, 11), bool)) == (0, 0, 0, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 13), st.floats(0, 1))
def test_there_and_back(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    runs = masks.encode(mask)
    assert runs.counts.sum() == mask.size
    assert (masks.decode(runs) == mask).all()
    again = masks.from_text(masks.to_text(runs), (height, width))
    assert again.counts.tolist() == runs.counts.tolist()
    assert masks.area(runs, (height, width)) == mask.sum()


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_any_text_is_runs_or_a_typed_error(text: str | bytes) -> None:
    try:
        runs = masks.from_text(text, (7, 11))
    except AnnotationError as error:
        assert error.code in ("rle.text", "rle.negative", "rle.sum")
    else:
        assert masks.decode(runs).shape == (7, 11)


def test_huge_sizes_are_refused_before_any_memory_is_taken() -> None:
    with pytest.raises(AnnotationError) as caught:
        masks.from_counts([10**12, 5], (10**6, 10**6))
    assert caught.value.code == "rle.sum"


def test_leading_ones() -> None:
    runs = masks.encode(np.ones((2, 3), bool))
    assert runs.counts.tolist() == [0, 6]
    assert masks.decode(Runs(np.array([6]), (2, 3))).sum() == 0


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    part=st.tuples(st.integers(0, 7), st.integers(0, 9), st.integers(0, 7), st.integers(0, 9)),
    seed=st.integers(0, 9),
)
def test_a_window_is_encoded_as_the_whole(
    size: tuple[int, int], part: tuple[int, int, int, int], seed: int
) -> None:
    top, left = min(part[0], size[0]), min(part[1], size[1])
    mask = np.zeros(size, bool)
    inner = mask[top : top + part[2], left : left + part[3]]
    inner[:] = np.random.default_rng(seed).random(inner.shape) < 0.6
    window = bitmaps.Window(top, left, inner.copy())
    whole = masks.encode(mask).counts.tolist()
    assert bitmaps.run_lengths(window, size).tolist() == whole
    assert bitmaps.run_lengths(bitmaps.crop(mask), size).tolist() == whole
