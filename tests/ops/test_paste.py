"""Pasting masks and reading heat maps, by hand and against a plain interpolation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sightline.masks import BoxMasks
from sightline.ops.heatmaps import peaks
from sightline.ops.paste import paste


def whole(cells: torch.Tensor, box: list[float], size: tuple[int, int]) -> torch.Tensor:
    answer = torch.zeros(size, dtype=cells.dtype)
    top, left, values = paste(cells, torch.tensor(box), size)
    answer[top : top + values.shape[0], left : left + values.shape[1]] = values
    return answer


def test_a_full_mask_is_its_box() -> None:
    found = whole(torch.ones(28, 28), [10.0, 4.0, 38.0, 32.0], (40, 60)) > 0.5
    expected = torch.zeros(40, 60, dtype=torch.bool)
    expected[4:32, 10:38] = True
    assert torch.equal(found, expected)
    cut = whole(torch.ones(28, 28), [-14.0, -14.0, 14.0, 14.0], (40, 60)) > 0.5
    assert cut.sum() == 14 * 14 and bool(cut[:14, :14].all())


@settings(max_examples=60, deadline=None)
@given(
    x1=st.floats(-60, 90, width=32),
    y1=st.floats(-60, 70, width=32),
    width=st.floats(0.25, 150, width=32),
    height=st.floats(0.25, 150, width=32),
)
def test_it_is_bilinear_reading_at_the_pixels_middles(
    x1: float, y1: float, width: float, height: float
) -> None:
    cells = torch.rand(5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    size, box = (50, 70), [x1, y1, x1 + width, y1 + height]
    x = (torch.arange(70, dtype=torch.float64) + 0.5 - x1) / width * 2 - 1
    y = (torch.arange(50, dtype=torch.float64) + 0.5 - y1) / height * 2 - 1
    grid = torch.stack([x.expand(50, 70), y[:, None].expand(50, 70)], dim=-1)[None]
    read = F.grid_sample(cells[None, None], grid, padding_mode="zeros", align_corners=False)
    box32 = torch.tensor(box).double().tolist()
    torch.testing.assert_close(whole(cells, box32, size), read[0, 0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize(
    "box",
    [
        [5.0, 5.0, 5.0, 5.0],
        [100.0, 100.0, 120.0, 130.0],
        [-50.0, -50.0, -20.0, -10.0],
        [float("nan"), 0.0, 10.0, 10.0],
        [0.0, 0.0, float("inf"), 10.0],
        [-1e9, -1e9, 1e9, 1e9],
    ],
)
def test_strange_boxes_give_few_pixels_or_none(box: list[float], published: bool) -> None:
    top, left, values = paste(torch.ones(4, 4), torch.tensor(box), (30, 40), published)
    assert values.isfinite().all() and values.numel() <= 30 * 40
    assert min(top, left) >= 0
    assert top + values.shape[0] <= 30 and left + values.shape[1] <= 40


def masks() -> BoxMasks:
    cells = torch.ones(3, 28, 28)
    cells[1, :, :14] = 0
    boxes = torch.tensor([[0.0, 0, 10, 10], [10, 4, 38, 32], [20, 20, 60, 40]])
    return BoxMasks(cells, boxes, (40, 60))


def test_box_masks_are_taken_apart_like_a_tensor() -> None:
    found = masks()
    assert len(found) == 3 and found.shape == (3, 40, 60)
    dense = found.bitmaps()
    assert dense.dtype == torch.bool and dense.sum(dim=(1, 2)).tolist() == [100, 392, 800]
    assert torch.equal(torch.stack(list(found)), dense)
    assert torch.equal(found[torch.tensor([2, 0])].bitmaps(), dense[[2, 0]])
    assert torch.equal(found[1:].bitmaps(), dense[1:])
    assert torch.equal(found[torch.tensor([True, False, True])].bitmaps(), dense[[0, 2]])
    assert torch.equal(found[-1], dense[2])
    assert (found.numpy() == dense.numpy()).all()
    assert found.probabilities(1).max() == 1 and found.probabilities(1)[:4].sum() == 0


def test_the_peak_of_a_map_is_found_between_cells() -> None:
    """A bump's middle, to a quarter of a cell, in a box four times as large as its map."""
    y, x = torch.meshgrid(torch.arange(14.0) + 0.5, torch.arange(14.0) + 0.5, indexing="ij")
    bump = torch.exp(-((x - 5.3) ** 2 + (y - 8.1) ** 2) / 8)
    points, values = peaks(bump[None, None], torch.tensor([[10.0, 20.0, 66.0, 76.0]]))
    assert points[0, 0].tolist() == pytest.approx([10 + 5.3 * 4, 20 + 8.1 * 4], abs=1.0)
    assert values[0, 0].item() == pytest.approx(1.0, abs=0.02)
    none = peaks(torch.zeros(0, 17, 56, 56), torch.zeros(0, 4))
    assert none[0].shape == (0, 17, 2)
