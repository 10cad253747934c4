"""The kernels of RoIAlign and RoIPool give their definitions' numbers, forward and back."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.roi_align import roi_align as fast_align
from sightline.kernels.cpu.roi_pool import roi_pool as fast_pool
from sightline.ops.roi_align import roi_align
from sightline.ops.roi_pool import roi_pool

SIZES = [(1, 1), (3, 5), (7, 7), (14, 2)]


def draw(
    seed: int, regions: int = 40, precision: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Maps of 9 × 13 cells of 16 pixels, and regions on them, over their edges, outside, empty."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 5, 9, 13, generator=rng, dtype=precision)
    corners = torch.rand(regions, 2, 2, generator=rng) * torch.tensor([300.0, 220.0]) - 40
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    boxes = torch.cat([low, high], dim=1)
    edge = [[0, 0, 0, 0], [208, 144, 208, 144], [500, 500, 600, 700], [100, 90, 20, 10]]
    edge += [
        [-300, -300, -200, -200],
        [0, 0, 208, 144],
        [-1000, -1000, 3000, 2000],
        [16, 16, 48, 64],
    ]
    count = min(len(edge), regions)
    boxes[:count] = torch.tensor(edge[:count], dtype=torch.float32)
    return features, boxes, torch.randint(0, 2, (regions,), generator=rng)


def both(op: object, features: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
    own = features.detach().clone().requires_grad_()
    answer = op(own, *rest)  # type: ignore[operator]
    outer = torch.randn(answer.shape, generator=torch.Generator().manual_seed(1))
    return answer.detach(), torch.autograd.grad(answer, own, outer.to(answer.dtype))[0]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_align(size: tuple[int, int], sampling: int, aligned: bool) -> None:
    features, *where = draw(sampling)
    given = (*where, size, 1 / 16, sampling, aligned)
    for mine, exact in zip(
        both(fast_align, features, *given), both(roi_align.reference, features, *given), strict=True
    ):
        torch.testing.assert_close(mine, exact, rtol=1e-5, atol=4e-6)


@pytest.mark.parametrize("size", SIZES)
def test_pool_is_equal_to_the_bit(size: tuple[int, int]) -> None:
    features, *where = draw(7)
    mine = both(fast_pool, features, *where, size, 1 / 16)
    exact = both(roi_pool.reference, features, *where, size, 1 / 16)
    assert torch.equal(mine[0], exact[0])
    torch.testing.assert_close(mine[1], exact[1], rtol=1e-5, atol=4e-6)  # another order of sums
    with torch.inference_mode():
        assert torch.equal(fast_pool(features, *where, size, 1 / 16), exact[0])


@settings(max_examples=80, deadline=None)
@given(
    box=st.lists(st.floats(-100, 400, width=32), min_size=4, max_size=4),
    cells=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    sampling=st.integers(0, 4),
    aligned=st.booleans(),
)
def test_any_region_of_any_map(
    box: list[float], cells: tuple[int, int], size: tuple[int, int], sampling: int, aligned: bool
) -> None:
    features = torch.arange(2.0 * cells[0] * cells[1]).sin().view(1, 2, *cells)
    where = (torch.tensor([box]), torch.zeros(1, dtype=torch.int64), size, 1 / 16)
    torch.testing.assert_close(
        both(fast_align, features, *where, sampling, aligned),
        both(roi_align.reference, features, *where, sampling, aligned),
        rtol=1e-4,
        atol=1e-5,
    )
    assert torch.equal(fast_pool(features, *where), roi_pool.reference(features, *where))


@pytest.mark.parametrize("op", [roi_align, roi_pool])
def test_channels_last_and_other_precisions(op: object) -> None:
    features, *where = draw(3)
    want = op(features, *where, (7, 7), 1 / 16)  # type: ignore[operator]
    last = features.contiguous(memory_format=torch.channels_last)
    assert torch.equal(op(last, *where, (7, 7), 1 / 16), want)  # type: ignore[operator]
    half = op(features.bfloat16(), *where, (7, 7), 1 / 16)  # type: ignore[operator]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), want, rtol=0.02, atol=0.02)
    double = op(features.double(), *where, (7, 7), 1 / 16)  # type: ignore[operator]
    assert double.dtype == torch.float64
    none = op(features, where[0][:0], where[1][:0], (7, 7), 1 / 16)  # type: ignore[operator]
    assert none.shape == (0, 5, 7, 7)


@pytest.mark.parametrize("fast", [fast_align, fast_pool])
def test_the_answer_does_not_depend_on_threads(fast: object) -> None:
    features, *where = draw(5, regions=300)
    features = torch.cat([features] * 8, dim=1)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(both(fast, features, *where, (7, 7), 1 / 16))
    torch.set_num_threads(before)
    for other, of in itertools.product(found[1:], range(2)):
        assert torch.equal(other[of], found[0][of])


@pytest.mark.parametrize("fast", [fast_align, fast_pool])
def test_alone_or_among_others(fast: object) -> None:
    features, boxes, image = draw(11)
    among = fast(features, boxes, image, (7, 7), 1 / 16)  # type: ignore[operator]
    for row in (0, 9, 21):
        one = slice(row, row + 1)
        own = features[image[one]]
        alone = fast(own, boxes[one], torch.zeros(1, dtype=torch.int64), (7, 7), 1 / 16)  # type: ignore[operator]
        assert torch.equal(alone[0], among[row])


def test_what_is_not_a_number_is_not_lost() -> None:
    features = torch.randn(1, 40, 6, 8)
    features[0, 3, 2, 4] = math.nan
    box, image = torch.tensor([[0.0, 0.0, 128.0, 96.0]]), torch.zeros(1, dtype=torch.int64)
    for grad in (False, True):
        found = fast_pool(features.requires_grad_(grad), box, image, (1, 1), 1 / 16)
        assert found.isnan().flatten().tolist() == [channel == 3 for channel in range(40)]
    assert fast_align(features.detach(), box, image, (2, 2), 1 / 16, 0).isnan().any()


@pytest.mark.parametrize("op", [roi_align, roi_align.reference, roi_pool, roi_pool.reference])
def test_what_cannot_be_read_is_refused(op: object) -> None:
    features, boxes, image = draw(2)

    def refused(code: str, *given: object) -> None:
        with pytest.raises(UsageError) as caught:
            op(*given)  # type: ignore[operator]
        assert caught.value.code == code

    assert op(features, boxes, image, (2, 2), 1 / 16).isfinite().all()  # type: ignore[operator]
    refused("usage.shape", features, boxes, image + 1, (2, 2), 1 / 16)
    refused("usage.shape", features, boxes, image - 1, (2, 2), 1 / 16)
    if op in (roi_align, roi_pool):  # tests check the definitions' own shapes before
        refused("usage.shape", features, boxes, image[1:], (2, 2), 1 / 16)
    refused("usage.shape", features, boxes, image, (0, 2), 1 / 16)
    refused("usage.shape", features[:, :, :0], boxes, image, (2, 2), 1 / 16)
    refused("usage.out_of_range", features, boxes, image, (2, 2), 0.0)
    for wrong in (math.nan, math.inf, 1e9):
        bad = boxes.clone()
        bad[4, 2] = wrong
        refused("usage.out_of_range", features, bad, image, (2, 2), 1 / 16)
