"""Detections drawn onto their image: boxes, labels, masks, keypoints."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sightline.bitmaps import Masks, window
from sightline.explain.limbs import draw_person
from sightline.types import Detections

Colour = tuple[int, int, int]
Rect = tuple[int, int, int, int]

GOLDEN = 0.618033988749895
"""Steps of the golden ratio around the colour circle never come close to each other again."""

BAND = 128
"""Rows of a mask that are coloured at once, so that what is between stays small."""


@dataclass(frozen=True)
class Style:
    """How detections look. `line` and `font` in pixels; None scales them to the image.

    `limbs` are pairs of keypoints to join, None for those of the detections' skeleton; each has a
    hue of its own (`explain.limbs`). Keypoints of a score up to `point_score` are left out; `veil`
    is how much of a mask's pixels its colour takes. Objects that are followed through a video have
    the colour of their id, others that of their class.
    """

    line: int | None = None
    font: int | None = None
    scores: bool = True
    limbs: tuple[tuple[int, int], ...] | None = None
    point_score: float = 0.2
    veil: float = 0.45


def colour(label: int) -> Colour:
    """The colour of a class: the same in every picture, bright, far from its neighbours'."""
    hue = (0.02 + label * GOLDEN) % 1.0
    value = (1.0, 0.85, 0.95)[label % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.85, 0.95, 0.65)[label % 3], value)
    return round(255 * red), round(255 * green), round(255 * blue)


def ink(background: Colour) -> Colour:
    """Black or white, whichever contrasts more with `background` (WCAG's relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (value / 255 for value in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    black = (luminance + 0.05) / 0.05
    return (0, 0, 0) if black >= 1.05 / (luminance + 0.05) else (255, 255, 255)


def draw(
    image: UInt8[Tensor, "3 H W"], found: Detections, style: Style | None = None
) -> Image.Image:
    """A copy of `image` with `found` drawn on it, the best on top.

    Every box has a thin dark edge on both sides, so that it stands out on any ground; labels keep
    inside the picture and off each other where there is room. `found` must be of this image.
    """
    style = Style() if style is None else style
    pixels = image.permute(1, 2, 0).cpu().numpy()
    shades = [colour(n) for n in (found.labels if found.tracks is None else found.tracks).tolist()]
    if found.masks is not None:
        pixels = veil(pixels, found.masks, shades, style.veil)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    extent = (picture.height * picture.width) ** 0.5
    line = style.line or max(1, round(extent / 250))
    size = style.font or round(min(48.0, max(11.0, extent / 36)))
    pen = ImageDraw.Draw(picture)
    boxes = found.boxes.tolist()
    for box, shade in reversed(list(zip(boxes, shades, strict=True))):
        _outline(pen, _pixels(box, picture.size), line, shade)
    if found.keypoints is not None:
        bones = () if found.skeleton is None else found.skeleton.limbs
        limbs = style.limbs if style.limbs is not None else bones
        for points in found.keypoints.flip(0):
            draw_person(picture, points.cpu(), limbs, style.point_score, style.line)
    texts = [
        " ".join((name, *who, *([f"{score:.2f}"] if style.scores else [])))
        for name, who, score in zip(found.names, _ids(found), found.scores.tolist(), strict=True)
    ]
    rects = [_pixels(box, picture.size) for box in boxes]
    _labels(pen, picture.size, list(zip(texts, rects, shades, strict=True)), size)
    return picture


def _ids(found: Detections) -> list[tuple[str, ...]]:
    """What each detection's label says of its id: nothing where it has none."""
    tracks = [0] * len(found) if found.tracks is None else found.tracks.tolist()
    return [(f"#{track}",) if track else () for track in tracks]


def _pixels(box: Sequence[float], size: tuple[int, int]) -> Rect:
    """First and last pixel of a box, inside an image of `size` (width, height)."""
    width, height = size
    x1, y1 = min(width - 1, max(0, round(box[0]))), min(height - 1, max(0, round(box[1])))
    return x1, y1, max(x1, min(width, round(box[2])) - 1), max(y1, min(height, round(box[3])) - 1)


def _outline(pen: ImageDraw.ImageDraw, rect: Rect, line: int, shade: Colour) -> None:
    x1, y1, x2, y2 = rect
    dark = tuple(value // 4 for value in shade)
    edge = max(1, line // 3)
    outer = (x1 - edge, y1 - edge, x2 + edge, y2 + edge)
    pen.rectangle(outer, outline=dark, width=edge)
    if min(x2 - x1, y2 - y1) > 2 * (line + edge):
        inner = (x1 + line, y1 + line, x2 - line, y2 - line)
        pen.rectangle(inner, outline=dark, width=edge)
    pen.rectangle(rect, outline=shade, width=line)


def veil(
    pixels: UInt8[np.ndarray, "H W 3"],
    masks: Masks | Tensor,
    shades: Sequence[Colour],
    share: float,
) -> UInt8[np.ndarray, "H W 3"]:
    """Colour laid over each mask, the best last, and a solid contour."""
    canvas = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    for row in reversed(range(len(masks))):
        top, left, mask = window(masks, row)
        height, width = mask.shape
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        edge = mask & ~inner
        part = canvas[:, top : top + height, left : left + width]
        for start in range(0, height, BAND):
            rows = slice(start, start + BAND)
            for plane, tint in zip(part[:, rows], np.array(shades[row], np.float32), strict=True):
                np.copyto(plane, plane + share * (tint - plane), where=mask[rows])
                np.copyto(plane, tint, where=edge[rows])
    return np.rint(canvas.transpose(1, 2, 0), out=np.empty_like(pixels), casting="unsafe")


def _labels(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    entries: Sequence[tuple[str, Rect, Colour]],
    font_size: int,
) -> None:
    """Places found best first, so that the surest label has the best place; drawn worst first."""
    font = ImageFont.load_default(font_size)
    taken: list[Rect] = []
    plan: list[tuple[str, Rect, Colour]] = []
    pad = max(1, font_size // 6)
    ascent, descent = _heights(font)
    for text, rect, shade in entries:
        clean = "".join(letter if letter.isprintable() else "?" for letter in text)
        width = round(pen.textlength(clean, font=font)) + 2 * pad
        spot = place(rect, (width, ascent + descent + pad), size, taken)
        taken.append(spot)
        plan.append((clean, spot, shade))
    for text, (x1, y1, x2, y2), shade in reversed(plan):
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), fill=shade)
        middle = (y1 + y2 + ascent - descent) / 2
        pen.text((x1 + pad, middle), text, fill=ink(shade), font=font, anchor="ls")


def _heights(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    if isinstance(font, ImageFont.FreeTypeFont):
        return font.getmetrics()
    return round(font.getbbox("Ag")[3]), 0


def place(rect: Rect, label: tuple[int, int], size: tuple[int, int], taken: list[Rect]) -> Rect:
    """Above the box, else inside its top, inside its bottom, below: the least covered place."""
    x1, y1, x2, y2 = rect
    width, height = label
    left = max(0, min(x1, size[0] - width))
    right = max(0, min(x2 + 1 - width, size[0] - width))
    tops = (y1 - height, y1, y2 + 1 - height, y2 + 1)
    options = [
        (x, y, x + width, y + height)
        for x in (left, right)
        for y in tops
        if 0 <= y <= size[1] - height
    ] or [(left, 0, left + width, height)]

    def covered(option: Rect) -> int:
        return sum(
            max(0, min(option[2], other[2]) - max(option[0], other[0]))
            * max(0, min(option[3], other[3]) - max(option[1], other[1]))
            for other in taken
        )

    return min(options, key=covered)
