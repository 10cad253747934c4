"""Batch norm trained, frozen and folded: one block, one answer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.nets.blocks import ConvNorm, fold, freeze_norms, optimise
from sightline.nets.mobilenet import MobileNetV2


def lively(block: nn.Module) -> nn.Module:
    """The same block with statistics as after training."""
    generator = torch.Generator().manual_seed(7)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                assert value is not None
                value.data.copy_(torch.rand(value.shape, generator=generator) + 0.3)
    return block.eval()


@pytest.mark.parametrize(
    "groups, stride, activation",
    [(1, 1, "relu"), (6, 2, "relu6"), (1, 2, None), (1, 2, "leaky")],
)
def test_frozen_and_folded_blocks_answer_as_the_plain_one(
    groups: int, stride: int, activation: str | None
) -> None:
    block = lively(ConvNorm(6, 12, 3, stride, groups, activation))
    x = torch.randn(2, 6, 9, 13)
    plain = block(x)
    frozen = copy.deepcopy(block)
    freeze_norms(frozen)
    torch.testing.assert_close(frozen(x), plain, rtol=1e-5, atol=1e-5)
    folded = fold(copy.deepcopy(block))
    torch.testing.assert_close(folded(x), plain, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    if activation is None:
        assert (plain < 0).any()
    elif activation == "leaky":  # a tenth of what is below zero
        block.activation = None
        assert (plain < 0).any() and torch.equal(plain, F.leaky_relu(block(x), 0.1))
    else:
        assert plain.min() >= 0


def test_a_frozen_norm_keeps_its_statistics_and_lets_the_gradient_through() -> None:
    block = ConvNorm(3, 4)
    freeze_norms(block)
    block.train()
    before = {k: v.clone() for k, v in block.norm.state_dict().items()}
    block(torch.randn(2, 3, 8, 10)).sum().backward()
    assert block.conv.weight.grad is not None and block.conv.weight.grad.abs().sum() > 0
    assert all(torch.equal(v, before[k]) for k, v in block.norm.state_dict().items())
    assert all(p.grad is None for p in block.norm.parameters())


def test_a_strided_depthwise_block_in_autocast_keeps_its_gradient() -> None:
    block = ConvNorm(8, 8, 3, 2, groups=8)
    freeze_norms(block)
    x = torch.randn(2, 8, 16, 20)
    grads = []
    for enabled in (False, True):
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            block(x).float().square().sum().backward()
        assert block.conv.weight.grad is not None
        grads.append(block.conv.weight.grad.clone())
    torch.testing.assert_close(
        grads[0], grads[1], rtol=0.05, atol=0.05 * float(grads[0].abs().max())
    )


def test_optimise_readies_for_bf16_without_changing_the_answer_much() -> None:
    net = lively(MobileNetV2())
    x = torch.rand(1, 3, 64, 96)
    plain = net(x)
    fast = optimise(copy.deepcopy(net), torch.bfloat16)
    answer = fast(x.bfloat16())
    assert [tuple(a.shape) for a in answer] == [tuple(p.shape) for p in plain]
    assert not any(p.requires_grad for p in fast.parameters())
    for a, p in zip(answer, plain, strict=True):
        assert (a.float() - p).abs().mean() < 0.1 * p.abs().mean()


def test_slopes_below_zero_follow_into_bf16() -> None:
    """PReLU refuses numbers of another kind than its own (OpenPose 2019 stands on it)."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.PReLU(4), nn.Conv2d(4, 2, 1))
    pixels = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        plain = net(pixels)
        brief = optimise(net, torch.bfloat16)(pixels.bfloat16())
    assert brief.dtype == torch.bfloat16
    torch.testing.assert_close(brief.float(), plain, atol=0.05, rtol=0.05)
