"""The four pyramids: shapes, and what each level is made of, by hand."""

import pytest
import torch
from torch.nn import functional as F

from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, Hierarchy, ImagePyramid, Stack

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


def test_a_hierarchy_uses_each_map_as_it_is() -> None:
    hierarchy = Hierarchy((16, 32), 12, "p6p7")
    levels = hierarchy(MAPS)
    assert hierarchy.levels == 4
    assert set(dict(hierarchy.named_children())) == {"lateral", "p6", "p7"}
    torch.testing.assert_close(levels[0], hierarchy.lateral[0](MAPS[1]))
    torch.testing.assert_close(levels[1], hierarchy.lateral[1](MAPS[2]))
    torch.testing.assert_close(levels[2], hierarchy.p6(levels[1]))
    torch.testing.assert_close(levels[3], hierarchy.p7(F.relu(levels[2])))


def test_the_single_map_is_the_last() -> None:
    backbone = MobileNetV2().eval()
    encoder = Encoder(backbone, Hierarchy(backbone.channels[-1:], 16)).eval()
    pixels = torch.randn(1, 3, 64, 96)
    (level,) = encoder(pixels)
    assert encoder.strides == (32,)
    torch.testing.assert_close(level, encoder.pyramid.lateral[0](backbone(pixels)[-1]))


def test_every_level_of_an_image_pyramid_is_the_backbone_on_the_resized_image() -> None:
    pyramid = ImagePyramid(MobileNetV2(maps=3), 16, (2, 1, 0.5, 0.25)).eval()
    pixels = torch.randn(2, 3, 64, 96)
    levels = pyramid(pixels)
    assert pyramid.strides == (8, 16, 32, 64)
    assert [tuple(x.shape) for x in levels] == [
        (2, 16, 8, 12), (2, 16, 4, 6), (2, 16, 2, 3), (2, 16, 1, 2)
    ]  # fmt: skip
    for level, size in zip(levels, [(128, 192), (64, 96), (32, 48), (16, 24)], strict=True):
        alone = F.interpolate(pixels, size, mode="bilinear", antialias=True)
        torch.testing.assert_close(level, pyramid.lateral(pyramid.backbone(alone)[-1]))
    same = F.avg_pool2d(pixels.repeat_interleave(2, 2).repeat_interleave(2, 3), 2)
    torch.testing.assert_close(pyramid(same)[1], levels[1])  # a scale of 1 is the image itself


def test_an_image_pyramid_of_almost_nothing() -> None:
    """No side of a resized image falls below a pixel."""
    pyramid = ImagePyramid(MobileNetV2(maps=3), 4, (1, 0.125)).eval()
    assert [tuple(x.shape) for x in pyramid(torch.zeros(1, 3, 3, 40))] == [
        (1, 4, 1, 3), (1, 4, 1, 1)
    ]  # fmt: skip


def test_an_encoder_is_a_backbone_and_its_pyramid() -> None:
    backbone = MobileNetV2()
    encoder = Encoder(backbone, FPN(backbone.channels[1:], 16, "p6p7")).eval()
    levels = encoder(torch.zeros(1, 3, 64, 96))
    assert encoder.strides == (8, 16, 32, 64, 128)
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
