"""How far a network looks: the pixels around a cell that can change it.

Measured on the network itself, so that it holds for every backbone and whatever comes after it.
"""

import copy
import math

import torch
from torch import nn

FURTHEST = 2048
"""The half length of the longest strip that is tried."""


@torch.no_grad()
def reach(encoder: nn.Module, stride: int, align: int) -> int:
    """The margin in pixels, a multiple of `stride`, by which a crop has to be larger than what is
    read from its map, if the map is to be that of the whole image.

    `encoder` gives maps whose first has cells of `stride` pixels; crops begin and end at multiples
    of `align`, the stride of its coarsest part. What is not a number stays none through
    convolutions, pooling and activations: a band of pixels in a strip is made so, and cells that
    turn out so have seen it. Networks look as far up and down as to both sides. Raises ValueError
    for one that looks further than `FURTHEST` / 2 pixels, or everywhere at once.
    """
    # In double precision, where no fast convolution mixes neighbouring cells
    probe = copy.deepcopy(encoder).double().eval()
    side = -(-512 // align) * align
    while side <= FURTHEST:
        pixels = torch.zeros(1, 3, align, 2 * side + align, dtype=torch.float64)
        pixels[..., side : side + align] = math.nan
        touched = probe(pixels)[0].isnan().any(dim=1).any(dim=1)[0]
        seen = touched.nonzero()[:, 0] * stride
        furthest = max(side - int(seen[0]), int(seen[-1]) + stride - side - align)
        if 2 * furthest <= side:  # what looks through holes could step over a nearer edge
            return furthest
        side *= 2
    raise ValueError(f"{type(encoder).__name__} looks further than {FURTHEST // 2} pixels")
