"""How long a thousand resamples of a data set take: the matching, and the counting.

    python benchmarks/bootstrap.py [--images 500] [--answers 100] [--classes 3] [--resamples 1000]

Drawn objects and answers, `--answers` an image; process seconds on one thread.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from sightline.data.records import Dataset, Example, Objects
from sightline.evaluate.bootstrap import bootstrap, interval
from sightline.evaluate.columns import gather
from sightline.types import Detections

SIZE = (480, 640)


def drawn(images: int, answers: int, classes: int) -> tuple[Dataset, list[Detections]]:
    """Five objects an image, and answers that lie near them or anywhere."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {k}" for k in range(classes))
    examples, found = [], []
    for number in range(images):
        corner = rng.uniform(0, 380, (5, 2))
        goals = np.concatenate([corner, corner + rng.uniform(30, 100, (5, 2))], axis=1)
        labels = rng.integers(0, classes, 5)
        objects = Objects.of(goals, labels)
        examples.append(Example(Path(f"{number}.png"), number + 1, SIZE, objects))
        near = rng.integers(0, 5, answers)
        boxes = torch.from_numpy(goals[near] + rng.normal(0, 12, (answers, 4))).float()
        scores = torch.from_numpy(np.sort(rng.random(answers))[::-1].copy()).float()
        rows = torch.arange(answers)
        shown = torch.from_numpy(labels[near])
        found.append(Detections(boxes, scores, shown, rows, SIZE, names))
    ids = tuple(range(1, classes + 1))
    return Dataset(tuple(examples), names, ids, None, "drawn", Path(), None), found


def main() -> None:
    """Print the seconds and the interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    columns = gather(*drawn(given.images, given.answers, given.classes))
    bootstrap(columns, 1)  # compiles
    seconds = []
    for count in (1, given.resamples):
        began = time.process_time()
        result = bootstrap(columns, count)
        seconds.append(time.process_time() - began)
    spread = interval(result.AP)
    assert spread is not None
    print(
        f"{len(columns.found):,} answers in {given.images} images: matching {seconds[0]:.2f} s, "
        f"{given.resamples} resamples {seconds[1] - seconds[0]:.2f} s; "
        f"AP within {spread[0]:.3f} and {spread[1]:.3f}"
    )


if __name__ == "__main__":
    main()
