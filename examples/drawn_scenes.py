"""Drawn scenes with their labels: cats' heads, fish and beach balls, for lessons offline.

    python examples/drawn_scenes.py OUT [--train 150] [--val 30] [--seed 0]

Writes a COCO folder (`annotations/instances_train.json`, `images/train/0001.jpg`, …) that every
verb takes: `sightline train OUT`, `sightline compare OUT --budget 2m`. Easy enough for any method
to be seen learning in minutes, and not too easy: fur and scales come in many colours, the smallest
thing is 22 pixels long, things cover one another, and a ball is as round as a cat. Nothing of it
was ever photographed, so the pictures can be shown anywhere.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("ball", "cat", "fish")
WIDTH, HEIGHT, FINE = 320, 240, 3
"""Pixels of a picture; it is drawn so many times larger, for smooth edges."""

FUR = ("#e8923a", "#5a5a62", "#2b2b30", "#f0dcb8", "#a0673c", "#c9c9cf")
BRIGHT = ("#e23d3d", "#f5b82e", "#2e9e5b", "#2f6fd0", "#8e4fc4", "#f07fb0", "#1fb5b5")
PALE = ("#cfe8f7", "#fdebc8", "#d9efd0", "#e9d9f2", "#f7d6d6", "#b7d3c0", "#9fb8cf")
INK = "#1c1c22"


class Pen:
    """Draws in units of a thing's half length around its middle: (-1, -1) to (1, 1)."""

    def __init__(self, paper: ImageDraw.ImageDraw, x: float, y: float, half: float, flip: bool):
        self.paper, self.x, self.y, self.half = paper, x, y, half
        self.sign = -1 if flip else 1

    def at(self, *points: tuple[float, float]) -> list[tuple[float, float]]:
        """Where points of the thing lie on the paper."""
        return [(self.x + self.sign * self.half * a, self.y + self.half * b) for a, b in points]

    def oval(self, a: float, b: float, wide: float, high: float, fill: str) -> None:
        """An ellipse around (a, b)."""
        ((x, y),) = self.at((a, b))
        dx, dy = self.half * wide, self.half * high
        self.paper.ellipse((x - dx, y - dy, x + dx, y + dy), fill=fill)

    def shape(self, fill: str, *points: tuple[float, float]) -> None:
        """A polygon."""
        self.paper.polygon(self.at(*points), fill=fill)

    def line(self, *points: tuple[float, float], fill: str = INK, width: float = 0.04) -> None:
        """A line, its width in units of the thing too."""
        self.paper.line(self.at(*points), fill=fill, width=max(1, round(self.half * width)))


def cat(pen: Pen, rng: np.random.Generator) -> tuple[float, float]:
    """A head with ears, eyes and whiskers; answers its half width and height in the pen's units."""
    fur = str(rng.choice(FUR))
    dark = fur in FUR[1:3]
    for side in (-1, 1):
        pen.shape(fur, (side * 0.86, -0.15), (side * 0.78, -0.95), (side * 0.18, -0.6))
        pen.shape("#f2a9a9", (side * 0.72, -0.4), (side * 0.7, -0.78), (side * 0.4, -0.58))
    pen.oval(0, 0.15, 0.95, 0.8, fur)
    if not dark and rng.random() < 0.5:
        for a in (-0.2, 0, 0.2):
            pen.line((a, -0.62), (a * 0.7, -0.3), fill="#8a5a2c", width=0.07)
    for side in (-1, 1):
        pen.oval(side * 0.38, 0.02, 0.19, 0.2, "#d8ef8f" if dark else "#7fc26a")
        pen.oval(side * 0.38, 0.02, 0.07, 0.18, INK)
        for b in (0.3, 0.42, 0.54):
            pen.line((side * 0.3, 0.42), (side * 0.98, b), fill="#ffffff" if dark else INK)
    pen.oval(0, 0.36, 0.1, 0.07, "#d76a6a")
    pen.line((0, 0.4), (0, 0.55), (-0.16, 0.63), fill="#ffffff" if dark else INK)
    pen.line((0, 0.55), (0.16, 0.63), fill="#ffffff" if dark else INK)
    return 0.98, 0.95


def fish(pen: Pen, rng: np.random.Generator) -> tuple[float, float]:
    """A fish from the side, its nose at (1, 0)."""
    skin, stripe = (str(one) for one in rng.choice(BRIGHT, 2, replace=False))
    pen.shape(stripe, (-0.4, 0), (-1, -0.45), (-0.82, 0), (-1, 0.45))
    for side in (-1, 1):
        pen.shape(stripe, (-0.2, side * 0.3), (0.15, side * 0.62), (0.35, side * 0.3))
    pen.oval(0.2, 0, 0.8, 0.45, skin)
    for a in (-0.2, 0.05, 0.3):
        high = 0.4 * math.sqrt(1 - ((a - 0.2) / 0.8) ** 2)
        pen.line((a, -high), (a, high), fill=stripe, width=0.1)
    pen.oval(0.68, -0.1, 0.12, 0.12, "#ffffff")
    pen.oval(0.7, -0.1, 0.06, 0.06, INK)
    return 1.0, 0.62


