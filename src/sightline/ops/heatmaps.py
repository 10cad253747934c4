"""From maps of where a keypoint may be to the place where it is."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


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


def gaussian_peaks(
    maps: Float[Tensor, "R P h w"],
) -> tuple[Float[Tensor, "R P 2"], Float[Tensor, "R P"]]:
    """Where each map is highest, (x, y) in cells, cell i's middle at i + ½; and how high it is.

    Along each axis a parabola goes through the logarithms of the best cell and its two neighbours:
    for a Gaussian, of any width, its top is the exact place and height. It stays within the cell.
    At a border the middle of the cell is the answer. Among equals the first in reading order.
    """
    rows, parts, height, width = maps.shape
    best, place = maps.flatten(2).max(dim=2)
    column, row = place % width, place // width
    logs = maps.clamp(min=1e-6).log()
    each, part = torch.arange(rows)[:, None], torch.arange(parts)[None]
    here, more = logs[each, part, row, column], torch.zeros_like(best)
    answer = []
    for at, count, (down, along) in ((column, width, (0, 1)), (row, height, (1, 0))):
        inner = ((at > 0) & (at < count - 1)).long()
        before = logs[each, part, row - down * inner, column - along * inner]
        after = logs[each, part, row + down * inner, column + along * inner]
        slope, bend = (after - before) / 2, before - 2 * here + after
        top = torch.where(bend < 0, -slope / bend, 0).clamp(-0.5, 0.5)
        more = more + (slope + bend * top / 2) * top
        answer.append(at + 0.5 + top)
    return torch.stack(answer, dim=-1), torch.where(best > 1e-6, best * more.exp(), best)
