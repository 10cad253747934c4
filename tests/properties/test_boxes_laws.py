"""What holds for all boxes and sizes (N5, N11, N14, I27)."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline import boxes
from sightline.preparation import Preparation
from sightline.types import Frame

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

place = st.floats(-1000, 2000, width=32)
side = st.floats(0.5, 1000, width=32)
length = st.integers(1, 30_000)
wild = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def box(draw, sides=side):
    x, y = draw(place), draw(place)
    return [x, y, x + draw(sides), y + draw(sides)]


def rows(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 4)


@given(st.lists(st.tuples(box(), box()), min_size=1, max_size=8))
def test_decode_inverts_encode(pairs):
    targets, regions = rows([a for a, _ in pairs]), rows([b for _, b in pairs])
    growth = (targets[:, 2:] - targets[:, :2]) / (regions[:, 2:] - regions[:, :2])
    within = (growth < 62).all(dim=1)
    for weights in ((1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)):
        back = boxes.decode(boxes.encode(targets, regions, weights), regions, weights)
        torch.testing.assert_close(back[within], targets[within], atol=0.02, rtol=1e-4)


@given(st.lists(box(st.floats(0, 1000, width=32)), min_size=1, max_size=8))
def test_iou_is_symmetric_and_within_bounds(values):
    a = rows(values)
    found = boxes.iou(a, a)
    assert torch.equal(found, found.T)
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()
    real = boxes.area(a) > 1e-3
    torch.testing.assert_close(found.diagonal()[real], torch.ones(int(real.sum())))


@given(box(), place, place, st.sampled_from(["x", "y", "both", "swapped"]))
def test_iou_with_degenerate_boxes_is_zero(value, x, y, how):
    flat = {"x": [x, y, x, y + 9], "y": [x, y, x + 9, y], "both": [x, y, x, y],
            "swapped": [x + 5, y + 5, x, y]}[how]  # fmt: skip
    assert boxes.iou(rows(flat), rows(value)).item() == 0
    assert boxes.iou(rows(flat), rows(flat)).item() == 0
    assert boxes.coverage(rows(flat), rows(value)).item() == 0


@given(st.lists(st.lists(wild, min_size=4, max_size=4), min_size=1, max_size=4))
def test_iou_of_any_half_precision_boxes_is_no_nan(values):
    a = rows(values).clamp(-200, 200).half()
    assert not boxes.iou(a, a).isnan().any()


@given(st.lists(wild, min_size=4, max_size=4), box())
def test_decode_of_any_offsets_is_finite(offsets, region):
    bounded = rows(offsets).clamp(-1e30, 1e30)
    assert boxes.decode(bounded, rows(region)).isfinite().all()


@given(length, length, length, length, st.integers(0, 500), st.integers(0, 500), st.data())
def test_frames_lead_back(height, width, h, w, top, left, data):
    """Not half an original pixel is lost on the way there and back, wherever the scale is sane."""
    h, w = max(h, height // 100 + 1), max(w, width // 100 + 1)
    frame = Frame((height, width), (h, w), (top, left))
    x, y = data.draw(st.floats(0, width)), data.draw(st.floats(0, height))
    box = torch.tensor([[x, y, width, height]], dtype=torch.float32)
    back = frame.to_original(frame.to_prepared(box))
    assert (back - box).abs().max() < 0.5
    points = frame.to_original(frame.to_prepared(box[:, :2]))
    assert (points - box[:, :2]).abs().max() < 0.5


@given(length, length, st.sampled_from([None, 1, 480, 800]), st.sampled_from([1, 416, 1333]))
def test_no_side_is_ever_resized_to_zero(height, width, shorter, longer):
    preparation = Preparation(shorter=shorter, longer=longer)
    h, w = preparation.resized((height, width))
    assert 1 <= h <= longer + 1 and 1 <= w <= longer + 1
    padded = preparation.padded((h, w))
    assert all(0 <= p - s < 32 and p % 32 == 0 for p, s in zip(padded, (h, w), strict=True))


@given(st.lists(box(), min_size=1, max_size=5), st.integers(1, 4000))
def test_flipping_twice_changes_nothing(values, width):
    a = rows(values)
    torch.testing.assert_close(boxes.flip(boxes.flip(a, width), width), a, atol=1e-3, rtol=0)


@given(st.lists(box(), min_size=1, max_size=5), length, length)
def test_clipped_boxes_lie_within(values, height, width):
    clipped = boxes.clip(rows(values), (height, width))
    assert (clipped >= 0).all() and (clipped[:, 0::2] <= width).all()
    assert (clipped[:, 1::2] <= height).all() and (clipped[:, 2:] >= clipped[:, :2]).all()
