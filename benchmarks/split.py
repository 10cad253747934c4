"""How near a division comes to its ratios, against a division by chance, and how long it takes.

    python benchmarks/split.py [FOLDER …] [--ratios train=0.8,val=0.1,test=0.1] [--seeds 5]

For each folder: the mean and the largest distance of the classes' shares from the ratios, in
percentage points, of images and of objects, and how often a class is absent from a split. Then the
time for 100,000 drawn images of 80 classes.
"""

import argparse
import random
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from sightline.cli.split import ratios_of
from sightline.data.division import gather
from sightline.data.split import divide
from sightline.errors import SightlineWarning

IMAGES, CLASSES = 100_000, 80


def distances(counts: np.ndarray, parts: list[list[int]], ratios: list[float]) -> np.ndarray:
    """|share − ratio| in percentage points, (splits, classes), of (images, classes) counts."""
    total = counts.sum(axis=0)
    shares = np.array([counts[part].sum(axis=0) / total for part in parts])
    return np.asarray(100 * np.abs(shares - np.array(ratios)[:, None]))


def measure(folder: Path, ratios: dict[str, float], seeds: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SightlineWarning)
        data = gather(folder, "skip")
    objects = np.zeros((len(data), len(data.classes)))
    for row, example in enumerate(data):
        np.add.at(objects[row], example.objects.labels[~example.objects.crowd], 1)
    objects = objects[:, objects.any(axis=0)]
    images = (objects > 0).astype(float)
    contents = [Counter({c: int(row[c]) for c in np.flatnonzero(row)}) for row in objects]
    names = [data.file_name(example) for example in data]
    print(f"{folder.name}: {len(data):,} images, {objects.shape[1]} classes, {seeds} seeds")
    print(
        f"{'':>12} {'images: mean':>14} {'largest':>8} {'objects: mean':>14} {'largest':>8} absent"
    )
    for how in ("stratified", "by chance"):
        rows = []
        for seed in range(seeds):
            parts = [list(part) for part in divide(contents, names, ratios, seed)]
            if how == "by chance":
                order = iter(random.Random(seed).sample(range(len(data)), len(data)))
                parts = [[next(order) for _ in part] for part in parts]
            away = [distances(table, parts, list(ratios.values())) for table in (images, objects)]
            absent = sum(int((images[part].sum(axis=0) == 0).sum()) for part in parts)
            rows.append([away[0].mean(), away[0].max(), away[1].mean(), away[1].max(), absent])
        a, b, c, d, e = np.mean(rows, axis=0)
        print(f"{how:>12} {a:>14.2f} {b:>8.2f} {c:>14.2f} {d:>8.2f} {e:>6.1f}")


def speed(ratios: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    often = np.minimum(0.6, 0.7 / np.arange(1, CLASSES + 1))
    shown = rng.random((IMAGES, CLASSES)) < often
    contents = [Counter(np.flatnonzero(row).tolist()) for row in shown]
    names = [f"images/{i:06d}.jpg" for i in range(IMAGES)]
    began, wall = time.process_time(), time.perf_counter()
    divide(contents, names, ratios)
    print(
        f"{IMAGES:,} images, {CLASSES} classes, {shown.sum() / IMAGES:.1f} an image: "
        f"{time.process_time() - began:.1f} s of processor time, "
        f"{time.perf_counter() - wall:.1f} s on the clock"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--ratios", default="train=0.8,val=0.1,test=0.1")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for place in asked.folders:
        measure(place, ratios_of(asked.ratios), asked.seeds)
    speed(ratios_of(asked.ratios))
