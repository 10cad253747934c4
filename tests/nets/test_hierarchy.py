"""The maps of SSD: their sizes, and that each is used as it is."""

import pytest
import torch
from torch import Tensor, nn

from sightline.nets.hierarchy import SCALE, LongHierarchy, VGG16Hierarchy
from sightline.nets.mobilenet import MobileNetV2


class Convolutions(nn.Module):
    """Stands for VGG-16: what its fourth and fifth stage would give at 300 pixels."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        return 50 * torch.rand(1, 512, 38, 38), torch.rand(1, 512, 19, 19)


def test_conv4_3_has_one_length_everywhere_and_fc7_keeps_its_cells() -> None:
    encoder = VGG16Hierarchy()
    encoder.backbone = Convolutions()
    with torch.inference_mode():
        maps = encoder(torch.zeros(1, 3, 300, 300))
    assert [x.shape[2] for x in maps] == [38, 19, 10, 5, 3, 1]
    assert tuple(x.shape[1] for x in maps) == encoder.channels
    length = maps[0].norm(dim=1)
    torch.testing.assert_close(length, torch.full_like(length, SCALE), rtol=1e-4, atol=1e-4)
    encoder.scale_weight.data[3] = 0  # each channel has a scale of its own
    with torch.inference_mode():
        assert (encoder(torch.zeros(1, 3, 300, 300))[0][:, 3] == 0).all()


@pytest.mark.parametrize(
    ("size", "cells"), [(320, [40, 20, 10, 5, 3, 2]), (96, [12, 6, 3, 2, 1, 1])]
)
def test_a_light_hierarchy_has_maps_down_to_a_cell(size: int, cells: list[int]) -> None:
    with torch.device("meta"):
        maps = LongHierarchy(MobileNetV2(), channels=128)(torch.zeros(1, 3, size, size + 32))
    assert [x.shape[2] for x in maps] == cells
    assert {x.shape[1] for x in maps} == {128}


def test_nothing_leads_back_from_coarse_maps_to_fine_ones() -> None:
    torch.manual_seed(0)
    encoder = LongHierarchy(MobileNetV2(), channels=16).eval()
    pixels = torch.randn(1, 3, 96, 128)
    before = encoder(pixels)
    for module in (encoder.further, encoder.backbone.blocks[13]):  # what follows after C4
        for parameter in module.parameters():
            parameter.data.mul_(1.5)
    after = encoder(pixels)
    assert all(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))


def test_a_backbone_without_such_maps_is_refused() -> None:
    with pytest.raises(ValueError, match="maps of strides"):
        LongHierarchy(MobileNetV2(), strides=(8, 64))
