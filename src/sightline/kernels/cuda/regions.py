"""What the kernels of regions share: whose regions are whose, and how channels are dealt out."""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_CHANNELS = 256
"""So many channels a program: one warp reads them in one or two loads of 16 bytes a thread."""

CHUNK = tl.constexpr(128)
"""So many regions at once are asked whether they touch a cell."""

MANY = 2**16
"""From so many cells on there are programs enough for each to take several neighbours."""


class ByImage(NamedTuple):
    """The regions image by image, so that a cell's program looks only at its own image's.

    order: (R,) rows of the regions, those of one image in their own order.
    starts: (B + 1,) where each image's begin in `order`, and the end.
    """

    order: Tensor
    starts: Tensor


def by_image(image: Tensor, images: int) -> ByImage:
    """Sort regions (R,) by their image without asking the device for a number."""
    found = image.sort(stable=True)
    numbers = torch.arange(images + 1, device=image.device)
    return ByImage(found.indices, torch.searchsorted(found.values, numbers))


def channel_blocks(channels: int) -> tuple[int, int]:
    """Channels a program, a power of two, and how many programs they take."""
    each = int(min(triton.next_power_of_2(channels), MOST_CHANNELS))
    return each, -(-channels // each)


def neighbours(images: int, height: int, width: int) -> int:
    """How many cells of a row one program of a backward pass takes.

    Neighbours share what they read, but on a small map the device wants many programs more.
    """
    return 4 if images * height * width > MANY else 1
