"""Pixels of one size to a network's numbers of another, in one pass over the picture."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.dispatch import kernel

__all__ = ["resample"]


@kernel
def resample(
    image: UInt8[Tensor, "3 H W"] | Float[Tensor, "3 H W"],
    target: Float[Tensor, "3 h w"],
    size: tuple[int, int],
    gain: Float[Tensor, "3"],
    bias: Float[Tensor, "3"],
) -> None:
    """Fill `target` in place: gain · sample + bias in its first `size` rows and columns, 0 beyond.

    Samples are bilinear between the two nearest pixels, without antialiasing; pixel i's centre is
    i + ½, and beyond the border its last pixel goes on. `gain` and `bias` are one number a channel.
    """
    height, width = size
    values = image[None].float()
    if size != tuple(image.shape[1:]):
        values = F.interpolate(values, size, mode="bilinear", align_corners=False)
    target.zero_()
    torch.addcmul(bias.view(3, 1, 1), values[0], gain.view(3, 1, 1), out=target[:, :height, :width])
