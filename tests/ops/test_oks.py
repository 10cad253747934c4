"""Object keypoint similarity, and suppression by it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from sightline.errors import UsageError
from sightline.ops.oks import oks, oks_nms

SIGMAS = torch.tensor([0.05, 0.1, 0.2])


def poses(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 2, generator=torch.Generator().manual_seed(seed)) * 50


def test_the_formula() -> None:
    """One pixel off in each point: exp(−d² / (2 s² (2σ)²)), the mean of three."""
    here = torch.tensor([[[10.0, 10.0], [20.0, 10.0], [30.0, 10.0]]])
    area = torch.tensor([100.0])
    wanted = sum(math.exp(-1 / (2 * 100 * (2 * s) ** 2)) for s in (0.05, 0.1, 0.2)) / 3
    found = oks(here, here + torch.tensor([1.0, 0.0]), area, area, SIGMAS)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10))
def test_it_is_symmetric_and_does_not_know_the_scale(seed: int, scale: float) -> None:
    a, b = poses(4, seed), poses(3, seed + 1)
    areas = torch.arange(1.0, 5.0) * 100, torch.arange(1.0, 4.0) * 200
    found = oks(a, b, *areas, SIGMAS)
    assert ((found >= 0) & (found <= 1)).all()
    torch.testing.assert_close(found, oks(b, a, areas[1], areas[0], SIGMAS).T)
    larger = oks(a * scale, b * scale, areas[0] * scale**2, areas[1] * scale**2, SIGMAS)
    torch.testing.assert_close(found, larger, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(oks(a, a, areas[0], areas[0], SIGMAS).diag(), torch.ones(4))


def test_the_better_of_two_alike_stays() -> None:
    base = poses(2, 0) + torch.tensor([[[0.0, 0.0]], [[200.0, 0.0]]])
    all_of_them = torch.cat([base, base + 0.1])
    scores, areas = torch.tensor([0.5, 0.9, 0.8, 0.7]), torch.full((4,), 2500.0)
    assert oks_nms(all_of_them, areas, scores, SIGMAS, 0.9).tolist() == [1, 2]
    assert oks_nms(all_of_them, areas, scores, SIGMAS, 1.0).tolist() == [1, 2, 3, 0]
    assert oks_nms(all_of_them[:0], areas[:0], scores[:0], SIGMAS, 0.9).tolist() == []


def test_what_is_not_finite_is_neither_kept_nor_suppresses() -> None:
    same = poses(1, 3).repeat(3, 1, 1)
    same[0, 1, 0] = math.nan
    scores, areas = torch.tensor([0.9, math.inf, 0.3]), torch.full((3,), 100.0)
    assert oks_nms(same, areas, scores, SIGMAS, 0.5).tolist() == [2]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan])
def test_wrong_calls_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError):
        oks_nms(poses(2, 0), torch.ones(2), torch.ones(2), SIGMAS, threshold)
    with pytest.raises((UsageError, TypeCheckError)):
        oks(poses(2, 0), poses(2, 0), torch.ones(2), torch.ones(2), SIGMAS[:2])