def ball(pen: Pen, rng: np.random.Generator) -> tuple[float, float]:
    """A beach ball of six segments."""
    turn, colours = rng.uniform(0, 60), rng.choice(BRIGHT, 3, replace=False)
    (x1, y1), (x2, y2) = pen.at((-pen.sign * 0.95, -0.95), (pen.sign * 0.95, 0.95))
    for part in range(6):
        fill = "#ffffff" if part % 2 else str(colours[part // 2])
        start = turn + 60 * part
        pen.paper.pieslice((x1, y1, x2, y2), start, start + 60, fill=fill)
    pen.oval(0, 0, 0.16, 0.16, "#ffffff")
    return 0.95, 0.95


DRAW = {"ball": ball, "cat": cat, "fish": fish}


def ground(paper: ImageDraw.ImageDraw, rng: np.random.Generator, count: int = 26) -> None:
    """Bands of pale colours, and things on them that have no name."""
    high, sky, land = HEIGHT * FINE, *(str(one) for one in rng.choice(PALE, 2, replace=False))
    paper.rectangle((0, 0, WIDTH * FINE, high), fill=sky)
    horizon = rng.uniform(0.4, 0.8) * high
    paper.rectangle((0, horizon, WIDTH * FINE, high), fill=land)
    for _ in range(count):
        pen = Pen(paper, *rng.uniform((0, 0), (WIDTH * FINE, high)), rng.uniform(15, 110), False)
        fill = str(rng.choice((*PALE, *PALE, *BRIGHT, *FUR)))
        corners = [tuple(point) for point in rng.uniform(-1, 1, (3, 2)).tolist()]
        kind = rng.integers(3)
        if kind == 0:
            pen.shape(fill, *corners)
        elif kind == 1:
            pen.line(*corners, fill=fill, width=0.12)
        else:
            pen.oval(0, 0, rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.5), fill)


def covered(box: list[float], others: list[list[float]]) -> float:
    """The largest share of any of `others` that `box` hides; boxes are x, y, width, height."""
    shares = [0.0]
    for x, y, wide, high in others:
        dx = min(box[0] + box[2], x + wide) - max(box[0], x)
        dy = min(box[1] + box[3], y + high) - max(box[1], y)
        shares.append(max(0.0, dx) * max(0.0, dy) / (wide * high))
    return max(shares)


def scene(rng: np.random.Generator) -> tuple[Image.Image, list[tuple[int, list[float]]]]:
    """A picture, and the class and box (x, y, width, height) of everything in it."""
    picture = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE))
    paper = ImageDraw.Draw(picture)
    ground(paper, rng)
    things: list[tuple[int, list[float]]] = []
    for _ in range(int(rng.integers(1, 6))):
        label, half = int(rng.integers(len(CLASSES))), math.exp(rng.uniform(*np.log((11, 70))))
        x = rng.uniform(half + 1, WIDTH - half - 1)
        y = rng.uniform(half + 1, HEIGHT - half - 1)
        around = [x - half, y - half, 2 * half, 2 * half]
        if covered(around, [box for _, box in things]) > 0.3:
            continue
        pen = Pen(paper, x * FINE, y * FINE, half * FINE, bool(rng.integers(2)))
        wide, high = (half * share for share in DRAW[CLASSES[label]](pen, rng))
        things.append((label, [x - wide, y - high, 2 * wide, 2 * high]))
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), things


def rows(numbers: range, folder: Path, rng: np.random.Generator) -> Iterator[tuple[Any, list[Any]]]:
    """COCO's entry of each image, drawn into `folder`, and those of its objects."""
    for number in numbers:
        picture, things = scene(rng)
        name = f"{number:04d}.jpg"
        picture.save(folder / name, quality=92)
        image = {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
        yield (
            image,
            [
                {"image_id": number, "category_id": label + 1, "bbox": [round(v, 2) for v in box]}
                for label, box in things
            ],
        )


def main() -> None:
    """Draw, label, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=150)
    parser.add_argument("--val", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, first = np.random.default_rng(given.seed), 1
    for split, count in (("train", given.train), ("val", given.val)):
        folder = given.out / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        both = list(rows(range(first, first + count), folder, rng))
        first += count
        objects = [one for _, found in both for one in found]
        labels = {
            "images": [image for image, _ in both],
            "annotations": [{"id": i, **one} for i, one in enumerate(objects, start=1)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)],
        }
        place = given.out / "annotations" / f"instances_{split}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(labels))
        print(f"{split}: {count} pictures with {len(objects)} things, {place}")


if __name__ == "__main__":
    main()
