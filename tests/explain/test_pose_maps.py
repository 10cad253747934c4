"""Pictures of part maps and affinity fields: where, which hue, how strong."""

import numpy as np
import pytest
import torch

from sightline.errors import UsageError
from sightline.explain.pose_maps import draw_fields, draw_parts, over_image, wheel
from sightline.types import Frame

STRIDE = 8
FRAME = Frame(original=(60, 100), resized=(120, 200), offset=(4, 8))
PREPARED = (128, 216)
CELLS = (16, 27)


def image() -> torch.Tensor:
    return torch.full((3, *FRAME.original), 100, dtype=torch.uint8)


def test_maps_lie_where_their_cells_are() -> None:
    """A map that holds each cell's own place is, at an original pixel, that pixel's place."""
    y, x = torch.meshgrid(*(torch.arange(n) + 0.5 for n in CELLS), indexing="ij")
    got = over_image(torch.stack([x, y]) * STRIDE, FRAME, PREPARED)
    assert got.shape == (2, *FRAME.original)
    for row, column in ((10, 20), (40, 71)):
        expected = FRAME.to_prepared(torch.tensor([column + 0.5, row + 0.5]))
        assert torch.allclose(got[:, row, column], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("x", "y", "colour"),
    [(1, 0, (1, 0, 0)), (-1, 0, (0, 1, 1)), (0, 1, (0.5, 1, 0)), (0, -1, (0.5, 0, 1))],
)
def test_the_wheel(x: float, y: float, colour: tuple[float, ...]) -> None:
    got = wheel(torch.tensor([[float(x)]]), torch.tensor([[float(y)]]))
    assert got.flatten().tolist() == pytest.approx(colour, abs=1e-5)


def test_parts_have_their_hue_and_their_strength() -> None:
    maps = torch.zeros(3, *CELLS)
    maps[0, 4:8, 4:8] = 1.0
    maps[1, 4:8, 16:20] = 0.5
    pixels = np.asarray(draw_parts(image(), maps, FRAME, PREPARED)).astype(int)
    row = 20
    full, half, none = pixels[row, 20], pixels[row, 68], pixels[row, 45]
    assert full.tolist() == [255, 0, 0]
    assert half.tolist() == pytest.approx([22, 150, 22], abs=2)
    assert none.tolist() == [45, 45, 45]
    only = np.asarray(draw_parts(image(), maps, FRAME, PREPARED, only=[1]))
    assert only[row, 20].tolist() == [45, 45, 45]
    assert only[row, 68].tolist() == half.tolist()


def test_fields_have_their_direction_and_the_key_is_there() -> None:
    fields = torch.zeros(4, *CELLS)
    fields[0, 4:8, 4:8] = 1.0  # the first limb points to the right
    fields[3, 4:8, 16:20] = -0.5  # the second up, and is half as sure
    picture = draw_fields(image(), fields, FRAME, PREPARED)
    pixels = np.asarray(picture).astype(int)
    assert picture.size == (100, 60)
    assert pixels[20, 20].tolist() == [255, 0, 0]
    assert pixels[20, 68].tolist() == pytest.approx([86, 22, 150], abs=2)
    corner = pixels[-27:-3, -27:-3]
    assert corner[12, 22, 0] > 200 > corner[12, 22, 1]  # right on the wheel is red
    assert corner[12, 1, 2] > 200 > corner[12, 1, 0]
    only = np.asarray(draw_fields(image(), fields, FRAME, PREPARED, only=[0]))
    assert only[20, 68].tolist() == [45, 45, 45]


def test_what_does_not_fit() -> None:
    fields = torch.zeros(4, *CELLS)
    with pytest.raises(UsageError):
        draw_fields(image(), fields[:3], FRAME, PREPARED)
    with pytest.raises(UsageError):
        draw_fields(image(), fields, FRAME, PREPARED, only=[2])
    with pytest.raises(UsageError):
        draw_parts(image()[:, 1:], fields, FRAME, PREPARED)
    with pytest.raises(UsageError):
        draw_parts(image(), fields, FRAME, PREPARED, only=[])
