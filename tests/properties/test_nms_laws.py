"""What must hold for greedy suppression whatever the boxes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.boxes import iou
from sightline.ops.nms import nms, nms_classwise, nms_suppressors

whole = st.integers(-20, 20).map(float)
wild = st.one_of(whole, st.floats(width=32), st.sampled_from([0.0, -0.0, 1e-30, 3e38, -3e38]))
score = st.one_of(st.sampled_from([0.0, -0.0, 0.5, 1.0]), st.floats(width=32))


@st.composite
def cases(draw: st.DrawFn, coordinate: st.SearchStrategy[float] = wild) -> tuple[Tensor, ...]:
    rows = draw(st.lists(st.tuples(*[coordinate] * 4, score, st.integers(-1, 2)), max_size=70))
    table = torch.tensor([row[:5] for row in rows], dtype=torch.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4], torch.tensor([row[5] for row in rows], dtype=torch.int64)


thresholds = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))


@settings(max_examples=300, deadline=None)
@given(cases(), thresholds, st.one_of(st.none(), st.integers(0, 10)))
def test_kernel_is_definition(
    case: tuple[Tensor, ...], threshold: float, limit: int | None
) -> None:
    boxes, scores, groups = case
    want = nms_classwise.reference(boxes, scores, groups, threshold, limit)
    assert torch.equal(nms_classwise(boxes, scores, groups, threshold, limit), want)
    assert torch.equal(
        nms(boxes, scores, threshold, limit), nms.reference(boxes, scores, threshold, limit)
    )


@settings(max_examples=150, deadline=None)
@given(cases(whole), thresholds)
def test_kept_boxes_are_apart_and_the_others_overlap_a_better_one(
    case: tuple[Tensor, ...], threshold: float
) -> None:
    boxes, scores, groups = case
    kept = nms_classwise(boxes, scores, groups, threshold)
    overlaps = iou(boxes, boxes) * (groups[:, None] == groups[None])
    among = overlaps[kept][:, kept].fill_diagonal_(0)
    assert not bool((among > threshold).any())
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    by, how = nms_suppressors(boxes, scores, groups, threshold)
    for row in range(len(boxes)):
        if row in kept.tolist() or not bool(scores[row].isfinite()):
            assert by[row] == -1
        else:
            winner = int(by[row])
            assert winner in kept.tolist()
            assert how[row] == overlaps[winner, row] > threshold
            assert (-scores[winner], winner) < (-scores[row], row)


@settings(max_examples=100, deadline=None)
@given(cases(whole), thresholds)
def test_suppressing_twice_changes_nothing(case: tuple[Tensor, ...], threshold: float) -> None:
    boxes, scores, groups = case
    kept = nms_classwise(boxes, scores, groups, threshold)
    again = nms_classwise(boxes[kept], scores[kept], groups[kept], threshold)
    assert again.tolist() == list(range(len(kept)))
