"""Warped regions: what lies where, how much context, and what is outside of the image."""

import pytest
import torch
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.ops.region_warp import grown, region_warp

ONE = torch.zeros(1, dtype=torch.int64)


def ramp(height: int, width: int) -> torch.Tensor:
    """An image whose three colours are x, y and 1 at each pixel's centre."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.ones(height, width)])[None]


def test_the_context_is_measured_in_the_warped_square() -> None:
    """16 of 227 pixels on each side: the box itself fills the 195 in the middle."""
    (box,) = grown(torch.tensor([[100.0, 50.0, 295.0, 89.0]]), 227, 16)
    assert torch.allclose(box, torch.tensor([84.0, 46.8, 311.0, 92.2]))
    same = torch.tensor([[3.0, 4.0, 5.0, 9.0]])
    assert torch.equal(grown(same, 64, 0), same)


def test_every_shape_becomes_the_square_and_points_stay_where_they_are() -> None:
    box = torch.tensor([[20.0, 10.0, 84.0, 26.0]])  # 64 × 16
    (x, y, one) = region_warp(ramp(60, 120), box, ONE, 48, 8)[0]
    # 32 pixels for the box: two pixels of x a step, half a pixel of y
    assert torch.allclose(x[20], 20 + (torch.arange(48) - 8 + 0.5) * 2, atol=1e-4)
    assert torch.allclose(y[:, 20], 10 + (torch.arange(48) - 8 + 0.5) / 2, atol=1e-4)
    assert torch.allclose(one, torch.ones(48, 48))


def test_outside_of_the_image_is_the_mean_colour() -> None:
    warped = region_warp(ramp(40, 60) + 5, torch.tensor([[-20.0, 10.0, 20.0, 30.0]]), ONE, 40, 0)
    assert (warped[..., :20] == 0).all()
    assert (warped[..., 20:] > 0).all()
    away = region_warp(ramp(40, 60), torch.tensor([[90.0, 90.0, 99.0, 99.0]]), ONE, 16, 4)
    assert (away == 0).all()


def test_a_large_region_is_averaged_not_skipped_over() -> None:
    """Stripes two pixels wide, shrunk by four, are grey."""
    stripes = torch.zeros(1, 1, 8, 256)
    stripes[..., 0::4], stripes[..., 1::4] = 1, 1
    warped = region_warp(stripes, torch.tensor([[0.0, 0.0, 256.0, 8.0]]), ONE, 64, 0)
    assert torch.allclose(warped[..., 1:-1], torch.full((1, 1, 64, 62), 0.5), atol=1e-6)


def test_it_agrees_with_interpolation_where_nothing_is_shrunk() -> None:
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    warped = region_warp(image, torch.tensor([[0.0, 0.0, 30.0, 20.0]]), ONE, 90, 0)
    expected = F.interpolate(image, (90, 90), mode="bilinear", align_corners=False)
    assert torch.allclose(warped, expected, atol=1e-5)


def test_whose_region_it_is() -> None:
    images = torch.stack([torch.zeros(3, 9, 14), torch.ones(3, 9, 14)])
    boxes = torch.tensor([[2.0, 2.0, 8.0, 7.0]]).repeat(3, 1)
    warped = region_warp(images, boxes, torch.tensor([1, 0, 1]), 8, 1)
    assert warped.mean(dim=(1, 2, 3)).tolist() == [1, 0, 1]
    assert region_warp(images, boxes[:0], ONE[:0], 8, 1).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("boxes", "image", "context", "code"),
    [
        ([[0.0, 0.0, float("nan"), 3.0]], 0, 2, "usage.out_of_range"),
        ([[0.0, 0.0, 1e9, 3.0]], 0, 2, "usage.out_of_range"),
        ([[0.0, 0.0, 5.0, 3.0]], 1, 2, "usage.shape"),
        ([[0.0, 0.0, 5.0, 3.0]], 0, 8, "usage.out_of_range"),
        ([[0.0, 0.0, 5.0, 3.0]], 0, -1, "usage.out_of_range"),
    ],
)
def test_what_makes_no_sense_is_told(
    boxes: list[list[float]], image: int, context: int, code: str
) -> None:
    for op in (region_warp, region_warp.reference):
        with pytest.raises(UsageError) as caught:
            op(torch.zeros(1, 3, 9, 14), torch.tensor(boxes), torch.tensor([image]), 16, context)
        assert caught.value.code == code
