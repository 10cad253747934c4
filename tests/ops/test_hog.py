"""What histograms of oriented gradients are, told by pictures that a person can work out."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.kernels.cpu import hog as fast
from sightline.ops.hog import gradients, hog


def test_an_upright_edge_votes_across() -> None:
    image = torch.zeros(1, 16, 24)
    image[:, :, 12:] = 100.0
    blocks = hog(image)
    assert blocks.shape == (36, 1, 2)
    cells = blocks[:, 0, 0].view(4, 9)
    assert (cells[[1, 3], 0] > 0.4).all()  # the right cells of the first block, at 0 to 20 degrees
    assert cells.sum() == pytest.approx(cells[[1, 3], 0].sum().item())


def test_the_sign_of_an_edge_does_not_count() -> None:
    image = torch.rand(3, 40, 56)
    torch.testing.assert_close(hog(1 - image), hog(image), rtol=0, atol=2e-5)


def test_brightness_and_contrast_hardly_count() -> None:
    image = torch.rand(3, 40, 56) * 100
    torch.testing.assert_close(hog(image * 2 + 7), hog(image), rtol=0, atol=1e-4)


def test_no_number_is_far_above_the_clip_and_each_block_has_length_one() -> None:
    blocks = hog(torch.rand(3, 64, 48) * 255)
    torch.testing.assert_close(blocks.square().sum(0), torch.ones(7, 5), rtol=0, atol=1e-4)


def test_the_channel_of_the_longest_gradient_counts() -> None:
    image = torch.zeros(3, 16, 16)
    image[0, :, 8:], image[2, 8:] = 10.0, 50.0
    across, down = gradients(image)
    assert across[7, 8] == 0 and down[7, 8] == 50
    assert across[2, 8] == 10 and down[2, 8] == 0


@pytest.mark.parametrize(
    "image",
    [torch.zeros(20, 20), torch.zeros(0, 20, 20), torch.zeros(3, 20, 20, dtype=torch.uint8)],
)
def test_what_is_no_image(image: torch.Tensor) -> None:
    with pytest.raises(UsageError) as caught:
        fast.hog(image)
    assert caught.value.code == "usage.shape"
