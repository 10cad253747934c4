"""The kernel that takes the best of each group marks what its definition marks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.kernels.cpu.candidates import GROUPS
from sightline.kernels.cpu.candidates import best_of_each as fast
from sightline.ops.candidates import best_of_each


@pytest.mark.parametrize("limit", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("digits", [1, 3, 9])
def test_levels_of_many_scores(limit: int, digits: int) -> None:
    """Rounded, so that up to hundreds are equal; groups of 1 … 3,000 in any order."""
    draw = torch.Generator().manual_seed(limit + digits)
    scores = torch.randn(6000, generator=draw).round(decimals=digits)
    groups = (torch.rand(6000, generator=draw) ** 3 * 7).long() + 40
    scores[::501], scores[::502], scores[3::997] = math.inf, -math.inf, math.nan
    for values in (scores, scores.sigmoid(), scores.bfloat16(), scores.double()):
        mine, exact = fast(values, groups, limit), best_of_each.reference(values, groups, limit)
        assert torch.equal(mine, exact)
        counts = torch.bincount(groups[mine], minlength=int(groups.max()) + 1)
        assert torch.equal(counts, torch.bincount(groups).clamp(max=limit))


@settings(max_examples=150)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, -0.0, 0.25, -0.25, 1e-40, -1e-40, 1.0, math.inf, math.nan])
            | st.floats(width=32),
            st.integers(-2, 3),
        ),
        max_size=40,
    ),
    limit=st.integers(1, 12),
)
def test_any_scores(rows: list[tuple[float, int]], limit: int) -> None:
    scores = torch.tensor([score for score, _ in rows], dtype=torch.float32)
    groups = torch.tensor([group for _, group in rows], dtype=torch.int64)
    assert torch.equal(fast(scores, groups, limit), best_of_each.reference(scores, groups, limit))


def test_groups_far_apart() -> None:
    scores, groups = torch.tensor([1.0, 3.0, 2.0, 5.0]), torch.tensor([0, 0, GROUPS, 10**12])
    assert fast(scores, groups, 1).tolist() == [False, True, True, True]
