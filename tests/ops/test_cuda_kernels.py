"""The Triton kernels against their definitions, on a GPU or, slowly, by Triton's interpreter."""

import importlib.util
import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.nms import nms, nms_classwise
from sightline.ops.roi_align import roi_align
from sightline.ops.roi_pool import roi_pool

GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
if not GPU and not INTERPRETED:
    pytest.skip("neither a GPU nor TRITON_INTERPRET=1", allow_module_level=True)

from sightline.kernels.cuda import nms as fast_nms  # noqa: E402 - Triton may not be there
from sightline.kernels.cuda import roi_align as fast_align  # noqa: E402
from sightline.kernels.cuda import roi_pool as fast_pool  # noqa: E402

DEVICE = "cuda" if GPU else "cpu"
Shape = tuple[int, int, int, int]
Regions = tuple[Tensor, Tensor]


def many(on_gpu: int, interpreted: int) -> int:
    """The interpreter runs one program after the other."""
    return on_gpu if GPU else interpreted


def crowd(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes with ties, empty and swapped ones, and some that are not finite; scores and groups."""
    rng = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=rng) * 5 * max(count, 1) ** 0.5
    side = torch.rand(count, 2, generator=rng) * 40 - 4
    boxes = torch.cat([centre - side / 2, centre + side / 2], dim=1).round()
    scores = (torch.rand(count, generator=rng) * 50).round() / 50 - 0.3
    if count > 30:
        boxes[3, 1], boxes[5, 2], scores[7], scores[8] = (float(v) for v in ("nan", "inf") * 2)
        boxes[20:22] = torch.tensor([-3e38, -3e38, 3e38, 3e38])
        scores[10:12] = torch.tensor([-0.0, 0.0])
    return boxes, scores, torch.randint(-3, 3, (count,), generator=rng)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [0, 1, 31, 33, 64, 65, many(1000, 90), many(4500, 130)])
def test_suppression_is_the_definition_s(count: int, threshold: float) -> None:
    boxes, scores, groups = crowd(count, count)
    there = [value.to(DEVICE) for value in (boxes, scores, groups)]
    want = nms.reference(boxes, scores, threshold)
    grouped = nms_classwise.reference(boxes, scores, groups, threshold)
    for limit in (None, 0, 1, 40):
        found = fast_nms.nms(there[0], there[1], threshold, limit)
        assert found.dtype == torch.int64 and found.tolist() == want[:limit].tolist()
        found = fast_nms.nms_classwise(*there, threshold, limit)
        assert found.tolist() == grouped[:limit].tolist()


@pytest.mark.skipif(not GPU, reason="takes minutes without a GPU")
def test_suppression_of_twenty_thousand() -> None:
    boxes, scores, groups = crowd(20_000, 1)
    want = nms_classwise.reference(boxes, scores, groups, 0.5)
    found = fast_nms.nms_classwise(boxes.to(DEVICE), scores.to(DEVICE), groups.to(DEVICE), 0.5)
    assert found.tolist() == want.tolist()


def test_faults_are_told_as_by_the_definition() -> None:
    boxes, scores, groups = (value.to(DEVICE) for value in crowd(4, 0))
    for threshold in (-0.1, float("nan")):
        with pytest.raises(UsageError, match="threshold"):
            fast_nms.nms_classwise(boxes, scores, groups, threshold)
    with pytest.raises(UsageError, match="limit"):
        fast_nms.nms(boxes, scores, 0.5, -1)
    maps, wrong = torch.zeros(1, 2, 3, 3, device=DEVICE), torch.ones_like(groups)
    for op in (fast_align.roi_align, fast_pool.roi_pool):
        with pytest.raises(UsageError, match="images"):
            op(maps, boxes, wrong, (2, 2), 0.5)


def regions(shape: Shape, count: int, scale: float) -> tuple[Tensor, Regions]:
    """Maps, and regions in and around them: empty, swapped, far outside, the whole map."""
    rng = torch.Generator().manual_seed(shape[1])
    extent = torch.tensor([shape[3], shape[2]]) / scale
    centre = torch.rand(count, 2, generator=rng) * extent * 1.4 - extent * 0.2
    side = torch.rand(count, 2, generator=rng) * extent * 0.8
    boxes = torch.cat([centre - side / 2, centre + side / 2], dim=1)
    odd = [[3.0, 3, 3, 3], [9, 9, 1, 2], [-500, -500, -400, -400], [0, 0, *extent.tolist()]]
    boxes[: min(count, 4)] = torch.tensor(odd)[: min(count, 4)]
    image = torch.randint(0, shape[0], (count,), generator=rng)
    return torch.randn(shape, generator=rng), (boxes, image)


def learnt(op: Callable[[Tensor], Tensor], maps: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
    """The answer and the gradient that `outer` makes."""
    maps = maps.detach().clone().requires_grad_()
    answer = op(maps)
    if not answer.requires_grad:  # the definition's, of no regions
        return answer, torch.zeros_like(maps)
    (gradient,) = torch.autograd.grad(answer, maps, outer.to(answer))
    return answer.detach(), gradient


EXACT, HALF = torch.float32, torch.bfloat16
CASES = [
    ((1, 1, 1, 1), 5, (1, 1), EXACT),
    ((2, 3, 5, 6), 6, (2, 3), EXACT),
    ((2, 3, 5, 6), 6, (2, 3), HALF),
    ((2, 4, 4, 4), 0, (2, 2), EXACT),
]
# Each new kind of shape is compiled anew on a GPU, a second or so each.
if GPU:
    big = (2, 256, 33, 48)
    CASES += [(big, 12, (7, 7), EXACT), (big, 12, (7, 7), HALF)]
    CASES += [((3, 8, 200, 160), 8, (7, 7), EXACT)]
else:
    CASES += [((1, 96, 3, 4), 4, (2, 2), EXACT), ((2, 300, 3, 3), 4, (1, 2), HALF)]
    CASES += [((1, 2, 66, 2), 4, (2, 1), EXACT)]
ALL = pytest.mark.parametrize(("shape", "count", "size", "dtype"), CASES)


def compare(
    fast: Callable[[Tensor], Tensor],
    slow: Callable[[Tensor], Tensor],
    maps: Tensor,
    outer: Tensor,
    close: float,
) -> None:
    """Answers, gradients and their dtypes; the same bits again; channels last in memory."""
    given = maps.to(DEVICE), outer.to(DEVICE)
    answer, gradient = learnt(fast, *given)
    want, slope = learnt(slow, maps.double(), outer.double())
    assert answer.dtype == gradient.dtype == maps.dtype
    torch.testing.assert_close(answer.cpu().double(), want, rtol=close, atol=close)
    torch.testing.assert_close(gradient.cpu().double(), slope, rtol=close, atol=4 * close)
    assert answer.permute(0, 2, 3, 1).is_contiguous()
    again = learnt(fast, *given)
    assert torch.equal(answer, again[0]) and torch.equal(gradient, again[1])


@ALL
def test_align(shape: Shape, count: int, size: tuple[int, int], dtype: torch.dtype) -> None:
    maps, (boxes, image) = regions(shape, count, 0.25)
    outer = torch.randn(count, shape[1], *size, generator=torch.Generator().manual_seed(0))
    where = boxes.to(DEVICE), image.to(DEVICE)
    for rule in ((2, False), (0, True)):
        compare(
            lambda x, rule=rule: fast_align.roi_align(x, *where, size, 0.25, *rule),
            lambda x, rule=rule: roi_align.reference(x, boxes, image, size, 0.25, *rule),
            maps.to(dtype),
            outer.to(dtype),
            1e-5 if dtype == torch.float32 else 1e-2,
        )


@pytest.mark.parametrize("neighbours", [1, 4])
def test_align_by_as_many_cells_a_program(neighbours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_align, "neighbours", lambda *_: neighbours)
    maps, (boxes, image) = regions((2, 3, 5, 6), 6, 0.25)
    where = boxes.to(DEVICE), image.to(DEVICE)
    compare(
        lambda x: fast_align.roi_align(x, *where, (2, 3), 0.25, 1),
        lambda x: roi_align.reference(x, boxes, image, (2, 3), 0.25, 1),
        maps,
        torch.ones(6, 3, 2, 3),
        1e-5,
    )


@ALL
def test_pool(shape: Shape, count: int, size: tuple[int, int], dtype: torch.dtype) -> None:
    maps, (boxes, image) = regions(shape, count, 0.25)
    maps = (maps * 2).round() / 2  # many equal maxima
    outer = torch.randn(count, shape[1], *size, generator=torch.Generator().manual_seed(0))
    where = boxes.to(DEVICE), image.to(DEVICE)
    compare(
        lambda x: fast_pool.roi_pool(x, *where, size, 0.25),
        lambda x: roi_pool.reference(x, boxes, image, size, 0.25),
        maps.to(dtype),
        outer.to(dtype),
        1e-5 if dtype == torch.float32 else 1e-2,
    )
    want = roi_pool.reference(maps, boxes, image, size, 0.25)
    with torch.no_grad():
        assert torch.equal(fast_pool.roi_pool(maps.to(DEVICE), *where, size, 0.25).cpu(), want)


def test_pool_keeps_what_is_not_a_number() -> None:
    maps = torch.randn(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    maps[0, 0, 2, 2], maps[0, 1] = float("nan"), -float("inf")
    boxes, image = torch.tensor([[0.0, 0, 16, 16], [4, 4, 12, 12]]), torch.zeros(2).long()
    found = fast_pool.roi_pool(maps.to(DEVICE), boxes.to(DEVICE), image.to(DEVICE), (2, 2), 0.25)
    want = roi_pool.reference(maps, boxes, image, (2, 2), 0.25)
    torch.testing.assert_close(found.cpu(), want, equal_nan=True)
