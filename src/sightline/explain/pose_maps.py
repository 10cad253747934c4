"""What a network of poses sees, laid over its image: part maps as hues, affinity fields as wheels.

Maps lie in the prepared image's cells: cell (i, j) of a map of stride s covers its pixels
[i·s, (i+1)·s). They are read at the middle of every pixel of the original image, between cells by
bilinear interpolation, so padding is cut and the picture has the image's size.

A field's direction is a hue and its length a strength, as on a colour wheel, which is drawn into
the corner as the key: a limb that points to the right is red, down the picture yellow-green, to the
left cyan, up violet (a quarter of the circle a quarter turn).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.types import Frame, Size

GROUND = 0.45
"""How much of the image's light is left where there is nothing to show."""

KEY = 0.22
"""The wheel's diameter in parts of the image's shorter side."""


def over_image(
    maps: Float[Tensor, "C h w"], frame: Frame, prepared: Size
) -> Float[Tensor, "C H W"]:
    """Maps of a prepared image (its size with padding: `prepared`) at each original pixel."""
    height, width = frame.original
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = frame.to_prepared(torch.stack([x, y], dim=-1).reshape(-1, 2)).view(height, width, 2)
    grid = places / torch.tensor([prepared[1], prepared[0]], dtype=torch.float32) * 2 - 1
    answer = F.grid_sample(
        maps.detach().float().cpu()[None],
        grid[None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return answer[0]


def wheel(x: Float[Tensor, "H W"], y: Float[Tensor, "H W"]) -> Float[Tensor, "3 H W"]:
    """Directions as bright colours, 0 … 1: hue 0 (red) to the right, a third of a turn (green) and
    two thirds (blue) clockwise as seen on the screen, where y goes down.
    """
    return _bright(torch.atan2(y, x) / (2 * torch.pi) % 1.0)


def draw_parts(
    image: UInt8[Tensor, "3 H W"],
    maps: Float[Tensor, "P h w"],
    frame: Frame,
    prepared: Size,
    only: Sequence[int] | None = None,
) -> Image.Image:
    """The part maps over their image: each part's hue, as strong as the map says (0 … 1).

    Where parts overlap the strongest is seen. `only` are the parts to show, all without it: leave
    the background out. UsageError for parts that are not there, or an image of another size.
    """
    _require(image, frame)
    chosen = _chosen(maps.shape[0], only)
    strength, part = over_image(maps[chosen], frame, prepared).clamp(0, 1).max(dim=0)
    hues = torch.tensor(chosen, dtype=torch.float32)[part] / maps.shape[0]
    return _blend(image, _bright(hues), strength)


def draw_fields(
    image: UInt8[Tensor, "3 H W"],
    fields: Float[Tensor, "C h w"],
    frame: Frame,
    prepared: Size,
    only: Sequence[int] | None = None,
) -> Image.Image:
    """The affinity fields (2L maps: x then y of each limb) over their image, with the wheel as key.

    At each pixel the longest limb's vector is seen. `only` are the limbs to show, all without it.
    UsageError for limbs that are not there, or an image of another size.
    """
    _require(image, frame)
    if fields.shape[0] % 2:
        raise UsageError(f"{fields.shape[0]} maps are no pairs of x and y", code="usage.shape")
    chosen = _chosen(fields.shape[0] // 2, only)
    large = over_image(fields, frame, prepared).view(-1, 2, *frame.original)[chosen]
    length, limb = large.square().sum(dim=1).sqrt().max(dim=0)
    x, y = (large[:, axis].gather(0, limb[None])[0] for axis in (0, 1))
    return add_key(_blend(image, wheel(x, y), length.clamp(0, 1)))


def add_key(picture: Image.Image) -> Image.Image:
    """The picture with the wheel in its lower right corner: hue is direction, strength length."""
    side = max(24, round(KEY * min(picture.size)))
    middle = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    length = (x * x + y * y).sqrt()
    disc = (255 * wheel(x, y) * length.clamp(0, 1)).byte().permute(1, 2, 0).numpy()
    inside = (255 * (length <= 1)).byte().numpy()
    answer = picture.copy()
    corner = (picture.width - side - side // 8, picture.height - side - side // 8)
    answer.paste(Image.fromarray(disc), corner, Image.fromarray(inside))
    pen = ImageDraw.Draw(answer)
    pen.ellipse((*corner, corner[0] + side, corner[1] + side), outline=(255, 255, 255))
    return answer


def _bright(hue: Float[Tensor, "H W"]) -> Float[Tensor, "3 H W"]:
    """Hues (0 … 1) as fully saturated colours."""
    thirds = torch.tensor([0.0, 1 / 3, 2 / 3])[:, None, None]
    away = ((hue[None] - thirds + 0.5) % 1.0 - 0.5).abs()
    return (2 - 6 * away).clamp(0, 1)


def _blend(
    image: UInt8[Tensor, "3 H W"], colours: Float[Tensor, "3 H W"], strength: Float[Tensor, "H W"]
) -> Image.Image:
    """Colours over a darkened grey of the image, as much as their strength says."""
    grey = image.cpu().float().mean(dim=0, keepdim=True) * GROUND
    mixed = (grey + strength * (255 * colours - grey)).round().clamp(0, 255).byte()
    return Image.fromarray(np.ascontiguousarray(mixed.permute(1, 2, 0).numpy()))


def _require(image: Tensor, frame: Frame) -> None:
    if tuple(image.shape[1:]) != tuple(frame.original):
        raise UsageError(
            f"the image is {tuple(image.shape[1:])}, its frame {tuple(frame.original)}",
            code="usage.shape",
        )


def _chosen(count: int, only: Sequence[int] | None) -> list[int]:
    chosen = list(range(count)) if only is None else list(only)
    if not chosen or any(not 0 <= index < count for index in chosen):
        raise UsageError(f"{chosen} are not among {count} maps", code="usage.out_of_range")
    return chosen
