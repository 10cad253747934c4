"""The kernel of the region warp gives its definition's numbers, with any number of threads."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.kernels.cpu.region_warp import region_warp as fast
from sightline.ops.region_warp import region_warp


def draw(seed: int, regions: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two images, and regions in them, over their edges, outside, empty and turned."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, 37, 61, generator=rng)
    corners = torch.rand(regions, 2, 2, generator=rng) * torch.tensor([100.0, 70.0]) - 20
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    edge = [[0, 0, 0, 0], [61, 37, 61, 37], [500, 500, 600, 700], [60, 30, 20, 10]]
    edge += [[0, 0, 61, 37], [-1000, -1000, 3000, 2000], [5, 5, 6, 30], [3, 4, 3.25, 4.25]]
    count = min(len(edge), regions)
    boxes[:count] = torch.tensor(edge[:count], dtype=torch.float32)
    return images, boxes, torch.randint(0, 2, (regions,), generator=rng)


@pytest.mark.parametrize(("size", "context"), [(1, 0), (7, 3), (32, 0), (33, 5)])
def test_the_definitions_numbers(size: int, context: int) -> None:
    given = draw(size, 40)
    expected = region_warp.reference(*given, size, context)
    torch.testing.assert_close(fast(*given, size, context), expected, rtol=0, atol=1e-5)
    assert expected.abs().sum() > 0


@given(st.integers(0, 2**31), st.integers(1, 24), st.integers(1, 2), st.integers(1, 3))
@settings(max_examples=60)
def test_images_of_few_pixels(seed: int, size: int, height: int, width: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(1, 2, height, width, generator=rng)
    boxes = torch.randn(5, 4, generator=rng) * 3
    owner = torch.zeros(5, dtype=torch.int64)
    context = (size - 1) // 2
    expected = region_warp.reference(images, boxes, owner, size, context)
    torch.testing.assert_close(
        fast(images, boxes, owner, size, context), expected, rtol=0, atol=1e-5
    )


def test_bits_do_not_depend_on_threads_nor_on_the_layout_of_the_images() -> None:
    images, boxes, owner = draw(3, 50)
    before, answers = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            answers.append(fast(images, boxes, owner, 21, 4))
    finally:
        torch.set_num_threads(before)
    answers.append(fast(images.to(memory_format=torch.channels_last), boxes, owner, 21, 4))
    assert all(torch.equal(answers[0], other) for other in answers[1:])
    assert answers[0].is_contiguous(memory_format=torch.channels_last)


def test_no_gradient_passes() -> None:
    images, boxes, owner = draw(4, 3)
    for op in (fast, region_warp.reference):
        assert not op(images.requires_grad_(), boxes, owner, 9, 2).requires_grad
