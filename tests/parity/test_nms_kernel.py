"""The kernel gives the indices of its definition, of a plain double loop, and of OpenCV."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline.boxes import iou
from sightline.kernels.cpu import candidates as fast_candidates
from sightline.kernels.cpu import nms as fast
from sightline.ops.candidates import above
from sightline.ops.nms import nms, nms_classwise


def draw(n: int, seed: int, rounded: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """80 % of boxes jittered around 20 objects, whole pixels and tied scores if asked."""
    rng = torch.Generator().manual_seed(seed)
    objects = torch.rand(20, 4, generator=rng) * torch.tensor([640, 480, 150, 150]) + 5
    which = torch.randint(0, 20, (n,), generator=rng)
    noise = torch.randn(n, 4, generator=rng) * objects[which, 2:].repeat(1, 2) * 0.1
    boxes = objects[which] + noise
    lone = torch.rand(n, generator=rng) > 0.8
    boxes[lone] = (torch.rand(n, 4, generator=rng) * torch.tensor([640, 480, 300, 300]))[lone]
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)
    scores = torch.rand(n, generator=rng)
    if rounded is not None:
        corners, scores = corners.round(), (scores * rounded).round() / rounded
    return corners, scores, torch.randint(0, 5, (n,), generator=rng)


def loop(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
    overlaps, kept = iou(boxes, boxes), []
    for i in order:
        if all(not overlaps[i, k] > threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.45, 0.5, 0.6, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("rounded", [None, 10])
@pytest.mark.parametrize("n", [1, 2, 47, 48, 49, 700, pytest.param(3000, marks=pytest.mark.slow)])
def test_same_indices_as_the_definition(n: int, rounded: int | None, threshold: float) -> None:
    boxes, scores, groups = draw(n, n, rounded)
    want = nms_classwise.reference(boxes, scores, groups, threshold)
    assert torch.equal(fast.nms_classwise(boxes, scores, groups, threshold), want)
    few = nms_classwise.reference(boxes, scores, groups, threshold, n // 3)
    assert torch.equal(fast.nms_classwise(boxes, scores, groups, threshold, n // 3), few)
    assert torch.equal(fast.nms(boxes, scores, threshold), nms.reference(boxes, scores, threshold))


def test_same_indices_for_thousands_of_boxes() -> None:
    test_same_indices_as_the_definition(3000, 10, 0.5)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.75])
def test_same_indices_as_a_double_loop(threshold: float) -> None:
    boxes, scores, _ = draw(300, 3, 20)
    assert fast.nms(boxes, scores, threshold).tolist() == loop(boxes, scores, threshold)


def test_same_indices_on_boxes_of_all_scales_far_away_and_broken() -> None:
    boxes, scores, groups = draw(2000, 9)
    boxes *= torch.logspace(-3, 4, 2000)[torch.randperm(2000, generator=torch.manual_seed(1))][
        :, None
    ]
    boxes[::7] += 1e7
    boxes[::31] = boxes[::31][:, [2, 3, 0, 1]]
    boxes[5, 2], boxes[6, 0], scores[7], scores[8] = torch.inf, torch.nan, torch.nan, torch.inf
    boxes[9:11] = torch.tensor([-3e38, -3e38, 3e38, 3e38])
    boxes[11:13] = torch.tensor([0, 0, 1e-20, 1e-20])
    boxes[13:15] = torch.tensor([0, 0, 1e-20, 3e38])
    for threshold in (0.2, 0.5, 0.7):
        want = nms_classwise.reference(boxes, scores, groups, threshold)
        assert torch.equal(fast.nms_classwise(boxes, scores, groups, threshold), want)


def test_a_hundred_thousand_boxes() -> None:
    boxes, scores, groups = draw(100_000, 5, 1000)
    want = nms.reference(boxes, scores, 0.2)
    assert torch.equal(fast.nms(boxes, scores, 0.2), want)
    want = nms_classwise.reference(boxes, scores, groups, 0.6, 100)
    assert torch.equal(fast.nms_classwise(boxes, scores, groups, 0.6, 100), want)


def test_thresholds_that_an_iou_meets_exactly() -> None:
    for whole in range(3, 60):
        for part in range(1, whole):
            pair = torch.tensor([[0.0, 0, whole, 7], [0, 0, part, 7]])
            threshold = part / whole
            want = nms.reference(pair, torch.tensor([2.0, 1]), threshold)
            assert torch.equal(fast.nms(pair, torch.tensor([2.0, 1]), threshold), want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_strides_and_gradients(dtype: torch.dtype) -> None:
    boxes, scores, groups = draw(500, 11)
    boxes = boxes.to(dtype).requires_grad_()
    wide = scores.to(dtype)[:, None].expand(-1, 3)
    want = nms_classwise.reference(boxes, wide[:, 1], groups.int(), 0.5)
    assert torch.equal(fast.nms_classwise(boxes, wide[:, 1], groups.int(), 0.5), want)


def test_opencv_keeps_the_same() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    boxes, scores, _ = draw(2000, 13)
    xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)
    theirs = cv2.dnn.NMSBoxes(xywh.numpy(), scores.numpy(), 0.0, 0.5)
    ours = fast.nms(boxes, scores, 0.5)
    assert np.asarray(theirs).reshape(-1).tolist() == ours.tolist()


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 1), (1000, 7), (333, 91)])
def test_scores_above_a_threshold(shape: tuple[int, int]) -> None:
    scores = torch.rand(shape, generator=torch.manual_seed(2))
    flat = scores.view(-1)
    flat[::50], flat[1::50], flat[2::50] = torch.nan, torch.inf, 0.9
    for threshold in (-1.0, 0.5, 0.9, 0.99, 1.0):
        want = above.reference(scores, threshold)
        for a, b in zip(fast_candidates.above(scores, threshold), want, strict=True):
            assert torch.equal(a, b)
    half = scores.half()
    for a, b in zip(fast_candidates.above(half, 0.9), above.reference(half, 0.9), strict=True):
        assert torch.equal(a, b)
