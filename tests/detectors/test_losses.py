"""The shared losses against their formulas, and their limits."""

import math

import pytest
import torch
from torch.nn import functional as F

from sightline.detectors.losses import focal
from sightline.ops.quality_focal import quality_focal


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.75])
def test_focal_is_equation_5(gamma: float, alpha: float | None) -> None:
    logits, targets = torch.linspace(-6, 6, 25), torch.zeros(25)
    targets[::3] = 1
    expected = 0.0
    for x, y in zip(logits.tolist(), targets.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        pt = p if y == 1 else 1 - p
        weight = 1.0 if alpha is None else (alpha if y == 1 else 1 - alpha)
        expected += -weight * (1 - pt) ** gamma * math.log(pt)
    assert float(focal(logits, targets, alpha, gamma)) == pytest.approx(expected, rel=1e-5)


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    logits, targets = torch.randn(50), (torch.rand(50) > 0.7).float()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    torch.testing.assert_close(focal(logits, targets, None, 0.0), entropy)


def test_quality_focal_is_equation_4() -> None:
    logits, targets = torch.linspace(-4, 4, 17), torch.linspace(0, 1, 17)
    p = logits.sigmoid()
    entropy = -(targets * p.log() + (1 - targets) * (1 - p).log())
    expected = ((targets - p).abs() ** 2 * entropy).sum()
    torch.testing.assert_close(quality_focal(logits, targets), expected, rtol=1e-5, atol=1e-6)


def test_quality_focal_is_least_where_score_is_quality() -> None:
    target = torch.tensor([0.6])
    logits = torch.tensor([0.6]).logit().requires_grad_()
    loss = quality_focal(logits, target)
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=1e-12)
    assert logits.grad is not None and float(logits.grad) == pytest.approx(0, abs=1e-6)
    for other in (0.3, 0.59, 0.61, 0.9):
        assert quality_focal(torch.tensor([other]).logit(), target) > loss


@pytest.mark.parametrize("loss", [focal, quality_focal])
def test_gradients_agree_with_differences(loss: object) -> None:
    logits = torch.randn(7, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 0, 0, 1, 0, 1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits)  # type: ignore[operator]


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    for loss in (focal, quality_focal):
        for targets in (torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])):
            value = loss(logits, targets)
            (gradient,) = torch.autograd.grad(value, logits)
            assert value.isfinite() and gradient.isfinite().all()
