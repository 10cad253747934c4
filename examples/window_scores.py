"""The scores of every window of one shape, all at once and window by window, as a picture.

    python examples/window_scores.py RUN IMAGE [--shape 7] [--every 4] [--out windows.png]

RUN is a trained `window_cnn`, IMAGE a picture. Left: the image with the best answer and the window
of the chosen shape. Middle: the score of every window of that shape, in one fully convolutional
pass. Right: the same for every `--every`-th row and column, each from a crop of its own. Prints the
largest difference between them.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from sightline.pipeline import Trace
from sightline.predict import load

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    """Score, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("image", type=Path)
    parser.add_argument("--shape", type=int, help="of 0 to 14; default: the best answer's")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("windows.png"))
    given = parser.parse_args()
    model = load(given.run, score=0.05)
    detector: Any = model.detector
    trace = model.trace(given.image)
    best = trace.detections[0]
    rows, columns = trace.features[0].shape[2:]
    shape = given.shape
    if shape is None:
        shape = int(trace.scored.regions.level[best.region[0]]) if len(best) else 7
    label = int(best.labels[0]) if len(best) else 0
    own = slice(shape * rows * columns, (shape + 1) * rows * columns)
    dense = trace.scored.scores[own, label].view(rows, columns)
    cells = torch.arange(rows * columns).view(rows, columns)[:: given.every, :: given.every]
    chosen = trace.regions[cells.flatten() + own.start]
    start = time.perf_counter()
    alone = detector.classify_windows(trace.batch, chosen).scores[:, label].view(cells.shape)
    spent = time.perf_counter() - start
    difference = (alone - dense[:: given.every, :: given.every]).abs().max()
    print(f"{len(trace.regions):,} windows at once: {sum(trace.seconds.values()):.2f} s")
    print(f"{len(chosen):,} windows one by one: {spent:.2f} s")
    print(f"largest difference of scores: {difference:.1e}")
    draw(detector, trace, shape, (label, dense, alone), given.every, given.out)
    print(given.out)


def draw(
    detector: Any,
    trace: Trace,
    shape: int,
    maps: tuple[int, Tensor, Tensor],
    every: int,
    out: Path,
) -> None:
    """The picture: the image with its answers, and both maps of scores of one class."""
    label, dense, alone = maps
    pixels = trace.batch.pixels[0].permute(1, 2, 0).numpy()
    pixels = pixels * np.array(detector.preparation.std) + np.array(detector.preparation.mean)
    figure, axes = plt.subplots(
        1, 3, figsize=(12, 4 * pixels.shape[0] / pixels.shape[1] + 0.3), constrained_layout=True
    )
    axes[0].imshow(pixels.clip(0, 1))
    frame = trace.batch.frames[0]
    for name, score, box in trace.detections[0][:1]:
        x1, y1, x2, y2 = frame.to_prepared(torch.tensor(box)).tolist()
        axes[0].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color="red", lw=2))
        axes[0].text(x1 + 3, y1 + 12, f"{name} {score:.2f}", color="white", backgroundcolor="red")
    height, width = detector.windows.shapes[shape]
    size = (8 * width, 8 * height)
    axes[0].add_patch(Rectangle((2, 2), *size, fill=False, color="white", ls="--"))
    name = detector.classes[label]
    axes[0].set_title(f"dashed: a window of {size[0]} × {size[1]} px")
    axes[1].imshow(dense, vmin=0, vmax=1)
    axes[1].set_title(f"{name}: {dense.numel():,} windows at once")
    covered = (-0.5, alone.shape[1] * every - 0.5, alone.shape[0] * every - 0.5, -0.5)
    axes[2].imshow(alone, vmin=0, vmax=1, extent=covered)
    axes[2].set(xlim=axes[1].get_xlim(), ylim=axes[1].get_ylim())
    axes[2].set_title(f"{alone.numel():,} of them, crop by crop")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
