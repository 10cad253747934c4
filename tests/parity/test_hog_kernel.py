"""Histograms of gradients: the definition is scikit-image's, and the kernel the definition's."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.feature import hog as peer
from torch import Tensor

from sightline.kernels.cpu import hog as fast
from sightline.ops.hog import hog


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, 300 - height), rng.integers(0, 451 - width)
    return data.chelsea()[top : top + height, left : left + width].copy()


def theirs(picture: np.ndarray) -> Tensor:
    blocks = peer(
        picture,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        channel_axis=-1,
        feature_vector=False,
    )
    return torch.from_numpy(blocks).permute(2, 3, 4, 0, 1).flatten(0, 2).float()


def ours(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float()


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (40, 31), (128, 64), (250, 341)])
def test_the_numbers_of_scikit_image(size: tuple[int, int]) -> None:
    picture = photo(*size)
    want = theirs(picture)
    for made in (hog.reference(ours(picture)), fast.hog(ours(picture))):
        torch.testing.assert_close(made, want, rtol=0, atol=1e-5)
    grey = picture[..., :1]
    torch.testing.assert_close(fast.hog(ours(grey)), theirs(grey), rtol=0, atol=1e-5)


def test_every_gradient_of_bytes_has_its_orientation() -> None:
    """One cell a gradient: pixel (4, 4) of each has that one, all votes of others being equal."""
    side = torch.arange(-255, 256, 6).float()
    across, down = (x.flatten() for x in torch.meshgrid(side, side, indexing="ij"))
    for start in range(0, len(across), 1000):
        a, b = across[start : start + 1000], down[start : start + 1000]
        image = torch.zeros(1, 16, 16 * len(a))
        columns = 16 * torch.arange(len(a))
        image[0, 4, columns + 5], image[0, 4, columns + 3] = a.clamp(min=0), (-a).clamp(min=0)
        image[0, 5, columns + 4], image[0, 3, columns + 4] = b.clamp(min=0), (-b).clamp(min=0)
        want = hog.reference(image)
        torch.testing.assert_close(fast.hog(image), want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (8, 16), (15, 15), (16, 15), (300, 9)])
def test_too_few_cells_for_a_block(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size)
    want = hog.reference(image)
    assert want.numel() == 0
    assert fast.hog(image).shape == want.shape


def test_one_colour_has_no_edges() -> None:
    image = torch.full((3, 37, 50), 200.0)
    assert not hog.reference(image).any() and not fast.hog(image).any()


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_the_same_bits_with_any_number_of_threads(threads: int) -> None:
    image = ours(photo(290, 333))
    before, one = torch.get_num_threads(), None
    try:
        torch.set_num_threads(1)
        one = fast.hog(image)
        torch.set_num_threads(threads)
        assert torch.equal(fast.hog(image), one)
    finally:
        torch.set_num_threads(before)


def test_other_strides_and_precisions() -> None:
    image = ours(photo(90, 121))
    want = hog.reference(image)
    torch.testing.assert_close(fast.hog(image.double()), want, rtol=0, atol=1e-5)
    turned = image.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    assert torch.equal(fast.hog(turned), fast.hog(image))
