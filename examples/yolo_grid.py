"""What YOLO says of each cell of its grid, as in figure 2 of the paper.

    python examples/yolo_grid.py RUN IMAGE [--score 0.2] [--out grid.png]

RUN is a trained `yolo_v1`, IMAGE a picture. Left: the image in its S × S cells. Above: every box of
every cell, the wider its line the more confident. Below: the class that each cell would have if it
had an object, the stronger its colour the more probable. Right: confidence times probability above
`--score`, after NMS; a dot marks the cell that each answer came from.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.patches import Patch, Rectangle

from sightline.pipeline import Trace
from sightline.predict import load

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    """Look once, draw all that was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("image", type=Path)
    parser.add_argument("--score", type=float, default=0.2)
    parser.add_argument("--out", type=Path, default=Path("grid.png"))
    given = parser.parse_args()
    model = load(given.run, score=given.score)
    trace = model.trace(given.image)
    draw(model.detector, trace, given.out)
    side, boxes = trace.scored.extras["class_map"].shape[1], len(trace.regions)
    print(f"{side} × {side} cells, {boxes} boxes, {len(trace.detections[0])} answers")
    for (name, score, _), region in zip(
        trace.detections[0], trace.detections[0].region.tolist(), strict=True
    ):
        row, column = trace.scored.extras["cell"][region].tolist()
        print(f"{name} {score:.2f}, said by the cell in row {row + 1}, column {column + 1}")
    print(given.out)


def draw(detector: Any, trace: Trace, out: Path) -> None:
    """The four panels of the paper's figure, in the pixels that the network sees."""
    pixels = detector.preparation.restore(trace.batch.pixels[0]).permute(1, 2, 0).numpy()
    figure = plt.figure(figsize=(12.5, 5.8), constrained_layout=True)
    places = figure.subplot_mosaic(
        [["grid", "boxes", "answers"], ["grid", "classes", "answers"]], width_ratios=[1.7, 1, 1.7]
    )
    for panel in places.values():
        panel.imshow(pixels)
        panel.set_xticks([])
        panel.set_yticks([])
    side = trace.scored.extras["class_map"].shape[1]
    colours = matplotlib.colormaps["tab20"](np.arange(len(detector.classes)) % 20)[:, :3]
    draw_grid(places["grid"], side, trace.batch.size)
    places["grid"].set_title(f"{side} × {side} cells")
    draw_boxes(places["boxes"], trace)
    places["boxes"].set_title("boxes, by confidence")
    draw_classes(places["classes"], trace, colours)
    draw_grid(places["classes"], side, trace.batch.size)
    places["classes"].set_title("Pr(class | object)")
    named = [Patch(color=c, label=n) for c, n in zip(colours, detector.classes, strict=True)]
    places["classes"].legend(handles=named[:20], fontsize=7, loc="lower right")
    draw_answers(places["answers"], trace, colours)
    places["answers"].set_title("answers")
    figure.savefig(out, dpi=90)


def draw_grid(panel: Any, side: int, size: tuple[int, int]) -> None:
    """The borders of the cells."""
    for line in range(1, side):
        panel.axhline(line * size[0] / side - 0.5, color="white", linewidth=0.8)
        panel.axvline(line * size[1] / side - 0.5, color="white", linewidth=0.8)


def draw_boxes(panel: Any, trace: Trace) -> None:
    """Every box of every cell."""
    sure = trace.scored.extras["confidence"].clamp(0, 1)
    for row in sure.argsort().tolist():
        x1, y1, x2, y2 = trace.scored.boxes[row].tolist()
        width, strong = 0.3 + 5 * float(sure[row]), min(1.0, 0.2 + 1.6 * float(sure[row]))
        box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=width)
        box.set_edgecolor((1, 0.9, 0.1, strong))
        panel.add_patch(box)
    panel.set_xlim(-0.5, trace.batch.size[1] - 0.5)
    panel.set_ylim(trace.batch.size[0] - 0.5, -0.5)


def draw_classes(panel: Any, trace: Trace, colours: np.ndarray) -> None:
    """The most probable class of each cell, over the image."""
    chances, labels = trace.scored.extras["class_map"][0].clamp(0, 1).max(dim=-1)
    height, width = trace.batch.size
    shown = np.dstack([colours[labels.numpy()], 0.65 * chances.numpy()])
    panel.imshow(shown, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")


def draw_answers(panel: Any, trace: Trace, colours: np.ndarray) -> None:
    """What is left, and the cells that said it."""
    found, frame = trace.detections[0], trace.batch.frames[0]
    for row in reversed(range(len(found))):
        x1, y1, x2, y2 = frame.to_prepared(found.boxes[row]).tolist()
        colour = colours[int(found.labels[row])]
        panel.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color=colour, lw=3))
        told = f"{found.names[row]} {float(found.scores[row]):.2f}"
        panel.text(x1 + 3, max(y1, 0) + 14, told, color="white", backgroundcolor=colour)
        cell = trace.regions.boxes[found.region[row]]
        x, y = ((cell[:2] + cell[2:]) / 2).tolist()
        panel.plot(x, y, marker="o", markersize=9, color=colour, markeredgecolor="white")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
