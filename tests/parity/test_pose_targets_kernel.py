"""The kernels draw the maps and fields of their definitions, and quickly."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UsageError
from sightline.ops.pose_targets import affinity_fields, part_maps

LIMBS = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 1]])


def people(seed: int, count: int, spread: float) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    places = (torch.rand(count, 3, 2, generator=draw) * 2 - 0.5) * spread
    seen = torch.randint(0, 3, (count, 3, 1), generator=draw)
    return torch.cat([places, seen], dim=2)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 6), spread=st.sampled_from([3.0, 14.0]))
def test_any_people(seed: int, count: int, spread: float) -> None:
    """In double precision on a grid that no cell's border lies on."""
    points = people(seed, count, spread).double()
    owner = torch.randint(0, 2, (count,), generator=torch.Generator().manual_seed(seed))
    mine = part_maps(points, owner, 2, (13, 17), 1.3)
    exact = part_maps.reference(points, owner, 2, (13, 17), 1.3)
    assert mine.shape == (2, 3, 13, 17)
    differs = (mine - exact).abs() > 1e-6  # but where exp(…) is the least that counts
    assert (exact[differs].maximum(mine[differs].double()) < 0.0101).all()
    mine = affinity_fields(points, owner, LIMBS, 2, (13, 17), 1.1)
    exact = affinity_fields.reference(points, owner, LIMBS, 2, (13, 17), 1.1)
    assert mine.shape == (2, 8, 13, 17)
    assert (mine - exact).abs().max() < 1e-6


def test_worked_example() -> None:
    """A limb of four cells to the right, and a second person's upwards through its middle."""
    points = torch.tensor([[[0.5, 1.5, 2], [4.5, 1.5, 1]], [[2.5, 3.5, 2], [2.5, 0.5, 2]]])
    owner, limb = torch.tensor([0, 0]), torch.tensor([[0, 1]])
    for draw in (affinity_fields, affinity_fields.reference):
        field = draw(points, owner, limb, 1, (4, 6), 0.5)[0]
        assert field[0, 1].tolist() == [1, 1, 0.5, 1, 1, 0]
        assert field[1, :, 2].tolist() == [-1, -0.5, -1, -1]
        assert field.abs().sum() == 4 + 1 + 3
    for draw in (part_maps, part_maps.reference):
        maps = draw(points, owner, 1, (4, 6), 1.0)[0]
        assert maps[0, 1, 0] == 1 and maps[0, 3, 2] == 1
        assert float(maps[0, 1, 1]) == pytest.approx(math.exp(-1))
        assert float(maps[0, 2, 1]) == pytest.approx(math.exp(-2))  # the nearer of both


def test_far_away_and_unknown_leave_nothing() -> None:
    points = torch.tensor([[[1e30, 2, 2], [-1e30, 2, 2]], [[3, 3, 0], [4, 4, 2.0]]])
    owner = torch.tensor([0, 1])
    fields = affinity_fields(points, owner, torch.tensor([[0, 1]]), 2, (5, 6), 1.0)
    assert fields[1].abs().sum() == 0 and fields.isfinite().all()
    maps = part_maps(points, owner, 2, (5, 6), 1.0)
    assert maps[0].sum() == 0 and maps[1, 0].sum() == 0 and maps[1, 1].max() > 0.6


def test_what_is_not_there() -> None:
    one = torch.zeros(1, 2, 3)
    with pytest.raises(UsageError, match="beyond"):
        part_maps(one, torch.tensor([1]), 1, (4, 4), 1.0)
    with pytest.raises(UsageError, match="limb ends beyond"):
        affinity_fields(one, torch.tensor([0]), torch.tensor([[0, 2]]), 1, (4, 4), 1.0)
    with pytest.raises(UsageError, match="wanted"):
        part_maps(torch.zeros(1, 2, 2), torch.tensor([0]), 1, (4, 4), 1.0)
