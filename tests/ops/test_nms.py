"""Greedy suppression by worked examples; the definition and whatever runs here by that name."""

from collections.abc import Callable

import pytest
import torch

from sightline.errors import UsageError
from sightline.ops.nms import nms, nms_classwise, nms_suppressors

BOXES = torch.tensor(
    [
        [0, 0, 10, 10],
        [0, 0, 10, 5],  # IoU ½ with the first
        [0, 0, 10, 6],  # IoU 0.6 with the first, 5/6 with the second
        [20, 0, 30, 10],
    ],
    dtype=torch.float32,
)
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.95])
CLASSWISE = pytest.mark.parametrize(
    "op", [nms_classwise, nms_classwise.reference], ids=["fast", "definition"]
)
ONE = pytest.mark.parametrize("op", [nms, nms.reference], ids=["fast", "definition"])


@ONE
def test_best_first_and_an_iou_equal_to_the_threshold_stays(op: Callable) -> None:
    assert op(BOXES, SCORES, 0.5).tolist() == [3, 0, 1]
    assert op(BOXES, SCORES, 0.49).tolist() == [3, 0]
    assert op(BOXES, SCORES, 0.0).tolist() == [3, 0]
    assert op(BOXES, SCORES, 1.0).tolist() == [3, 0, 1, 2]


@ONE
def test_a_suppressed_box_suppresses_nobody(op: Callable) -> None:
    chain = torch.tensor([[0.0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]])  # neighbours: 6/14
    assert op(chain, torch.tensor([3.0, 2, 1]), 0.4).tolist() == [0, 2]


@ONE
def test_limit(op: Callable) -> None:
    assert op(BOXES, SCORES, 0.5, 2).tolist() == [3, 0]
    assert op(BOXES, SCORES, 0.5, 0).tolist() == []
    assert op(BOXES, SCORES, 0.5, limit=99).tolist() == [3, 0, 1]


@ONE
def test_equal_scores_go_by_index_and_minus_zero_is_zero(op: Callable) -> None:
    apart = torch.arange(100.0)[:, None] * 20 + torch.tensor([0.0, 0, 10, 10])
    assert op(apart, torch.full((100,), 0.5), 0.5).tolist() == list(range(100))
    signs = torch.tensor([-0.0, 0.0] * 50)
    assert op(apart, signs, 0.5).tolist() == list(range(100))


@ONE
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_rows_are_not_kept_and_suppress_nobody(op: Callable, value: float) -> None:
    for column in range(4):
        boxes = BOXES.clone()
        boxes[3, column] = value
        assert op(boxes, SCORES, 0.5).tolist() == [0, 1]
    scores = SCORES.clone()
    scores[0] = value
    assert op(BOXES, scores, 0.5).tolist() == [3, 1]
    assert op(BOXES, torch.full((4,), value), 0.5).tolist() == []


@ONE
def test_empty_swapped_and_huge_boxes(op: Callable) -> None:
    point, swapped = [5.0, 5, 5, 5], [9.0, 9, 1, 1]
    odd = torch.tensor([point, point, swapped, swapped, [1.0, 1, 9, 9]])
    assert op(odd, torch.arange(5.0), 0.0).tolist() == [4, 3, 2, 1, 0]
    far = torch.tensor([[-3e38, -3e38, 3e38, 3e38]] * 2)
    assert op(far, torch.arange(2.0), 0.5).tolist() == [1, 0]  # the union overflows: no overlap
    half = torch.tensor([[0, 0, 60000, 60000], [0, 0, 60000, 59000]], dtype=torch.float16)
    assert op(half, torch.arange(2.0), 0.5).tolist() == [1]  # no overflow in half precision


@ONE
def test_nothing_in_nothing_out(op: Callable) -> None:
    answer = op(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert answer.shape == (0,)
    assert answer.dtype == torch.int64


@CLASSWISE
def test_groups_never_meet(op: Callable) -> None:
    same = torch.tensor([[0.0, 0, 10, 10]] * 4)
    groups = torch.tensor([7, -2, 7, 2**40])
    assert op(same, torch.tensor([1.0, 2, 3, 4]), groups, 0.5).tolist() == [3, 2, 1]


@CLASSWISE
def test_bad_arguments_are_told(op: Callable) -> None:
    groups = torch.zeros(4, dtype=torch.int64)
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="threshold"):
            op(BOXES, SCORES, groups, threshold)
    with pytest.raises(UsageError, match="limit"):
        op(BOXES, SCORES, groups, 0.5, -1)


def test_who_suppressed_whom() -> None:
    groups = torch.tensor([0, 0, 0, 0])
    by, iou = nms_suppressors(BOXES, SCORES, groups, 0.4)
    assert by.tolist() == [-1, 0, 0, -1]
    assert iou.tolist() == pytest.approx([0, 0.5, 0.6, 0])
    by, _ = nms_suppressors(BOXES, SCORES, torch.tensor([1, 0, 0, 0]), 0.4)
    assert by.tolist() == [-1, -1, 1, -1]


def test_a_victim_of_two_belongs_to_the_better() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [8, 0, 18, 10], [4, 0, 14, 10]])
    by, iou = nms_suppressors(boxes, torch.tensor([1.0, 2, 0.5]), torch.zeros(3).long(), 0.3)
    assert by.tolist() == [-1, -1, 1]
    assert iou[2].item() == pytest.approx(6 / 14)
