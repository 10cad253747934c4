"""AlexNet: the published sizes, the maps that R-CNN takes, and its two layers."""

import torch
from torch.nn import functional as F

from sightline.nets.alexnet import AlexNet, AlexNetLayers


def test_parameters_are_as_many_as_published() -> None:
    """61,100,840 in all, with a classifier of 1,000 classes."""
    convolutions = sum(p.numel() for p in AlexNet().parameters())
    layers = sum(p.numel() for p in AlexNetLayers().parameters())
    assert convolutions == 2_469_696
    assert convolutions + layers + 4097 * 1000 == 61_100_840


def test_a_warped_region_of_227_pixels_has_6_by_6_cells_of_pool5() -> None:
    network = AlexNet().eval()
    with torch.inference_mode():
        (x,) = network(torch.rand(2, 3, 227, 227))
    assert x.shape == (2, 256, 13, 13)
    assert (x >= 0).all()
    assert F.max_pool2d(x, 3, 2).shape == (2, *(256, 6, 6))
    assert (network.channels, network.strides) == ((256,), (16,))


def test_maps_are_not_square_where_images_are_not() -> None:
    with torch.inference_mode():
        (x,) = AlexNet().eval()(torch.rand(1, 3, 95, 159))
    assert x.shape == (1, 256, 5, 9)


def test_freeze_stops_the_first_convolutions_only() -> None:
    network = AlexNet()
    network.freeze(2)
    assert [c.weight.requires_grad for c in network.convs] == [False, False, True, True, True]
    assert [c.bias.requires_grad for c in network.convs] == [False, False, True, True, True]


def test_the_layers_make_features_of_regions() -> None:
    layers = AlexNetLayers(dropout=0.5).eval()
    x = torch.rand(3, 256, 6, 6)
    with torch.inference_mode():
        a, b = layers(x), layers(x)
    assert a.shape == (3, layers.width) == (3, 4096)
    assert torch.equal(a, b)
    layers.train()
    with torch.no_grad():
        assert not torch.equal(layers(x), a)
