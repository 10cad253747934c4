"""The matching kernel gives its definition's very numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.anchors import AnchorGrid
from sightline.kernels.cpu.iou_match import BLOCK
from sightline.kernels.cpu.iou_match import covered as fast_covered
from sightline.kernels.cpu.iou_match import match_by_iou as fast_match
from sightline.matching import BACKGROUND, IGNORED, IouMatcher
from sightline.ops.iou_match import covered, match_by_iou
from sightline.types import Targets

THRESHOLDS = [(0.7, 0.3), (0.5, 0.4), (0.5, 0.5), (0.3, 0.6), (0.0, 0.0)]


def anchors() -> Tensor:
    """Some 6,000 anchors of a picture of 256 × 352, rounded so that many overlaps are equal."""
    grid = AnchorGrid(((32.0,), (64.0,), (128.0,)), strides=(8, 16, 32), offset=0.0, rounded=True)
    return grid.boxes([(32, 44), (16, 22), (8, 11)], (256, 352))[0]


def objects(count: int, seed: int, whole: bool) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=rng) * torch.tensor([352.0, 256.0])
    half = torch.exp(torch.rand(count, 2, generator=rng) * 3.5 + 1)
    boxes = torch.cat([centre - half, centre + half], dim=1)
    return boxes.round() if whole else boxes


def agree(regions: Tensor, goals: Tensor, positive: float, negative: float) -> Tensor:
    for best_too in (False, True):
        given_ = (regions, goals, positive, negative, best_too)
        mine, exact = fast_match(*given_), match_by_iou.reference(*given_)
        assert mine.dtype == exact.dtype and torch.equal(mine, exact)
    return exact


@pytest.mark.parametrize("count", [0, 1, 7, 50])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("limits", THRESHOLDS)
def test_anchors_of_a_pyramid(count: int, whole: bool, limits: tuple[float, float]) -> None:
    matched = agree(anchors(), objects(count, count, whole), *limits)
    assert count < 7 or limits[0] != 0.7 or set(matched.unique().tolist()) >= {BACKGROUND, IGNORED}


def test_of_equal_objects_the_first_answers() -> None:
    goals = objects(5, 3, True)
    matched = agree(anchors(), goals[[0, 1, 0, 2, 1, 0]], 0.5, 0.4)
    assert set(matched[matched >= 0].tolist()) <= {0, 1, 3} and (matched >= 0).any()


def test_all_that_share_an_objects_best_overlap_answer_for_it() -> None:
    """In several blocks: an object around hundreds of equal regions, and one that touches none."""
    regions = torch.tensor([[10.0, 10, 20, 20]]).repeat(3 * BLOCK + 5, 1)
    regions[::3] = torch.tensor([40.0, 40, 45, 45])
    goals = torch.tensor([[0.0, 0, 200, 100], [500, 500, 501, 501]])
    matched = agree(regions, goals, 0.7, 0.3)
    assert (matched == 0).sum() == 2 * (BLOCK + 1) + 1 and (matched[::3] == BACKGROUND).all()


def test_boxes_that_are_none() -> None:
    """Empty, swapped, endless and not a number, as regions and as objects."""
    inf, nan = float("inf"), float("nan")
    odd = torch.tensor(
        [
            [5.0, 5, 5, 30],
            [9, 9, 2, 3],
            [0, 0, 0, 0],
            [nan, 0, 10, 10],
            [0, 0, 10, nan],
            [-inf, -inf, inf, inf],
            [0, 0, inf, 5],
            [inf, inf, inf, inf],
            [0, 0, 1e-30, 1e-30],
            [0, 0, 1e25, 1e25],
            [0, 0, 10, 10],
        ]
    )
    for limits in THRESHOLDS:
        agree(odd, odd, *limits)
        agree(torch.cat([anchors(), odd]), odd, *limits)
    assert torch.equal(fast_covered(odd, odd, 0.5), covered.reference(odd, odd, 0.5))


@settings(max_examples=150)
@given(st.data())
def test_any_boxes(data: st.DataObject) -> None:
    """Whole corners on a small field, so that overlaps are often equal."""
    corner = st.integers(0, 12).map(float)
    box = st.lists(corner, min_size=4, max_size=4)
    rows = [data.draw(st.lists(box, max_size=most)) for most in (30, 6)]
    regions, goals = (torch.tensor(r, dtype=torch.float32).reshape(-1, 4) for r in rows)
    positive, negative = data.draw(st.sampled_from(THRESHOLDS))
    agree(regions, goals, positive, negative)
    share = data.draw(st.sampled_from([0.0, 0.25, 0.5]))
    assert torch.equal(
        fast_covered(regions, goals, share), covered.reference(regions, goals, share)
    )


def test_the_answer_does_not_depend_on_threads() -> None:
    regions, goals = anchors().repeat(5, 1), objects(20, 1, True)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(
            (fast_match(regions, goals, 0.7, 0.3, True), fast_covered(regions, goals, 0.5))
        )
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for one in found[1:] for a, b in zip(one, found[0], strict=True))


def test_other_precisions_and_layouts() -> None:
    regions, goals = anchors(), objects(9, 2, False)
    agree(regions.double(), goals.double(), 0.7, 0.3)
    agree(regions.flip(1).flip(1).t().contiguous().t(), goals[::2], 0.7, 0.3)
    agree(regions[:0], goals, 0.7, 0.3)
    agree(regions.clone().requires_grad_(), goals, 0.7, 0.3)


def test_crowds_through_the_matcher() -> None:
    """Rows are those of all objects, and what a crowd covers by more than half is set aside."""
    regions, boxes = anchors(), objects(12, 5, False)
    boxes[3] = torch.tensor([20.0, 30, 300, 200])
    crowd = torch.arange(12) % 3 == 0
    goal = Targets(boxes, torch.zeros(12, dtype=torch.int64), crowd)
    matched = IouMatcher(0.7, 0.3)(regions, torch.zeros(len(regions), dtype=torch.int64), goal)
    plain = match_by_iou.reference(regions, boxes[~crowd], 0.7, 0.3, True)
    rows = (~crowd).nonzero()[:, 0]
    wanted = torch.where(plain >= 0, rows[plain.clamp(min=0)], plain)
    inside = covered.reference(regions, boxes[crowd], 0.5)
    assert torch.equal(matched, torch.where((wanted < 0) & inside, IGNORED, wanted))
    assert ((matched == IGNORED) & (plain == BACKGROUND)).any()
