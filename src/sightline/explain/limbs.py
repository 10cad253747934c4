"""People as coloured skeletons: a hue a limb, so that left and right, arm and leg are told apart.

The look is that of OpenPose (Cao 2017): the limbs of a skeleton go once around the colour circle,
every point has its own hue too, lines are as thick as the person is large, and what the network is
less sure of is fainter.
"""

import colorsys
from collections.abc import Sequence

from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

Colour = tuple[int, int, int]
Bones = tuple[tuple[int, int], ...]

THICKNESS = 0.035
"""A limb's width in parts of the person's size, √(width · height) of the box around the points."""

FAINT = 0.45
"""How much of its colour a limb without confidence has; one of confidence 1 has all."""

SMOOTH = 2
"""Drawn so many times larger, then made small: edges are smooth."""


def hue(number: int, count: int) -> Colour:
    """Colour `number` of `count` evenly around the circle, from red on."""
    red, green, blue = colorsys.hsv_to_rgb(number / max(1, count), 0.95, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_person(
    picture: Image.Image,
    points: Float[Tensor, "P 3"],
    limbs: Bones,
    least: float = 0.2,
    line: int | None = None,
) -> None:
    """Draw one person's skeleton onto `picture`, whose pixels `points` (x, y, score) are in.

    Points of a score up to `least` are left out, and limbs that end at one. `line` is the width of
    the limbs in pixels; None takes it from the person's size.
    """
    seen = points[:, 2] > least
    if not bool(seen.any()):
        return
    low, high = points[seen, :2].amin(dim=0), points[seen, :2].amax(dim=0)
    extent = float((high - low).clamp(min=1).prod().sqrt())
    width = max(2.0, THICKNESS * extent) if line is None else float(line)
    radius = max(1.5, 0.8 * width)
    margin = round(2 * radius + width) + 2
    left, top = (max(0, int(value) - margin) for value in low.tolist())
    right = min(picture.width, int(high[0]) + margin + 1)
    bottom = min(picture.height, int(high[1]) + margin + 1)
    if right <= left or bottom <= top:
        return
    layer = Image.new("RGBA", (SMOOTH * (right - left), SMOOTH * (bottom - top)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    places = [(SMOOTH * (x - left), SMOOTH * (y - top), score) for x, y, score in points.tolist()]
    visible = seen.tolist()
    for number, (a, b) in enumerate(limbs):
        if visible[a] and visible[b]:
            shade = hue(number, len(limbs))
            strength = (places[a][2] * places[b][2]) ** 0.5
            _limb(pen, (places[a][:2], places[b][:2]), SMOOTH * width, (*shade, _opacity(strength)))
    for number, (x, y, score) in enumerate(places):
        if visible[number]:
            dye = (*hue(number, len(places)), _opacity(score))
            reach = SMOOTH * radius
            around = (x - reach, y - reach, x + reach, y + reach)
            pen.ellipse(around, fill=dye, outline=(0, 0, 0, dye[3]), width=SMOOTH)
    part = (left, top, right, bottom)
    small = layer.resize((right - left, bottom - top), Image.Resampling.BOX)
    below = picture.crop(part).convert("RGBA")
    picture.paste(Image.alpha_composite(below, small).convert(picture.mode), part)


def _opacity(strength: float) -> int:
    return round(255 * (FAINT + (1 - FAINT) * min(1.0, max(0.0, strength))))


def _limb(
    pen: ImageDraw.ImageDraw,
    ends: Sequence[tuple[float, float]],
    width: float,
    shade: tuple[int, int, int, int],
) -> None:
    """A bar with a thin dark edge, so that it stands out on any ground."""
    flat = [value for end in ends for value in end]
    dark = (*(value // 4 for value in shade[:3]), shade[3])
    pen.line(flat, fill=dark, width=round(width) + 2 * SMOOTH)
    pen.line(flat, fill=shade, width=round(width))
