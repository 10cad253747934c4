"""k-means with the distance 1 − IoU: what it finds, always the same, and what it refuses."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline import priors
from sightline.errors import UsageError


def around(*centres: tuple[float, float], count: int = 40) -> Tensor:
    """Boxes within 4 % of some shapes."""
    draw = torch.Generator().manual_seed(5)
    spread = 1 + 0.04 * (2 * torch.rand(len(centres), count, 2, generator=draw) - 1)
    return (torch.tensor(centres)[:, None] * spread).flatten(0, 1).double()


def test_a_worked_example() -> None:
    """Boxes 10×10, 10×12, 10×14 and 40×40. With two priors the small ones share their mean,
    (10, 12), with IoUs of 100/120, 1 and 120/140; the large one has its own.
    """
    found = priors.fit(torch.tensor([[10.0, 10], [10.0, 12], [10.0, 14], [40.0, 40]]), 2)
    assert found.sides.tolist() == [[10, 12], [40, 40]] and found.counts.tolist() == [3, 1]
    small = 5 / 6 + 1 + 6 / 7
    assert found.overlaps.tolist() == pytest.approx([small / 3, 1])
    assert found.mean_iou == pytest.approx((small + 1) / 4)


def test_shapes_that_are_there_are_found() -> None:
    """Whatever their sizes: with Euclidean distance the large ones would take all."""
    centres = ((4.0, 8), (12.0, 5), (30.0, 30), (60.0, 200), (300.0, 250))
    found = priors.fit(around(*centres), 5)
    torch.testing.assert_close(found.sides, torch.tensor(centres).double(), rtol=0.02, atol=0)
    assert found.counts.tolist() == [40] * 5 and found.mean_iou > 0.95


def test_as_many_priors_as_shapes_are_the_shapes() -> None:
    sides = torch.tensor([[3.0, 5], [7.0, 2], [9.0, 9]]).double()
    found = priors.fit(sides.repeat(4, 1), 3)
    assert found.mean_iou == pytest.approx(1)
    assert sorted(found.sides.tolist()) == sorted(sides.tolist())


def test_more_starts_are_no_worse_and_the_seed_decides() -> None:
    sides = torch.rand(300, 2, generator=torch.Generator().manual_seed(1)).double() * 100 + 1
    one, many = (priors.fit(sides, 6, seed=3, restarts=count) for count in (1, 8))
    assert many.mean_iou >= one.mean_iou
    again = priors.fit(sides, 6, seed=3, restarts=8)
    assert torch.equal(again.sides, many.sides) and again.mean_iou == many.mean_iou


def test_a_prior_without_boxes_moves_to_the_box_that_is_worst_off() -> None:
    """From (1, 1) twice, the second is nearest to none: it takes the odd box."""
    sides = torch.tensor([[1.0, 1]] * 9 + [[50.0, 60]]).double()
    found, mean = priors._settle(sides, torch.ones(2, 2).double())
    assert found.tolist() == [[1, 1], [50, 60]] and mean == pytest.approx(1)


def test_many_boxes_are_not_all_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample finds where to begin; counts, means and priors are those of all boxes."""
    centres = ((5.0, 9), (40.0, 30), (200.0, 150))
    sides = around(*centres, count=300)
    whole = priors.fit(sides, 3)
    monkeypatch.setattr(priors, "SAMPLE", 50)
    part = priors.fit(sides, 3)
    assert part.counts.tolist() == [300] * 3
    torch.testing.assert_close(part.sides, whole.sides, rtol=1e-6, atol=0)


def test_the_elbow_rises_and_ends_where_shapes_do() -> None:
    sides = torch.rand(200, 2, generator=torch.Generator().manual_seed(2)).double() * 50 + 1
    curve = list(priors.elbow(sides, range(1, 8)).values())
    assert len(curve) == 7 and all(b > a - 0.005 for a, b in itertools.pairwise(curve))
    assert list(priors.elbow(sides[:3], range(1, 8))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("sides", "count", "code"),
    [
        ([[1.0, 2]] * 5, 2, "priors.count"),
        ([], 1, "priors.count"),
        ([[1.0, 2]], 0, "priors.count"),
        ([[1.0, 0]], 1, "priors.sides"),
        ([[1.0, -3]], 1, "priors.sides"),
        ([[math.nan, 1]], 1, "priors.sides"),
        ([[math.inf, 1]], 1, "priors.sides"),
    ],
)
def test_what_cannot_be(sides: list[list[float]], count: int, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        priors.fit(torch.tensor(sides).view(-1, 2), count)
    assert caught.value.code == code


side = st.floats(0.5, 500)


@settings(max_examples=25)
@given(st.lists(st.tuples(side, side), min_size=4, max_size=40, unique=True), st.integers(1, 4))
def test_laws(rows: list[tuple[float, float]], count: int) -> None:
    """Every box has a prior, priors lie among the boxes, and another unit changes nothing else."""
    sides = torch.tensor(rows).double()
    found = priors.fit(sides, count)
    assert len(found) == count and int(found.counts.sum()) == len(rows)
    assert 0 < found.mean_iou <= 1 + 1e-12
    assert (found.sides >= sides.amin(dim=0) - 1e-9).all()
    assert (found.sides <= sides.amax(dim=0) + 1e-9).all()
    assert (found.sides.prod(dim=1).diff() >= 0).all()
    double = priors.fit(2 * sides, count)
    torch.testing.assert_close(double.sides, 2 * found.sides)
