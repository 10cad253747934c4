"""Templates on a map: the kernel gives the numbers of the definition, in any shape."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.kernels.cpu import correlate as fast
from sightline.ops.correlate import correlate


@pytest.mark.parametrize("count", [1, 3, 7, 8, 20])
@pytest.mark.parametrize(
    ("grid", "window"),
    [((20, 31), (7, 5)), ((5, 4), (5, 4)), ((9, 40), (1, 1)), ((6, 9), (2, 8)), ((8, 7), (3, 6))],
)
def test_the_numbers_of_the_definition(
    count: int, grid: tuple[int, int], window: tuple[int, int]
) -> None:
    rng = torch.Generator().manual_seed(count)
    features = torch.rand(36, *grid, generator=rng)
    templates = torch.randn(count, 36, *window, generator=rng)
    want = torch.nn.functional.conv2d(features.double()[None], templates.double())[0].float()
    torch.testing.assert_close(correlate.reference(features, templates), want, rtol=0, atol=1e-4)
    torch.testing.assert_close(fast.correlate(features, templates), want, rtol=0, atol=1e-4)


def test_the_same_bits_with_any_number_of_threads_and_strides() -> None:
    features, templates = torch.rand(36, 60, 80), torch.randn(2, 36, 9, 7)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fast.correlate(features, templates)
        torch.set_num_threads(5)
        assert torch.equal(fast.correlate(features, templates), one)
    finally:
        torch.set_num_threads(before)
    turned = features.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    assert torch.equal(fast.correlate(turned, templates), one)
    want = correlate.reference(features.double(), templates.double())
    assert torch.equal(fast.correlate(features.double(), templates.double()), want)


@pytest.mark.parametrize(
    "shapes", [((36, 5, 5), (1, 36, 6, 2)), ((36, 5, 5), (1, 9, 2, 2)), ((5, 5), (1, 36, 2, 2))]
)
def test_templates_that_do_not_fit(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(UsageError) as caught:
        fast.correlate(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
    assert caught.value.code == "usage.shape"
