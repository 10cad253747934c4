"""Small data sets and answers for tests of the evaluator."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sightline.data.records import Dataset, Example, Objects
from sightline.types import Detections

SIZE = (60, 80)

Answer = tuple[str, float, Sequence[float]]
Label = tuple[str, Sequence[float]]


def dataset_of(
    classes: Sequence[str],
    *images: Sequence[Label],
    crowd: Sequence[tuple[int, int]] = (),
    difficult: Sequence[tuple[int, int]] = (),
) -> Dataset:
    """One image for each list of (class, box); `crowd` and `difficult` are (image, object)."""
    examples = []
    for number, rows in enumerate(images):
        plain = Objects.of([box for _, box in rows], [classes.index(name) for name, _ in rows])
        for flags, marked in ((plain.crowd, crowd), (plain.difficult, difficult)):
            for image, row in marked:
                if image == number:
                    flags[row] = True
        examples.append(Example(Path(f"/scenes/{number}.png"), number + 1, SIZE, plain))
    ids = tuple(10 * k + 7 for k in range(len(classes)))
    return Dataset(tuple(examples), tuple(classes), ids, None, "scenes", Path("/scenes"), "val")


def found(classes: Sequence[str], *answers: Answer) -> Detections:
    """One image's detections from (class, score, box), in this order."""
    return Detections(
        boxes=torch.tensor([list(box) for _, _, box in answers]).reshape(-1, 4).float(),
        scores=torch.tensor([score for _, score, _ in answers]).float(),
        labels=torch.tensor([list(classes).index(name) for name, _, _ in answers]).long(),
        region=torch.arange(len(answers)),
        size=SIZE,
        classes=tuple(classes),
    )


def square(x: float, y: float, side: float = 10) -> list[float]:
    """A box of equal sides."""
    return [x, y, x + side, y + side]


def blob(box: Sequence[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A box as a mask."""
    mask = np.zeros(size, bool)
    x1, y1, x2, y2 = box
    mask[y1:y2, x1:x2] = True
    return mask
