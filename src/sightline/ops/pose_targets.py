"""What a network of poses is taught: maps of parts, and fields along limbs (Cao 2017, section 2).

People are (N, P, 3): x, y in cells of the map (the centre of the first is ½, ½) and a visibility;
points of visibility 0 are unknown and leave no trace. `owner` is the image of each person. Points
and limbs may lie outside of the map.

Key of shapes: N people, P parts, L limbs, B images, h w cells of a map.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.ops.dispatch import carried_kernel
from sightline.types import Size

FAINT = 0.01
"""What is weaker than this in a map of parts is nothing at all."""


def _centres(size: Size, like: Tensor) -> tuple[Float[Tensor, "h 1"], Float[Tensor, "1 w"]]:
    y, x = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5 for side in size)
    return y[:, None], x[None, :]


@carried_kernel
def part_maps(
    people: Float[Tensor, "N P 3"], owner: Int[Tensor, "N"], images: int, size: Size, sigma: float
) -> Float[Tensor, "B P h w"]:
    """S(p) = max over people of exp(−‖p − x‖² / σ²) (eqs. 6 and 7); σ in cells.

    The maximum and not the mean keeps peaks apart that lie close together.
    """
    y, x = _centres(size, people)
    maps = people.new_zeros(images, people.shape[1], *size)
    for person, image in zip(people, owner.tolist(), strict=True):
        for part, (px, py, seen) in enumerate(person.tolist()):
            if seen > 0:
                bell = (-((x - px) ** 2 + (y - py) ** 2) / sigma**2).exp()
                bell = torch.where(bell >= FAINT, bell, 0.0)
                maps[image, part] = maps[image, part].maximum(bell)
    return maps


@carried_kernel
def affinity_fields(
    people: Float[Tensor, "N P 3"],
    owner: Int[Tensor, "N"],
    limbs: Int[Tensor, "L 2"],
    images: int,
    size: Size,
    width: float,
) -> Float[Tensor, "B _ h w"]:
    """The limb's unit vector where a cell lies on it, the mean of these where limbs overlap.

    On a limb is what lies between its ends along it, and within `width` cells across (eqs. 8 to
    11). Channels are x and y of the first limb, x and y of the second, and so on. Limbs without
    length have no direction, and leave no trace.
    """
    y, x = _centres(size, people)
    fields = people.new_zeros(images, len(limbs), 2, *size)
    count = people.new_zeros(images, len(limbs), 1, *size)
    for person, image in zip(people, owner.tolist(), strict=True):
        for limb, (first, second) in enumerate(limbs.tolist()):
            start, along = person[first, :2], person[second, :2] - person[first, :2]
            length = along.norm()
            if person[first, 2] > 0 and person[second, 2] > 0 and length > 0:
                vx, vy = (along / length).tolist()
                dx, dy = x - start[0], y - start[1]
                forth, across = vx * dx + vy * dy, vy * dx - vx * dy
                on = (forth >= 0) & (forth <= length) & (across.abs() <= width)
                fields[image, limb, 0] += torch.where(on, vx, 0.0)
                fields[image, limb, 1] += torch.where(on, vy, 0.0)
                count[image, limb] += on
    return (fields / count.clamp(min=1)).flatten(1, 2)
