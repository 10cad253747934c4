"""Scores and boxes of priors: the kernel answers as the definition does, and as the papers say."""

import math

import pytest
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.prior_answers import independent_answers

NAN, INF = float("nan"), float("inf")


def draw(rows: int, classes: int, seed: int, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    raw = torch.randn(rows, 5 + classes, generator=rng) * spread
    corner = torch.rand(rows, 2, generator=rng) * 400
    priors = torch.cat([corner, corner + 1 + torch.rand(rows, 2, generator=rng) * 300], 1)
    return raw, priors, torch.randint(8, 33, (rows,), generator=rng).float()


def test_one_prior_by_hand() -> None:
    raw = torch.tensor([[0.0, math.log(3), math.log(2), 0.0, math.log(4), 0.0, -math.log(9)]])
    scores, boxes = independent_answers(raw, torch.tensor([[4.0, 2, 28, 30]]), torch.tensor([8.0]))
    torch.testing.assert_close(scores, torch.tensor([[0.8 * 0.5, 0.8 * 0.1]]))
    # σ = ½ and ¾ of a cell of 8 pixels around (16, 16); twice as wide
    torch.testing.assert_close(boxes, torch.tensor([[16 - 24.0, 18 - 14, 16 + 24, 18 + 14]]))


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize(("rows", "classes"), [(0, 3), (1, 1), (7, 80), (1500, 20)])
def test_kernel_is_definition(rows: int, classes: int, spread: float) -> None:
    columns = draw(rows, classes, rows + classes, spread)
    exact = independent_answers.reference(*(column.double() for column in columns))
    scores, boxes = independent_answers(*columns)
    torch.testing.assert_close(scores.double(), exact[0], rtol=1e-6, atol=1e-30)
    torch.testing.assert_close(boxes.double(), exact[1], rtol=1e-5, atol=1e-3)


def test_numbers_without_end_and_what_is_none() -> None:
    """A score that is no number must not pass for one."""
    numbers = [NAN, INF, -INF, 1e30, -1e30, 88.0, -88.0]
    raw, priors, stride = draw(7 * 9, 2, 5, 1.0)
    for row, value in enumerate(numbers):
        for column in range(7):
            raw[7 * row + column, column] = value
    mine = independent_answers(raw, priors, stride)
    for found, wanted in zip(mine, independent_answers.reference(raw, priors, stride), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-3, equal_nan=True)


def test_views_precisions_and_threads() -> None:
    raw, priors, stride = draw(5000, 6, 9, 2.0)
    half = independent_answers(raw.bfloat16(), priors, stride)
    assert torch.equal(half[0], independent_answers(raw.bfloat16().float(), priors, stride)[0])
    every = independent_answers(raw[::2, :9], priors[::2], stride[::2])
    alone = independent_answers(raw[::2, :9].clone(), priors[::2].clone(), stride[::2].clone())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        other = independent_answers(raw[::2, :9], priors[::2], stride[::2])
    finally:
        torch.set_num_threads(threads)
    for a, b, c in zip(every, alone, other, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_other_shapes_are_refused() -> None:
    raw, priors, stride = draw(4, 2, 1, 1.0)
    for columns in ((raw[:, :5], priors, stride), (raw, priors[:3], stride), (raw, priors, raw)):
        with pytest.raises(UsageError) as caught:
            independent_answers(*columns)
        assert caught.value.code == "usage.shape"
