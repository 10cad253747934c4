"""A small world to train in: drawn images of two kinds of boxes, and a detector of four layers."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.data.augment import Augmentation
from sightline.data.records import Dataset, Example, Objects
from sightline.preparation import Preparation
from sightline.train.recipes import Recipe
from sightline.types import Batch, Targets

CLASSES = ("red", "blue")
COLOURS = ((220, 40, 40), (40, 40, 220))


def draw_dataset(folder: Path, images: int = 8, name: str = "drawn") -> Dataset:
    """Grey images of 48 × 64 pixels, each with a red or a blue box."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    examples = []
    for index in range(images):
        label, (x, y) = index % 2, rng.integers(2, 28, 2)
        pixels = rng.integers(100, 140, (48, 64, 3)).astype(np.uint8)
        pixels[y : y + 18, x : x + 24] = COLOURS[label]
        path = folder / f"{index:03d}.png"
        Image.fromarray(pixels).save(path)
        objects = Objects.of([[x, y, x + 24, y + 18]], [label])
        examples.append(Example(path, index, (48, 64), objects))
    return Dataset(tuple(examples), CLASSES, (1, 2), None, name, folder, None)


class Tiny(nn.Module):
    """Says for every cell of 8 pixels whether a class covers it."""

    def __init__(self, classes: tuple[str, ...] = CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.preparation = Preparation(shorter=None, longer=64)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, len(classes), 3, 2, 1),
        )

    def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        logits = self.layers(batch.pixels).float()
        wanted = torch.zeros_like(logits)
        for row, target in enumerate(targets):
            for box, label in zip(
                (target.boxes / 8).round().int().tolist(), target.labels.tolist(), strict=True
            ):
                wanted[row, label, box[1] : box[3], box[0] : box[2]] = 1
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        return {"classification": loss, "size": 1e-4 * logits.square().mean()}


def brief(**changes: object) -> Recipe:
    """A recipe of seconds."""
    base = Recipe(
        model="tiny",
        start=None,
        steps=24,
        batch=4,
        learning_rate=0.01,
        warmup_steps=2,
        ema=0.9,
        sizes=((0.5, 32), (0.5, 64)),
        augmentation=Augmentation(mosaic=0.3, scale=(0.9, 1.1)),
        bf16=False,
        workers=0,
        threads=1,
        log_steps=4,
        evaluate_every=0.25,
        save_seconds=1e9,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
