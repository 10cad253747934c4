"""The kernel of the quality focal loss gives the value and the gradient of its definition."""

import pytest
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.quality_focal import quality_focal as fast
from sightline.ops.quality_focal import quality_focal

SCALE = 0.37
"""What the gradient arrives with from outside."""


def both(loss: object, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    own = logits.detach().clone().requires_grad_()
    value = loss(own, targets)  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(value * SCALE, own)
    return value.detach(), gradient


def draw(shape: tuple[int, ...], seed: int, spread: float) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    targets = torch.rand(shape, generator=rng)
    targets[torch.rand(shape, generator=rng) < 0.7] = 0
    return torch.randn(shape, generator=rng) * spread - 1, targets


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("shape", [(0,), (1,), (1023,), (1024,), (1025,), (2, 300, 7)])
def test_value_and_gradient(shape: tuple[int, ...], spread: float) -> None:
    logits, targets = draw(shape, len(shape), spread)
    exact = both(quality_focal.reference, logits.double(), targets.double())
    value, gradient = both(fast, logits, targets)
    assert value.item() == pytest.approx(exact[0].item(), rel=1e-6, abs=1e-12)
    torch.testing.assert_close(gradient.double(), exact[1], rtol=2e-6, atol=2e-7)


def test_small_scores_keep_their_digits() -> None:
    """d QFL / dx = σ³ + 2 σ² (1 − σ) log(1 + eˣ) where y = 0, in double precision."""
    logits = torch.linspace(-80, -1, 500)
    _, gradient = both(fast, logits, torch.zeros(500))
    score = logits.double().sigmoid()
    exact = score**3 + 2 * score**2 * (1 - score) * torch.nn.functional.softplus(logits.double())
    seen = exact > 1e-36  # below that a float has no digits to keep
    relative = (gradient.double()[seen] / exact[seen] / SCALE - 1).abs().max()
    assert seen.sum() > 100 and relative < 1e-6


def test_extremes_are_finite_and_nan_stays_nan() -> None:
    logits = torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e4])
    value, gradient = both(fast, logits, torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))
    assert value.isfinite() and gradient.isfinite().all()
    assert both(fast, torch.tensor([0.0, float("nan")]), torch.zeros(2))[0].isnan()


def test_views_and_other_precisions() -> None:
    logits, targets = draw((4, 60, 9), 3, 2.0)
    part = (logits[:, 5:50, ::2], targets[:, 5:50, ::2])
    for mine, exact in zip(both(fast, *part), both(quality_focal.reference, *part), strict=True):
        torch.testing.assert_close(mine, exact, rtol=1e-5, atol=1e-6)
    assert fast(logits.double(), targets.double()).dtype == torch.float64
    with pytest.raises(UsageError):
        fast(logits, targets[:, :5])


def test_the_value_does_not_depend_on_threads() -> None:
    logits, targets = draw((3, 5000, 5), 8, 3.0)
    before = torch.get_num_threads()
    values = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        values.append(fast(logits, targets).item())
    torch.set_num_threads(before)
    assert values[0] == values[1]


def test_weights_are_those_of_the_definition() -> None:
    logits, targets = draw((4, 60, 9), 5, 2.0)
    weight = torch.rand(4, 60, 1) * 3
    values = [
        both(lambda x, y: loss(x, y, weight), logits, targets)  # noqa: B023
        for loss in (fast, quality_focal.reference)
    ]
    for mine, exact in zip(*values, strict=True):
        torch.testing.assert_close(mine, exact, rtol=1e-5, atol=1e-6)
    ones = both(lambda x, y: fast(x, y, torch.ones(4, 60, 1)), logits, targets)
    for mine, plain in zip(ones, both(fast, logits, targets), strict=True):
        assert torch.equal(mine, plain)
