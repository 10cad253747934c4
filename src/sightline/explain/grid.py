"""What YOLO says of each cell of its grid, as in figure 2 of the paper (Redmon 2016)."""

from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from sightline.evaluate.pictures import new_figure, plain
from sightline.explain.canvas import outline, pixels_of, scene
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def grid(trace: Trace, detector: Detector, index: int = 0) -> View | None:
    """The four panels, and the cells that said the answers; None for other methods."""
    extras = trace.scored.extras
    if "class_map" not in extras or "confidence" not in extras or "cell" not in extras:
        return None
    side, found = extras["class_map"].shape[1], trace.detections[index]
    rows = []
    for place, region in enumerate(found.region.tolist()):
        row, column = extras["cell"][region].tolist()
        sure = float(extras["confidence"][region])
        chance = float(extras["class_map"][index, row, column, int(found.labels[place])])
        rows.append(
            (
                f"#{place + 1}",
                found.names[place],
                row + 1,
                column + 1,
                sure,
                chance,
                float(found.scores[place]),
            )
        )
    heads = ("answer", "class", "row", "column", "confidence", "Pr(class | object)", "score")
    numbers = {"cells": (side, side), "boxes": int((trace.regions.image == index).sum())}
    title = "Classify: what every cell says"
    return View("grid", title, numbers, heads, rows, lambda: draw(trace, detector, index))


def draw(trace: Trace, detector: Detector, index: int = 0) -> "Figure":
    """The image in its cells; every box, the wider the more confident; the class that each cell
    would have, the stronger the more probable; the answers, a dot in the cell of each.
    """
    import matplotlib
    from matplotlib.patches import Patch

    figure = new_figure(11.5, 5.4)
    places = figure.subplot_mosaic(
        [["grid", "boxes", "answers"], ["grid", "classes", "answers"]], width_ratios=[1.7, 1, 1.7]
    )
    pixels = pixels_of(trace, detector, index)
    side = trace.scored.extras["class_map"].shape[1]
    titles = {"grid": f"{side} × {side} cells", "boxes": "boxes, by confidence",
              "classes": "Pr(class | object)", "answers": "answers"}  # fmt: skip
    for name, axes in places.items():
        scene(axes, pixels, titles[name])
        axes.set_axis_off()
    palette, count = ("tab10", 10) if len(detector.classes) <= 10 else ("tab20", 20)
    colours = matplotlib.colormaps[palette](np.arange(len(detector.classes)) % count)[:, :3]
    for name in ("grid", "classes"):
        _lines(places[name], side, trace.batch.size)
    _boxes(places["boxes"], trace, index)
    _classes(places["classes"], trace, index, colours)
    named = [Patch(color=c, label=plain(n)) for c, n in zip(colours, detector.classes, strict=True)]
    places["classes"].legend(handles=named[:20], fontsize=7, loc="lower right")
    _answers(places["answers"], trace, index, colours)
    return figure


def _lines(axes: "Axes", side: int, size: tuple[int, int]) -> None:
    """The borders of the cells."""
    for line in range(1, side):
        axes.axhline(line * size[0] / side - 0.5, color="white", linewidth=0.8)
        axes.axvline(line * size[1] / side - 0.5, color="white", linewidth=0.8)


def _boxes(axes: "Axes", trace: Trace, index: int) -> None:
    """Every box of every cell."""
    sure = trace.scored.extras["confidence"].clamp(0, 1).cpu()
    rows = (trace.regions.image == index).nonzero()[:, 0].cpu()
    for row in rows[sure[rows].argsort()].tolist():
        strong = min(1.0, 0.2 + 1.6 * float(sure[row]))
        box = trace.scored.boxes[row].tolist()
        outline(axes, box, (1, 0.9, 0.1, strong), 0.3 + 4 * float(sure[row]))


def _classes(axes: "Axes", trace: Trace, index: int, colours: ndarray) -> None:
    """The most probable class of each cell, over the image."""
    chances, labels = trace.scored.extras["class_map"][index].clamp(0, 1).cpu().max(dim=-1)
    height, width = trace.batch.size
    shown = np.dstack([colours[labels.numpy()], 0.65 * chances.numpy()])
    axes.imshow(shown, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")


def _answers(axes: "Axes", trace: Trace, index: int, colours: ndarray) -> None:
    """What is left, and the cells that said it."""
    found, frame = trace.detections[index], trace.batch.frames[index]
    for row in reversed(range(len(found))):
        shade = tuple(colours[int(found.labels[row])])
        told = f"{found.names[row]} {float(found.scores[row]):.2f}"
        outline(axes, frame.to_prepared(found.boxes[row].cpu()).tolist(), shade, 2.5, told)
        cell = trace.regions.boxes[found.region[row]]
        x, y = ((cell[:2] + cell[2:]) / 2).tolist()
        axes.plot(x, y, marker="o", markersize=8, color=shade, markeredgecolor="white")
