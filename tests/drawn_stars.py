"""Stars of five points, drawn: a skeleton that is nobody's but ours, with labels as COCO's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

POINTS = ("top", "left_hand", "right_hand", "left_foot", "right_foot")
LIMBS = ((0, 1), (0, 2), (0, 3), (0, 4))
PLACES = ((0.5, 0.05), (0.05, 0.4), (0.95, 0.4), (0.2, 0.95), (0.8, 0.95))
SIZE = (96, 128)


def draw_star(path: Path, box: tuple[int, int, int, int]) -> list[float]:
    """A picture of one star in its box; x, y and visibility of its points, the last one hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(sum(box)).integers(90, 140, (*SIZE, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    x, y, width, height = box
    ends = [(x + a * width, y + b * height) for a, b in PLACES]
    for a, b in LIMBS:
        ImageDraw.Draw(picture).line([ends[a], ends[b]], (220, 40, 40), 3)
    picture.save(path)
    return [
        value for end, seen in zip(ends, (2, 2, 2, 2, 1), strict=True) for value in (*end, seen)
    ]


def stars(
    root: Path, points: Sequence[str] | None = POINTS, counts: tuple[int, int] = (4, 2)
) -> Path:
    """A COCO folder of stars, so many to train on and to evaluate on; None for boxes alone."""
    for split, count in zip(("train", "val"), counts, strict=True):
        images, annotations = [], []
        for number in range(1, count + 1):
            name, box = f"{number}.png", (8 * number % 60, 5 + number // 8 * 5 % 20, 60, 70)
            ends = draw_star(root / "images" / split / name, box)
            size = {"height": SIZE[0], "width": SIZE[1]}
            images.append({"id": number, "file_name": name, **size})
            row: dict[str, Any] = {"id": number, "image_id": number, "category_id": 1, "bbox": box}
            if points is not None:
                row["keypoints"] = ends[: 3 * len(points)]
            annotations.append(row)
        category: dict[str, Any] = {"id": 1, "name": "star"}
        if points is not None:
            limbs = [[a + 1, b + 1] for a, b in LIMBS if b < len(points)]
            category |= {"keypoints": list(points), "skeleton": limbs}
        file = root / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        labels = {"images": images, "annotations": annotations, "categories": [category]}
        file.write_text(json.dumps(labels))
    return root
