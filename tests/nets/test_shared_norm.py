"""The norm of a shared batch is PyTorch's own, to the last digits of double precision."""

import copy

import pytest
import torch
from torch import nn

from sightline import processes
from sightline.nets.shared_norm import trained_norm


def test_it_is_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(5).double()
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    shared = copy.deepcopy(plain)
    pixels = torch.randn(3, 5, 4, 6, dtype=torch.float64) * 3 + 1
    one, two = (pixels.clone().requires_grad_() for _ in range(2))
    weight = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    for _ in range(2):
        (plain(one) * weight).sum().backward()
        with monkeypatch.context() as patch:
            patch.setattr(processes, "joined", lambda: True)
            patch.setattr(processes, "total", torch.clone)
            y = trained_norm(shared, two)
        (y * weight).sum().backward()
    assert one.grad is not None and two.grad is not None
    torch.testing.assert_close(two.grad, one.grad, rtol=1e-12, atol=1e-12)
    for (name, a), b in zip(plain.state_dict().items(), shared.state_dict().values(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-12, msg=name)
    for a, b in zip(plain.parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-12, atol=1e-12)


def test_alone_it_is_the_module_itself() -> None:
    norm, x = nn.BatchNorm2d(2), torch.randn(3, 2, 4, 5)
    other = copy.deepcopy(norm)
    assert torch.equal(trained_norm(norm, x), other(x))
    norm.eval()
    other.eval()
    assert torch.equal(trained_norm(norm, x), other(x))


def test_one_cell_of_one_image_is_a_batch_too() -> None:
    norm = nn.BatchNorm2d(3)
    for _ in range(5):
        norm(torch.randn(4, 3, 2, 2) * 2 + 1)
    seen = norm.num_batches_tracked.item() if norm.num_batches_tracked is not None else None
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    y = trained_norm(norm, x)
    assert torch.equal(y, norm.eval()(x))
    y.sum().backward()
    assert x.grad is not None and x.grad.abs().min() > 0 and norm.weight.grad is not None
    assert norm.num_batches_tracked is not None and norm.num_batches_tracked.item() == seen
