"""From maps of where a keypoint may be to the place where it is."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.peaks import summit


def peaks(
    maps: Float[Tensor, "R P m n"], boxes: Float[Tensor, "R 4"]
) -> tuple[Float[Tensor, "R P 2"], Float[Tensor, "R P"]]:
    """The (x, y) of each map's highest value, and that value.

    A map covers its box. It is enlarged to the box's size in whole pixels, rounded up, by bicubic
    interpolation, and the middle of the best pixel is the answer: finer than a cell, as the
    published networks have it. Among equals the first in reading order.
    """
    points = maps.new_zeros(len(maps), maps.shape[1], 2)
    values = maps.new_zeros(len(maps), maps.shape[1])
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    for row, ((left, top, _, _), (width, height)) in enumerate(
        zip(boxes.tolist(), sides.tolist(), strict=True)
    ):
        size = (-int(-height // 1), -int(-width // 1))
        large = F.interpolate(maps[row][None], size, mode="bicubic", align_corners=False)[0]
        values[row], place = large.flatten(1).max(dim=1)
        points[row, :, 0] = (place % size[1] + 0.5) * (width / size[1]) + left
        points[row, :, 1] = (place // size[1] + 0.5) * (height / size[0]) + top
    return points, values


def best_cells(
    maps: Float[Tensor, "R P h w"],
) -> tuple[Float[Tensor, "R P 2"], Float[Tensor, "R P"]]:
    """Where each map is highest, (x, y) in cells, and that value; cell i's centre lies at i + ½.

    Finer than a cell by the Gaussian through its neighbours, as `peaks.part_peaks` is. Among equals
    the first in reading order.
    """
    rows, parts, _, width = maps.shape
    values, place = maps.flatten(2).max(dim=2)
    each = torch.arange(rows, device=maps.device)[:, None].expand(rows, parts)
    part = torch.arange(parts, device=maps.device)[None].expand(rows, parts)
    at = (each, part, place // width, place % width)
    x, y = at[3] + summit(maps, at, 3), at[2] + summit(maps, at, 2)
    return torch.stack([x, y], dim=-1) + 0.5, values
