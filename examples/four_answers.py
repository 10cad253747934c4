"""A picture of the four answers of a detector whose regions are proposed, such as Fast R-CNN.

    python examples/four_answers.py RUN PHOTO OUT [--score 0.3] [--boxes 150]

RUN is a trained detector (a run's folder, a checkpoint). Drawn are, side by side: how strongly the
encoder's maps answer at each cell (their norm, or their greatest number where norms are made equal;
the map in the middle of several, the third of many), the first proposals (windows, which have no
order, at even steps), the boxes with a class above --score, the better the brighter, and what is
left of them after suppression.
"""

import argparse
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from sightline import load, pipeline
from sightline.images import read
from sightline.pipeline import Trace

matplotlib.use("Agg")
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

ANSWER, LINE = "#e8392b", 20
"""The colour of answers, and prepared pixels between two labels."""

LETTER = 0.022
"""How much of a panel's width a letter takes."""


def outline(axes: Axes, boxes: Tensor, colours: list[object], width: float) -> None:
    """Draw boxes, the last one on top."""
    for (x1, y1, x2, y2), colour in zip(boxes.tolist(), colours, strict=True):
        corner = (x1, y1)
        axes.add_patch(
            Rectangle(corner, x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=width)
        )


def best_of_each(trace: Trace, least: float) -> tuple[Tensor, Tensor]:
    """The box and the score of every region's best class, above `least`, the best one last."""
    scores, labels = trace.scored.scores.max(dim=1)
    boxes = trace.scored.boxes
    if boxes.dim() == 3:
        boxes = boxes[torch.arange(len(boxes)), labels]
    rows = (scores > least).nonzero()[:, 0]
    rows = rows[scores[rows].argsort()]
    return boxes[rows], scores[rows]


def answers_of_cells(trace: Trace) -> tuple[Tensor, str]:
    """How strongly the encoder answers at each cell, and what that is."""
    maps = trace.features[min(len(trace.features) // 2, 2)][0].float()
    if maps.shape[1:] == trace.batch.size:
        return maps.norm(dim=0), "encode: the pixels as they are"
    strength, (height, width) = maps.norm(dim=0), maps.shape[1:]
    if (strength - strength.median()).abs().median() < 0.01 * strength.median():
        strength = maps.amax(dim=0)
    return strength, f"encode: {height} × {width} cells, once"


def draw(trace: Trace, pixels: Tensor, asked: argparse.Namespace) -> None:
    """All four, written to --out."""
    height, width = pixels.shape[:2]
    figure, panels = plt.subplots(1, 4, figsize=(14, 14 / 4 * height / width + 0.35))
    strength, title = answers_of_cells(trace)
    stride = trace.batch.size[0] / strength.shape[0]
    inside = strength[: round(height / stride), : round(width / stride)]
    panels[0].imshow(inside.numpy(), cmap="magma")
    panels[0].set_title(title)
    for panel in panels[1:]:
        panel.imshow(pixels.numpy())
    count = len(trace.regions)
    some = torch.arange(count)[: asked.boxes]
    if trace.regions.scores is None:
        some = torch.linspace(0, max(count - 1, 0), len(some)).long()
    first = trace.regions.boxes[some]
    outline(panels[1], first, ["yellow"] * len(first), 0.5)
    panels[1].set_title(f"propose: {len(first)} of {count:,} boxes")
    boxes, scores = best_of_each(trace, asked.score)
    outline(panels[2], boxes, [colormaps["viridis"](float(score)) for score in scores], 1.0)
    panels[2].set_title(f"classify: {len(boxes)} boxes above {asked.score:g}")
    found = trace.detections[0].above(asked.score)
    left = trace.batch.frames[0].to_prepared(found.boxes)
    outline(panels[3], left, [ANSWER] * len(left), 2.0)
    told: list[tuple[float, float]] = []
    for (x, y, *_), score, name in zip(
        left.tolist(), found.scores.tolist(), found.names, strict=True
    ):
        text = f"{name} {score:.2f}"
        room = width - LETTER * len(text) * width
        place = (max(4.0, min(x + 4, room)), max(0.0, y) + LINE)
        while any(abs(place[0] - a) < 6 * LINE and abs(place[1] - b) < LINE for a, b in told):
            place = (place[0], place[1] + LINE)  # no label hides another
        told.append(place)
        panels[3].text(*place, text, color="w", fontsize=9, backgroundcolor=ANSWER, clip_on=True)
    panels[3].set_title(f"postprocess: {len(found)} {'answer' if len(found) == 1 else 'answers'}")
    for panel in panels:
        panel.axis("off")
    figure.tight_layout(pad=0.5)
    figure.savefig(asked.out, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description="The four answers of a detector as a picture")
    for name in ("run", "photo", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--boxes", type=int, default=150, help="proposals that are drawn")
    asked = parser.parse_args()
    detector = load(asked.run, score=None).detector
    trace = pipeline.run(detector, [read(asked.photo)])
    height, width = trace.batch.frames[0].resized
    pixels = detector.preparation.restore(trace.batch.pixels)[0, :, :height, :width]
    draw(trace, pixels.permute(1, 2, 0), asked)


if __name__ == "__main__":
    main()
