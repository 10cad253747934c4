"""Crops of images: where their pixels come from."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from sightline.errors import UsageError
from sightline.ops.crops import crops, from_crops, to_crops

ZERO = torch.zeros(1)


def ramp(height: int, width: int) -> torch.Tensor:
    """(1, 2, h, w): each pixel's own x and y."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y])[None]


def test_a_whole_window_is_a_copy() -> None:
    image = torch.rand(1, 3, 7, 5)
    window = torch.tensor([[1.0, 2.0, 4.0, 6.0]])
    found = crops(image, window, ZERO, ZERO.long(), (4, 3))
    torch.testing.assert_close(found, image[:, :, 2:6, 1:4])


@given(angle=st.floats(-math.pi, math.pi), wide=st.floats(4, 30), tall=st.floats(4, 40))
def test_a_pixel_is_where_its_point_is(angle: float, wide: float, tall: float) -> None:
    """Read from a ramp, a crop's pixels tell where they come from, turned and scaled."""
    middle = torch.tensor([[50.0, 45.0]])
    half = torch.tensor([[wide, tall]]) / 2
    window, turned = torch.cat([middle - half, middle + half], 1), torch.tensor([angle])
    found = crops(ramp(90, 100), window, turned, ZERO.long(), (6, 4))[0]
    points = torch.tensor([[[0.5, 0.5], [3.5, 0.5], [1.5, 4.5]]])
    there = from_crops(points, window, turned, (6, 4))[0]
    for (x, y), place in zip(points[0].long().tolist(), there, strict=True):
        torch.testing.assert_close(found[:, y, x], place, rtol=0, atol=0.02)
    torch.testing.assert_close(to_crops(there[None], window, turned, (6, 4)), points)


def test_what_shrinks_is_averaged() -> None:
    """A checkerboard of single pixels becomes grey, whatever its phase."""
    y, x = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    board = ((x + y) % 2).float()[None, None]
    window = torch.tensor([[8.0, 4.0, 56.0, 40.0]])
    found = crops(board, window, ZERO, ZERO.long(), (9, 12))
    torch.testing.assert_close(found, torch.full((1, 1, 9, 12), 0.5))


def test_outside_is_the_mean_colour_and_each_crop_has_its_image() -> None:
    images = torch.stack([torch.ones(1, 8, 6), torch.full((1, 8, 6), 2.0)])
    windows = torch.tensor([[0.0, 0.0, 6.0, 8.0], [-12.0, -16.0, 0.0, 0.0], [0.0, 0.0, 6.0, 8.0]])
    found = crops(images, windows, torch.zeros(3), torch.tensor([1, 0, 0]), (8, 6))
    assert found[:, 0, 3, 3].tolist() == [2.0, 0.0, 1.0]


def test_columns_that_disagree_are_refused() -> None:
    image = torch.rand(1, 1, 8, 6)
    with pytest.raises((UsageError, TypeCheckError)):
        crops(image, torch.rand(3, 4), torch.zeros(2), torch.zeros(3).long(), (8, 6))
