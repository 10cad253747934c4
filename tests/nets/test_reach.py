"""How far networks look: against what their layers say, and against what really changes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import Stack
from sightline.nets.reach import reach
from sightline.nets.vgg import VGG16


class Layers(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.layers(x),)


def conv(kernel: int, stride: int = 1, dilation: int = 1, channels: int = 3) -> nn.Module:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels, 3, kernel, stride, padding, dilation)


@pytest.mark.parametrize(
    ("layers", "stride", "expected"),
    [
        ([conv(1)], 1, 0),
        ([conv(3)], 1, 1),
        ([conv(3), nn.ReLU6(), conv(5)], 1, 3),
        ([conv(3, dilation=4)], 1, 4),
        ([conv(2, stride=2)], 2, 2),  # its padding moves it by one pixel
        ([conv(3, stride=2), conv(3)], 2, 4),  # 3 pixels, in whole cells
        ([conv(3), nn.MaxPool2d(2), conv(3)], 2, 4),
    ],
)
def test_layers(layers: list[nn.Module], stride: int, expected: int) -> None:
    assert reach(Layers(*layers), stride, stride) == expected


def test_a_wide_one_is_followed_and_an_endless_one_told() -> None:
    assert reach(Layers(*[conv(3, dilation=90) for _ in range(4)]), 1, 1) == 360

    class Everywhere(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return (x + F.adaptive_avg_pool2d(x, 1),)

    with pytest.raises(ValueError, match="further than 1024"):
        reach(Everywhere(), 1, 1)


@pytest.mark.parametrize(
    ("backbone", "strides", "expected"),
    [
        (MobileNetV2, (8,), 32),
        (MobileNetV2, (8, 16), 144),
        (lambda: VGG16((4, 5)), (8, 16), 96),
    ],
)
def test_backbones(
    backbone: Callable[[], nn.Module], strides: tuple[int, ...], expected: int
) -> None:
    """From their layers, Σ padding · stride so far: 29, 133 and 90 pixels, in whole cells."""
    encoder = Stack(backbone(), strides)
    assert reach(encoder, encoder.stride, encoder.coarsest) == expected


def test_what_lies_beyond_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = Stack(MobileNetV2(), (8, 16)).eval()
    pixels = torch.randn(1, 3, 64, 640)
    other = pixels.clone()
    other[..., 320:336] += 100 * torch.randn(16)
    with torch.no_grad():
        changed = (encoder(pixels)[0] - encoder(other)[0]).abs().amax(dim=(0, 1, 2))
    seen = (changed > 1e-6).nonzero()[:, 0] * 8
    assert 320 - 144 <= int(seen[0]) < 320
    assert 336 < int(seen[-1]) + 8 <= 336 + 144
