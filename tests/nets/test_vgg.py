"""VGG-16: the published sizes, and the maps that Fast R-CNN and SSD take."""

import torch

from sightline.nets.vgg import VGG16, VGG16Layers


def test_parameters_are_as_many_as_published() -> None:
    convolutions = sum(p.numel() for p in VGG16().parameters())
    layers = sum(p.numel() for p in VGG16Layers().parameters())
    assert convolutions == 14_714_688
    assert convolutions + layers + 4097 * 1000 == 138_357_544


def test_the_default_is_conv5_3_at_stride_16() -> None:
    network = VGG16().eval()
    with torch.inference_mode():
        (x,) = network(torch.rand(2, 3, 64, 96))
    assert x.shape == (2, 512, 4, 6)
    assert (network.channels, network.strides) == ((512,), (16,))
    assert (x >= 0).all()


def test_ssd_takes_two_maps_and_rounds_the_third_pooling_up() -> None:
    network = VGG16(stages=(5, 4), round_up=True).eval()
    with torch.inference_mode():
        maps = network(torch.zeros(1, 3, 300, 200))
    assert [tuple(x.shape[1:]) for x in maps] == [(512, 38, 25), (512, 19, 12)]
    assert network.strides == (8, 16)
    with torch.inference_mode():
        down = VGG16(stages=(4,)).eval()(torch.zeros(1, 3, 300, 200))
    assert tuple(down[0].shape[1:]) == (512, 37, 25)


def test_stages_that_nobody_asked_for_are_not_built() -> None:
    assert len(VGG16(stages=(2,)).stages) == 2


def test_freeze_stops_the_first_stages_only() -> None:
    network = VGG16()
    network.freeze(2)
    learns = [next(stage.parameters()).requires_grad for stage in network.stages]
    assert learns == [False, False, True, True, True]


def test_the_layers_make_features_of_regions() -> None:
    layers = VGG16Layers(dropout=0.5).eval()
    x = torch.rand(3, 512, 7, 7)
    with torch.inference_mode():
        a, b = layers(x), layers(x)
    assert a.shape == (3, 4096)
    assert torch.equal(a, b)
    layers.train()
    with torch.no_grad():
        assert not torch.equal(layers(x), a)
