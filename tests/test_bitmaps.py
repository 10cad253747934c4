"""Pixels as run lengths and outlines: nothing is lost on the way there and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.bitmaps import Window, crop, polygons, run_lengths, signed_area, to_text, unite
from sightline.data import masks
from sightline.data.records import Polygons

SIZES = st.tuples(st.integers(1, 14), st.integers(1, 11))


@st.composite
def bitmaps(draw: st.DrawFn) -> np.ndarray:
    """Noise, or a few rectangles put in and cut out: parts in holes of parts."""
    size = draw(SIZES)
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    if draw(st.booleans()):
        return random.random(size) < draw(st.floats(0, 1))
    mask = np.zeros(size, bool)
    for _ in range(draw(st.integers(0, 6))):
        (y1, y2), (x1, x2) = (sorted(random.integers(0, side + 1, 2)) for side in size)
        mask[y1:y2, x1:x2] ^= True
    return mask


@settings(max_examples=150, deadline=None)
@given(bitmaps())
def test_polygons_give_the_same_pixels_again(mask: np.ndarray) -> None:
    rings = polygons(crop(mask))
    size = mask.shape[0], mask.shape[1]
    assert (masks.rasterise(Polygons(tuple(rings)), size) == mask).all()
    # each ring alone is a part: they never share a pixel
    assert sum(masks.area(Polygons((ring,)), size) for ring in rings) == mask.sum()
    assert sum(map(signed_area, rings)) == mask.sum()


def test_a_hole_is_cut_out_of_its_own_part_only() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:18, 2:18] = True
    mask[4:16, 4:16] = False
    mask[6:14, 6:14] = True  # a part in the hole, with a hole of its own
    mask[8:10, 8:10] = False
    mask[3:6, 22:28] = True
    rings = polygons(crop(mask))
    assert sorted(masks.area(Polygons((ring,)), (20, 30)) for ring in rings) == [18, 60, 112]
    square = min(rings, key=len)
    assert sorted(square.tolist()) == [[22, 3], [22, 6], [28, 3], [28, 6]]
    assert sorted(map(len, rings)) == [4, 11, 11]


@settings(max_examples=100, deadline=None)
@given(bitmaps(), st.integers(0, 3), st.integers(0, 5))
def test_a_window_stands_for_the_whole(mask: np.ndarray, top: int, left: int) -> None:
    whole = np.pad(mask, ((top, 2), (left, 1)))
    size = whole.shape[0], whole.shape[1]
    window = crop(mask, top, left)
    again = np.zeros(size, bool)
    y, x, pixels = window
    again[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    assert (again == whole).all()
    if mask.any():
        assert all(side.any() for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    counts = masks.encode(whole).counts
    assert run_lengths(window, size).tolist() == counts.tolist()
    assert to_text(counts) == masks.to_text(masks.encode(whole))
    assert (masks.rasterise(Polygons(tuple(polygons(window))), size) == whole).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(bitmaps(), max_size=4), st.data())
def test_parts_are_united_where_they_lie(parts: list[np.ndarray], data: st.DataObject) -> None:
    canvas = np.zeros((24, 20), bool)
    windows = []
    for part in parts:
        top, left = data.draw(st.integers(0, 10)), data.draw(st.integers(0, 9))
        canvas[top : top + part.shape[0], left : left + part.shape[1]] |= part
        windows.append(crop(part, top, left))
    expected = crop(canvas)
    found = unite(windows)
    assert found[:2] == expected[:2]
    assert np.array_equal(found.pixels, expected.pixels)
    assert isinstance(found, Window)


@pytest.mark.parametrize("mask", [np.zeros((3, 5), bool), np.zeros((0, 0), bool)])
def test_nothing_has_no_outline(mask: np.ndarray) -> None:
    assert polygons(crop(mask)) == []
    assert run_lengths(crop(mask), (3, 5)).tolist() == [15]
