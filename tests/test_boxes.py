"""Boxes by hand: worked examples of every function."""

import math

import pytest
import torch

from sightline import boxes

A = torch.tensor([[0.0, 0, 4, 2], [2, 1, 6, 3], [5, 5, 5, 9], [8, 8, 2, 2]])


def test_area_of_empty_and_swapped_boxes_is_zero():
    assert boxes.area(A).tolist() == [8, 8, 0, 0]


def test_intersection_and_iou():
    """4 × 2 boxes that share 2 × 1: 2 / (8 + 8 − 2)."""
    assert boxes.intersection(A[:1], A[1:2]).tolist() == [[2]]
    assert boxes.iou(A[:1], A[:2]).tolist()[0] == pytest.approx([1, 2 / 14])


def test_touching_boxes_share_nothing():
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    assert boxes.iou(a, b).item() == 0


def test_coverage_is_of_the_first():
    small, large = torch.tensor([[1.0, 1, 2, 3]]), torch.tensor([[0.0, 0, 10, 2]])
    assert boxes.coverage(small, large).item() == pytest.approx(0.5)
    assert boxes.coverage(large, small).item() == pytest.approx(1 / 20)


def test_giou():
    """Apart by 2 within a hull of 6 × 2: 0 − (12 − 8) / 12; equal boxes give 1."""
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[4.0, 0, 6, 2]])
    assert boxes.giou(a, b).item() == pytest.approx(-1 / 3)
    assert boxes.giou(a, a).item() == pytest.approx(1)


def test_clip():
    outside = torch.tensor([[-5.0, -1, 50, 9], [60, 60, 70, 70]])
    assert boxes.clip(outside, (20, 30)).tolist() == [[0, 0, 30, 9], [30, 20, 30, 20]]


def test_inside_is_strict():
    points = torch.tensor([[1.0, 1], [0, 1], [3.9, 1.9]])
    assert boxes.inside(points, A[:1]).tolist() == [[True], [False], [True]]


def test_encode_by_hand():
    """R-CNN's formulas: a region 10 × 20 at centre (5, 10), a target 20 × 10 at (10, 10)."""
    region, target = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[0.0, 5, 20, 15]])
    found = boxes.encode(target, region)[0].tolist()
    assert found == pytest.approx([0.5, 0, math.log(2), -math.log(2)])
    weighted = boxes.encode(target, region, (10, 10, 5, 5))[0].tolist()
    assert weighted == pytest.approx([5, 0, 5 * math.log(2), -5 * math.log(2)])


def test_decode_bounds_growth():
    region = torch.tensor([[0.0, 0, 16, 16]])
    huge = boxes.decode(torch.tensor([[0.0, 0, 1e9, 100]]), region)
    assert huge.isfinite().all()
    assert (huge[0, 2] - huge[0, 0]).item() == pytest.approx(1000, rel=1e-5)


def test_decode_of_class_specific_offsets():
    regions, offsets = torch.tensor([[0.0, 0, 4, 2]]), torch.zeros(1, 3, 4)
    assert boxes.decode(offsets, regions[:, None].expand(1, 3, 4)).tolist() == [[[0, 0, 4, 2]] * 3]


def test_flip_and_forms():
    assert boxes.flip(A[:1], 10).tolist() == [[6, 0, 10, 2]]
    assert boxes.to_xywh(A[1:2]).tolist() == [[2, 1, 4, 2]]
    assert boxes.centres(A[:2]).tolist() == [[2, 1], [4, 2]]


def test_nothing_of_nothing():
    none = torch.zeros(0, 4)
    assert boxes.iou(none, A).shape == (0, 4) and boxes.encode(none, none).shape == (0, 4)
    assert boxes.giou(none, none).shape == (0,)
