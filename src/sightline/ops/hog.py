"""Histograms of oriented gradients (Dalal and Triggs 2005): what a template of edges is held to.

A cell is 8 × 8 pixels; a block is 2 × 2 cells, and blocks overlap by a cell. The numbers are those
of scikit-image's `hog` with `pixels_per_cell=(8, 8), cells_per_block=(2, 2)`: a pixel votes for one
orientation and one cell. Letters: C channels, H W pixels, h w cells.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.ops.dispatch import carried_kernel

__all__ = ["CELL", "LENGTH", "ORIENTATIONS", "gradients", "hog", "require_image"]

CELL = 8
"""Pixels along a side of a cell."""

ORIENTATIONS = 9
"""Bins over 180 degrees: the sign of a gradient does not count."""

LENGTH = 4 * ORIENTATIONS
"""Numbers of a block."""

CLIP, TINY = 0.2, 1e-5
"""The bound and the ε of L2-Hys."""


def gradients(image: Float[Tensor, "C H W"]) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """(across, down) of each pixel: right minus left neighbour, lower minus upper.

    Of the channel where the gradient is longest, the first of equals. 0 along the border that a
    neighbour is missing at.
    """
    across, down = torch.zeros_like(image), torch.zeros_like(image)
    across[:, :, 1:-1] = image[:, :, 2:] - image[:, :, :-2]
    down[:, 1:-1] = image[:, 2:] - image[:, :-2]
    best = (across.square() + down.square()).argmax(dim=0, keepdim=True)
    return across.gather(0, best)[0], down.gather(0, best)[0]


@carried_kernel
def hog(image: Float[Tensor, "C H W"]) -> Float[Tensor, "36 _ _"]:
    """The normalised blocks of an image: numbers (upper left, upper right, lower left, lower right
    cell; 9 orientations each) by rows by columns.

    A pixel's gradient votes with its length for one of nine orientations of its cell; a block's
    four histograms are L2-normalised together, clipped at 0.2 and normalised again (L2-Hys). Pixels
    right of and below the last whole cell count as neighbours alone; an image of less than 2 × 2
    cells has no blocks. Raises UsageError (usage.shape) for what is no image.
    """
    require_image(image)
    height, width = (side // CELL for side in image.shape[1:])
    if min(height, width) < 2:
        return image.new_zeros(LENGTH, max(height - 1, 0), max(width - 1, 0))
    across, down = gradients(image)
    angle = torch.atan2(down.double(), across.double()).rad2deg() % 180
    bins = (angle / (180 / ORIENTATIONS)).long().clamp(max=ORIENTATIONS - 1)
    votes = F.one_hot(bins, ORIENTATIONS).permute(2, 0, 1) * torch.hypot(across, down)
    cells = F.avg_pool2d(votes, CELL)
    blocks = torch.cat([cells[:, y : y + height - 1, x : x + width - 1] for y, x in CORNERS])
    for bound in (CLIP, math.inf):
        length = (blocks.square().sum(dim=0) + TINY**2).sqrt()
        blocks = (blocks / length).clamp(max=bound)
    return blocks


CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The cells of a block, (down, across)."""


def require_image(image: Tensor) -> None:
    """Raise UsageError (usage.shape) unless `image` is (C, H, W) floats of at least one channel."""
    if image.ndim != 3 or image.shape[0] == 0 or not image.is_floating_point():
        raise UsageError(
            f"(C, H, W) floats are wanted, not {image.dtype} {tuple(image.shape)}",
            code="usage.shape",
        )
