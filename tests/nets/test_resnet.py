"""ResNet: the published sizes and shapes, and what `freeze` stops."""

import pytest
import torch
from torch import nn

from sightline.nets import resnet
from sightline.nets.blocks import fold, freeze_norms

PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160}


@pytest.mark.parametrize("depth", sorted(PUBLISHED))
def test_parameters_are_as_many_as_published(depth: int) -> None:
    network = resnet.ResNet(depth)
    classifier = (network.channels[-1] + 1) * 1000  # which a backbone does without
    assert sum(p.numel() for p in network.parameters()) + classifier == PUBLISHED[depth]


@pytest.mark.parametrize("builder", [resnet.resnet18, resnet.resnet34, resnet.resnet50])
def test_maps_have_the_channels_and_strides_that_it_names(builder: object) -> None:
    network = builder().eval()  # type: ignore[operator]
    with torch.inference_mode():
        maps = network(torch.zeros(2, 3, 64, 96))
    for x, channels, stride in zip(maps, network.channels, network.strides, strict=True):
        assert x.shape == (2, channels, 64 // stride, 96 // stride)


def test_sizes_that_are_no_multiple_of_32_round_up() -> None:
    with torch.inference_mode():
        maps = resnet.resnet18().eval()(torch.zeros(1, 3, 65, 97))
    assert [tuple(x.shape[-2:]) for x in maps] == [(17, 25), (9, 13), (5, 7), (3, 4)]


def test_the_stride_of_a_bottleneck_lies_in_its_3x3() -> None:
    block = resnet.resnet50().stages[1][0]
    assert [b.conv.stride[0] for b in block.path] == [1, 2, 1]
    assert block.shortcut.conv.stride == (2, 2)


def test_freeze_stops_the_first_stages_only() -> None:
    for frozen in range(6):
        network = resnet.resnet18()
        network.freeze(frozen)
        parts = [network.stem, *network.stages]
        learns = [any(p.requires_grad for p in part.parameters()) for part in parts]
        assert learns == [row >= frozen for row in range(5)]


def test_gradients_reach_every_parameter() -> None:
    network = resnet.resnet50()
    sum(x.mean() for x in network(torch.rand(2, 3, 64, 96))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_folded_and_frozen_say_the_same() -> None:
    torch.manual_seed(3)
    network = resnet.resnet18()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    network.eval()
    pixels = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        plain = network(pixels)
    freeze_norms(network)
    network.train()
    with torch.no_grad():
        frozen = network(pixels)
        folded = fold(network)(pixels)
    for a, b, c in zip(plain, frozen, folded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-4)
