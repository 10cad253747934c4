"""RoIAlign and RoIPool against worked examples, a plain loop, and their own gradients."""

import math

import pytest
import torch
from torch import Tensor

from sightline.ops.roi_align import roi_align, taps
from sightline.ops.roi_pool import edges, roi_pool, whole_cells

ONE = torch.zeros(1, dtype=torch.int64)


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """The published op's reading of one point."""
    height, width = plane.shape[-2:]
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros_like(plane[..., 0, 0])
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = y - top, x - left
    upper = plane[..., top, left] * (1 - along) + plane[..., top, right] * along
    lower = plane[..., bottom, left] * (1 - along) + plane[..., bottom, right] * along
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
def test_align_is_the_mean_of_points(sampling: int, aligned: bool) -> None:
    rng = torch.Generator().manual_seed(sampling)
    plane = torch.randn(3, 7, 11, generator=rng, dtype=torch.float64)
    size, scale = (2, 3), 0.25
    for x1, y1, x2, y2 in [(3.0, 5, 30, 26), (-9, -3, 60, 40), (10, 10, 11, 11), (0, 0, 44, 28)]:
        box = torch.tensor([[x1, y1, x2, y2]], dtype=torch.float64)
        found = roi_align.reference(plane[None], box, ONE, size, scale, sampling, aligned)[0]
        left, top = (v * scale - (0.5 if aligned else 0) for v in (x1, y1))
        width, height = (max(v * scale, 0.0 if aligned else 1.0) for v in (x2 - x1, y2 - y1))
        down, across = (sampling or math.ceil(height / 2)), (sampling or math.ceil(width / 3))
        for i in range(2):
            for j in range(3):
                points = [
                    bilinear(
                        plane,
                        top + (i + (a + 0.5) / down) * height / 2,
                        left + (j + (b + 0.5) / across) * width / 3,
                    )
                    for a in range(down)
                    for b in range(across)
                ]
                torch.testing.assert_close(found[:, i, j], torch.stack(points).mean(dim=0))


def test_align_reads_a_slope_exactly() -> None:
    """A map that is its own cell's centre in pixels gives each bin's centre, if aligned."""
    x = (torch.arange(12.0) + 0.5) * 8
    features = x.expand(1, 1, 9, 12).contiguous()
    box = torch.tensor([[20.0, 12.0, 76.0, 60.0]])
    found = roi_align(features, box, ONE, (2, 4), 1 / 8, 2, aligned=True)
    assert found[0, 0, 0].tolist() == pytest.approx([27.0, 41.0, 55.0, 69.0])
    shifted = roi_align(features, box, ONE, (2, 4), 1 / 8, 2, aligned=False)
    assert (shifted - found).flatten().tolist() == pytest.approx([4.0] * 8)  # half a cell


def test_taps_of_an_axis() -> None:
    inner = taps(1.0, 3.0, cells=5, bins=2, sampling=1, aligned=False)
    assert inner.tolist() == [[0, 0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5, 0]]
    outside = taps(-4.0, 4.0, cells=3, bins=4, sampling=1, aligned=False)
    assert outside.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_pool_by_hand() -> None:
    """Corners round to cells 1 … 3 and 0 … 2, both inclusive; two bins share the middle."""
    plane = torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    box = torch.tensor([[10.0, 2.0, 25.0, 17.0]])
    assert whole_cells(box, 1 / 8).tolist() == [[1, 0, 3, 2]]
    assert edges(1, 3, 4, 2) == [(1, 3), (2, 4)]
    assert edges(-2, 9, 4, 2) == [(0, 4), (4, 4)]
    assert roi_pool(plane[None, None], box, ONE, (2, 2), 1 / 8).tolist() == [[[[6, 7], [10, 11]]]]


def test_a_bin_outside_is_zero_and_halves_go_away_from_zero() -> None:
    plane = torch.full((1, 1, 4, 4), -2.0)
    box = torch.tensor([[-60.0, -60.0, 28.0, 28.0]])
    found = roi_pool(plane, box, ONE, (2, 2), 1 / 8)
    assert found.flatten().tolist() == [0, 0, 0, -2]
    halves = torch.tensor([[-4.0, -12.0, 4.0, 12.0]])
    assert whole_cells(halves, 1 / 8).tolist() == [[-1, -2, 1, 2]]


def test_equal_maxima_teach_the_first() -> None:
    plane = torch.zeros(1, 1, 3, 3, requires_grad=True)
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    for op in (roi_pool, roi_pool.reference):
        (gradient,) = torch.autograd.grad(op(plane, box, ONE, (1, 1), 1 / 8).sum(), plane)
        assert gradient.flatten().tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("op", [roi_align, roi_pool])
def test_gradients(op: object) -> None:
    rng = torch.Generator().manual_seed(4)
    features = torch.randn(2, 2, 5, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[1.0, 2, 30, 25], [-8, -8, 60, 50], [9, 9, 10, 10], [12, 3, 40, 12]])
    image = torch.tensor([0, 1, 1, 0])
    assert torch.autograd.gradcheck(
        lambda x: op.reference(x, boxes.double(), image, (3, 2), 1 / 8),  # type: ignore[attr-defined]
        (features,),
    )
