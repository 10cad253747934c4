"""Anchors: by hand, and as the published networks place them."""

import torch

from sightline.anchors import AnchorGrid, every_region, octaves


def test_one_square_anchor_sits_in_the_middle_of_its_cell() -> None:
    grid = AnchorGrid(sizes=((16.0,),), ratios=(1.0,), strides=(8,))
    boxes, level = grid.boxes([(2, 3)], (16, 24))
    assert boxes.shape == (6, 4) and level.tolist() == [0] * 6
    assert boxes[0].tolist() == [4 - 8, 4 - 8, 4 + 8, 4 + 8]
    assert boxes[1].tolist() == [12 - 8, 4 - 8, 12 + 8, 4 + 8], "columns run first"
    assert boxes[3].tolist() == [4 - 8, 12 - 8, 4 + 8, 12 + 8]


def test_ratios_are_height_over_width_and_keep_the_area() -> None:
    shapes = AnchorGrid(sizes=((32.0, 64.0),), ratios=(0.5, 1.0, 2.0)).shapes(0)
    width, height = shapes[:, 2] - shapes[:, 0], shapes[:, 3] - shapes[:, 1]
    torch.testing.assert_close(height / width, torch.tensor([0.5, 0.5, 1, 1, 2, 2]))
    torch.testing.assert_close(width * height, torch.tensor([32.0, 64] * 3) ** 2)


def test_published_sizes_and_rounding() -> None:
    sizes = octaves((32, 512))
    assert sizes == ((32.0, 40.0, 50.0), (512.0, 645.0, 812.0))
    shapes = AnchorGrid(sizes=(sizes[0],), rounded=True).shapes(0)
    assert shapes[0].tolist() == [-23.0, -11.0, 23.0, 11.0]
    assert torch.equal(shapes, shapes.round())


def test_measured_strides_are_rounded_down() -> None:
    grid = AnchorGrid(sizes=((8.0,),), ratios=(1.0,), offset=0.0)
    boxes, _ = grid.boxes([(13, 7)], (800, 448))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centres[1].tolist() == [64.0, 0.0] and centres[7].tolist() == [0.0, 61.0]


def test_regions_are_packed_image_by_image_and_level_by_level() -> None:
    grid = AnchorGrid(sizes=((8.0,), (16.0,)), ratios=(1.0,), strides=(8, 16))
    regions = every_region(*grid.boxes([(2, 4), (1, 2)], (16, 32)), 3)
    assert len(regions) == 3 * 10
    assert regions.image.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert regions.level[:10].tolist() == [0] * 8 + [1] * 2
    assert torch.equal(regions.boxes[:10], regions.boxes[20:])
