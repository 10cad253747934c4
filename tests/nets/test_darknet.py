"""Darknet's networks: their maps, how they tell themselves, and the order of [reorg]."""

import pytest
import torch
from torch import nn

from sightline.nets.darknet import Darknet19, Darknet53, TinyDarknet
from sightline.nets.darknet_necks import DarknetEncoder, Deeper, Passthrough, TopDown, reorganise
from sightline.nets.darknet_plan import Plan
from sightline.nets.mobilenet import MobileNetV2

BACKBONES = [Darknet19, Darknet53, TinyDarknet]


@pytest.mark.parametrize("build", BACKBONES)
def test_maps_have_the_declared_channels_and_strides(build: type[nn.Module]) -> None:
    with torch.device("meta"):
        net = build()
        levels = net(torch.zeros(1, 3, 96, 160))
    assert tuple(x.shape[1] for x in levels) == net.channels
    assert [x.shape[-2:] for x in levels] == [(96 // s, 160 // s) for s in net.strides]


@pytest.mark.parametrize(
    ("build", "layers", "convolutions"),
    [(Darknet19, 23, 18), (Darknet53, 75, 52), (TinyDarknet, 13, 7)],
)
def test_the_papers_number_of_layers(
    build: type[nn.Module], layers: int, convolutions: int
) -> None:
    """19 and 53 count the classifier's one convolution too."""
    with torch.device("meta"):
        net = build()
    plan = Plan()
    ends = net.tell(plan)
    assert len(plan) == layers
    told = [layer.block for layer in plan.layers if layer.block is not None]
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(told) == len(convs) == convolutions
    assert [block.conv for block in told] == convs  # each once, in the order of the data flow
    for end, channels in zip(ends, net.channels, strict=True):
        layer = plan.layers[end - 1 if plan.layers[end].kind == "shortcut" else end]
        assert layer.facts["filters"] == channels


@pytest.mark.parametrize("build", BACKBONES)
def test_freezing_begins_at_the_pixels(build: type[nn.Module]) -> None:
    with torch.device("meta"):
        net = build()
    net.freeze(0)
    assert all(p.requires_grad for p in net.parameters())
    net.freeze(1)
    parameters = list(net.parameters())
    assert not parameters[0].requires_grad and parameters[-1].requires_grad


def test_reorganise_is_darknets_loop() -> None:
    """Its own order, number by number: what is read as one shape is written as another."""
    channels, height, width, stride = 8, 6, 10, 2
    x = torch.arange(channels * height * width, dtype=torch.float32)
    flat, out = x.tolist(), [0.0] * len(x)
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                c, offset = k % (channels // stride**2), k // (channels // stride**2)
                column, row = i * stride + offset % stride, j * stride + offset // stride
                there = column + width * stride * (row + height * stride * c)
                out[i + width * (j + height * k)] = flat[there]
    found = reorganise(x.view(1, channels, height, width), stride)
    assert found.shape == (1, 32, 3, 5)
    assert found.flatten().tolist() == out
    plain = nn.functional.pixel_unshuffle(x.view(1, channels, height, width), stride)
    assert not torch.equal(found, plain)


def test_the_stride_of_one_sees_no_padding() -> None:
    """The last pooling of the tiny ones: where there is nothing, it is not the largest."""
    net = TinyDarknet().eval()
    with torch.no_grad():
        net.convs[-2].norm.bias.fill_(-5.0)  # all activations of the sixth are below zero
        net.convs[-2].conv.weight.zero_()
        last = net(torch.zeros(1, 3, 64, 96))[-1]
        alone = net.convs[-1](torch.full((1, 512, 2, 3), -0.5))
    torch.testing.assert_close(last, alone)


@pytest.mark.parametrize(
    ("neck", "channels", "strides"),
    [
        (lambda b: Passthrough(b.channels, 24, 8), (24,), (32,)),
        (lambda b: Deeper(b.channels, 24), (24,), (32,)),
        (lambda b: TopDown(b.channels, (8, 16, 24), (1, 2, 3)), (16, 32, 48), (8, 16, 32)),
    ],
)
def test_necks(neck: object, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = Darknet19()
        encoder = DarknetEncoder(backbone, neck(backbone))  # type: ignore[operator]
        maps = encoder(torch.zeros(2, 3, 64, 96))
    assert encoder.channels == channels and encoder.strides == strides
    assert [tuple(x.shape) for x in maps] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)
    ]
    levels: list[int] = []
    plan = Plan()
    assert encoder.tell(plan, levels.append)
    assert levels == list(reversed(range(len(channels))))  # coarsest first, as in Darknet's files
    told = [layer.block for layer in plan.layers if layer.block is not None]
    assert len({id(block) for block in told}) == len(told)
    convs = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert {id(block.conv) for block in told} == {id(conv) for conv in convs}  # type: ignore[union-attr]


def test_another_backbone_has_no_plan() -> None:
    backbone = MobileNetV2()
    plan = Plan()
    assert not DarknetEncoder(backbone, Deeper(backbone.channels, 8)).tell(plan, lambda level: None)
    assert len(plan) == 0
