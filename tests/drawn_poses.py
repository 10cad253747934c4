"""Maps as a perfect network would give them, drawn cell by cell."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sightline.detectors.bottom_up import BottomUp, Decoding
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton, skeleton
from sightline.types import Features

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


POINTS = ("head", "left_hand", "right_hand", "left_foot", "right_foot")
BODY = skeleton((*POINTS, "neck"), [(5, 0), (5, 1), (5, 2), (5, 3), (5, 4)])
ANSWER = skeleton(POINTS, [(0, 1)])
SIZE = (30, 44)


class Drawn(BottomUp):
    """Answers with the maps that it was given, whatever the image."""

    def __init__(self, people: Tensor, decoding: Decoding, parts: Skeleton = BODY) -> None:
        super().__init__(("person",), ANSWER, parts, 8, Preparation(None, 352, 8), decoding)
        self.drawn: Features = self.draw(people)

    def draw(self, people: Tensor) -> Features:
        limbs = self.parts.limbs
        if self.decoding.association == "midpoints":
            return part_maps(people, SIZE), midpoint_maps(people, limbs, SIZE)
        return part_maps(people, SIZE), limb_fields(people, limbs, SIZE)

    def maps(self, pixels: Tensor) -> Features:
        return tuple(maps.expand(len(pixels), -1, -1, -1) for maps in self.drawn)


def person(x: float, y: float) -> Tensor:
    """Six parts around a neck."""
    arms = torch.tensor([[0.3, -4], [5.2, 1.6], [-5.1, 2.1], [2.4, 9.3], [-2.7, 9.1], [0, 0]])
    return arms + torch.tensor([x, y])


CROWD = torch.stack([person(8.3, 7.1), person(21.7, 12.4), person(35.2, 9.9)])
