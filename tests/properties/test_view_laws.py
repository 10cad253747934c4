"""Views of pictures: what a patch must hold, and that nothing is moved but with its picture."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sightline.data.placement import Picture
from sightline.data.records import Objects
from sightline.data.views import View, cropped, placed, whole, zoomed_out

SEEDS = st.integers(0, 2**31)
SIDES = st.integers(1, 300)


def some_objects(rng: np.random.Generator, count: int, size: tuple[int, int]) -> Objects:
    ends = rng.random((count, 2, 2)) * [size[1], size[0]]
    boxes = np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)
    objects = Objects.of(boxes, np.zeros(count, int))
    objects.crowd[:] = rng.random(count) < 0.2
    return objects


def iou(patch: View, box: np.ndarray) -> float:
    x = min(patch[2], box[2]) - max(patch[0], box[0])
    y = min(patch[3], box[3]) - max(patch[1], box[1])
    both = max(0.0, x) * max(0.0, y)
    areas = (patch[2] - patch[0]) * (patch[3] - patch[1]) + (box[2] - box[0]) * (box[3] - box[1])
    return both / (areas - both)


@given(
    SEEDS,
    SIDES,
    SIDES,
    st.integers(0, 5),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9]),
    st.floats(0.05, 1),
    st.floats(1, 4),
)
def test_a_patch_holds_an_object_and_overlaps_it_enough(
    seed: int, height: int, width: int, count: int, least: float, smallest: float, ratio: float
) -> None:
    rng = np.random.default_rng(seed)
    objects = some_objects(rng, count, (height, width))
    view = zoomed_out(whole((height, width)), 1.5, rng) if seed % 2 else whole((height, width))
    patch = cropped(view, objects, (least,), (smallest, 1.0), ratio, rng)
    assert view[0] - 1e-6 <= patch[0] < patch[2] <= view[2] + 1e-6
    assert view[1] - 1e-6 <= patch[1] < patch[3] <= view[3] + 1e-6
    assume(patch != view)
    x, y = (patch[2] - patch[0]) / (view[2] - view[0]), (patch[3] - patch[1]) / (view[3] - view[1])
    assert smallest - 1e-6 <= (x * y) ** 0.5 <= 1 + 1e-6
    assert 1 / ratio - 1e-6 <= x / y <= ratio + 1e-6
    boxes = objects.boxes[~objects.crowd].astype(float)
    held = [
        box
        for box in boxes
        if patch[0] < (box[0] + box[2]) / 2 < patch[2]
        and patch[1] < (box[1] + box[3]) / 2 < patch[3]
    ]
    assert len(boxes) == 0 or any(iou(patch, box) >= least - 1e-9 for box in held)


def test_patches_are_found_for_every_overlap() -> None:
    """Of an object in the middle, which fills half of the picture's sides."""
    objects = Objects.of([[100, 75, 300, 225]], [0])
    view, rng = whole((300, 400)), np.random.default_rng(0)
    for least in (0.0, 0.1, 0.3, 0.5, 0.7):
        found = [cropped(view, objects, (least,), (0.3, 1.0), 2.0, rng) for _ in range(40)]
        patches = [patch for patch in found if patch != view]
        assert len(patches) > 8
        overlaps = [iou(patch, objects.boxes[0]) for patch in patches]
        assert min(overlaps) >= least and np.std(overlaps) > 0.01


def test_where_an_overlap_cannot_be_had_another_is_taken() -> None:
    speck = Objects.of([[100, 75, 104, 79]], [0])  # no patch overlaps it by a half
    view, rng = whole((300, 400)), np.random.default_rng(0)
    assert all(cropped(view, speck, (0.5,), (0.3, 1.0), 2.0, rng) == view for _ in range(20))
    assert all(cropped(view, speck, (0.5, 0.0), (0.3, 1.0), 2.0, rng) != view for _ in range(20))


@given(SEEDS, SIDES, SIDES, st.floats(1, 5))
def test_zooming_out_shows_all_and_more(seed: int, height: int, width: int, most: float) -> None:
    view = whole((height, width))
    far = zoomed_out(view, most, np.random.default_rng(seed))
    assert far[0] <= 1e-6 and far[1] <= 1e-6
    assert far[2] >= view[2] - 1e-6 and far[3] >= view[3] - 1e-6
    x, y = (far[2] - far[0]) / width, (far[3] - far[1]) / height
    assert abs(x - y) < 1e-6 and 1 - 1e-6 <= x <= most + 1e-6


@given(SEEDS, st.integers(1, 60), st.integers(1, 60), st.booleans(), st.floats(0.2, 4))
def test_a_view_is_drawn_just_where_it_lies(
    seed: int, height: int, width: int, mirror: bool, scale: float
) -> None:
    """Its corners come to the corners of its place; what is drawn is picture, and in the view."""
    rng = np.random.default_rng(seed)
    picture = Picture.of(np.zeros((height, width, 3), np.uint8), Objects.of([], []))
    (x1, y1), (x2, y2) = np.sort(rng.uniform(-30, 90, (2, 2)), axis=0).tolist()
    view = (x1, y1, x2 + 1, y2 + 1)
    corner = (float(rng.uniform(-20, 20)), float(rng.uniform(-20, 20)))
    placement = placed(picture, view, (scale, 2 * scale), corner, (0, 0, 64, 64), mirror)
    right, bottom = (
        corner[0] + scale * (view[2] - view[0]),
        corner[1] + 2 * scale * (view[3] - view[1]),
    )
    moved = placement.boxes(np.array([view]))[0]
    np.testing.assert_allclose(moved, [*corner, right, bottom], atol=1e-6)
    drawn = placement.clip
    assert 0 <= drawn[0] <= drawn[2] and 0 <= drawn[1] <= drawn[3]
    if drawn[2] > drawn[0] and drawn[3] > drawn[1]:
        whole_picture = placement.boxes(np.array([[0.0, 0, width, height]]))[0]
        for bounds in (moved, whole_picture, np.array([0, 0, 64, 64])):
            assert (drawn[:2] >= np.floor(bounds[:2]) - 1e-6).all()
            assert (drawn[2:] <= np.ceil(bounds[2:]) + 1e-6).all()
