"""The feature pyramid: shapes, and the top-down path by hand."""

import pytest
import torch
from torch.nn import functional as F

from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, Stack

MAPS = [torch.randn(2, c, h, w) for c, h, w in ((8, 21, 13), (16, 11, 7), (32, 6, 4))]


@pytest.mark.parametrize(
    "extra, sizes",
    [(None, []), ("pool", [(3, 2)]), ("p6p7", [(3, 2), (2, 1)])],
)
def test_levels_keep_their_size_and_extras_halve_it(
    extra: str | None, sizes: list[tuple[int, int]]
) -> None:
    fpn = FPN((8, 16, 32), 12, extra)  # type: ignore[arg-type]
    levels = fpn(MAPS)
    assert fpn.levels == len(levels) == 3 + len(sizes)
    assert [x.shape[1] for x in levels] == [12] * len(levels)
    assert [tuple(x.shape[-2:]) for x in levels] == [(21, 13), (11, 7), (6, 4), *sizes]


def test_the_top_down_path_by_hand() -> None:
    fpn = FPN((16, 32), 12)
    p4, p5 = fpn(MAPS)  # the first map is not used
    top = fpn.lateral[1](MAPS[2])
    below = fpn.lateral[0](MAPS[1]) + F.interpolate(top, size=(11, 7), mode="nearest")
    torch.testing.assert_close(p5, fpn.output[1](top))
    torch.testing.assert_close(p4, fpn.output[0](below))


def test_an_encoder_is_a_backbone_and_its_pyramid() -> None:
    backbone = MobileNetV2()
    encoder = Encoder(backbone, FPN(backbone.channels[1:], 16, "p6p7")).eval()
    levels = encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape) for x in levels] == [
        (1, 16, 8, 12),
        (1, 16, 4, 6),
        (1, 16, 2, 3),
        (1, 16, 1, 2),
        (1, 16, 1, 1),
    ]


def test_a_stack_repeats_coarse_cells_and_sums() -> None:
    """One cell of the coarser map is two by two of the finer one; nothing is interpolated."""
    stack = Stack(MobileNetV2(), (8, 16), 12).eval()
    assert (stack.stride, stack.coarsest) == (8, 16)
    pixels = torch.randn(2, 3, 64, 96)
    (cells,) = stack(pixels)
    assert cells.shape == (2, 12, 8, 12)
    _, c3, c4, _ = stack.backbone(pixels)
    coarse = stack.lateral[1](c4).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(cells, F.relu(stack.lateral[0](c3) + coarse))
