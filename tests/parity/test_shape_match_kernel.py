"""The kernel that finds each box's nearest shape gives the bits of its definition."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.kernels.cpu.shape_match import nearest_shapes as fast
from sightline.ops.shape_match import nearest_shapes


def draw(count: int, seed: int) -> torch.Tensor:
    sides = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    return (sides * 30).ceil().double()


@pytest.mark.parametrize(("boxes", "priors"), [(0, 3), (1, 1), (500, 7), (33, 40)])
def test_it_is_the_definition(boxes: int, priors: int) -> None:
    """Whole sides, so that many boxes are equally near to two priors: the first is taken."""
    sides, shapes = draw(boxes, 1), draw(priors, 2)
    for mine, exact in zip(
        fast(sides, shapes), nearest_shapes.reference(sides, shapes), strict=True
    ):
        assert torch.equal(mine, exact)


def test_views_are_read_as_they_are() -> None:
    sides, shapes = draw(50, 3), draw(5, 4)
    assert torch.equal(fast(sides.flip(0)[::2], shapes)[1], fast(sides, shapes)[1].flip(0)[::2])


@pytest.mark.parametrize("wrong", [torch.zeros(3, 2), torch.zeros(0, 2).double()])
def test_what_is_no_shape(wrong: torch.Tensor) -> None:
    for find in (fast, nearest_shapes.reference):
        with pytest.raises(UsageError) as caught:
            find(draw(4, 5), wrong)
        assert caught.value.code == "usage.shape"


def test_three_columns_are_not_read_as_two() -> None:
    with pytest.raises(UsageError, match=r"\(3, 3\)"):
        fast(draw(4, 5), torch.ones(3, 3).double())
