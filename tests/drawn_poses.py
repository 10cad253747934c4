"""Maps as a perfect network would give them, drawn cell by cell."""

from collections.abc import Sequence

import torch
from torch import Tensor

Limbs = Sequence[tuple[int, int]]


def centres(size: tuple[int, int]) -> Tensor:
    """(h, w, 2): the middle of each cell."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    return torch.stack([x, y], 2)


def part_maps(people: Tensor, size: tuple[int, int], sigma: float = 1.0) -> Tensor:
    """(1, P, h, w) from (N, P, 2) in cells; NaN is a part that is not there."""
    away = (people[:, :, None, None] - centres(size)).square().sum(-1)
    return torch.exp(-away / sigma**2).nan_to_num(0).amax(0)[None]


def limb_fields(people: Tensor, limbs: Limbs, size: tuple[int, int], width: float = 1.0) -> Tensor:
    """(1, 2 L, h, w): the mean of the unit vectors of all who cover a cell."""
    maps = []
    for a, b in limbs:
        line = people[:, b] - people[:, a]
        length = line.norm(dim=1)
        unit = line / length[:, None]
        from_a = centres(size)[None] - people[:, a, None, None]
        along = (from_a * unit[:, None, None]).sum(-1)
        aside = from_a[..., 0] * unit[:, None, None, 1] - from_a[..., 1] * unit[:, None, None, 0]
        on = (along >= 0) & (along <= length[:, None, None]) & (aside.abs() <= width)
        total = torch.where(on[..., None], unit[:, None, None], 0.0).sum(0)
        maps.append(total / on.sum(0).clamp(min=1)[..., None])
    return torch.cat(maps, 2).movedim(2, 0)[None]


def midpoint_maps(
    people: Tensor, limbs: Limbs, size: tuple[int, int], sigma: float = 1.0
) -> Tensor:
    """(1, L, h, w): a Gaussian half-way along each limb."""
    ends = torch.tensor(limbs)
    return part_maps((people[:, ends[:, 0]] + people[:, ends[:, 1]]) / 2, size, sigma)
