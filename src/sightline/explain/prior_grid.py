"""What YOLO v2 and v3 say of each cell of their maps: whether there is something, and what."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sightline.detectors.yolo_v2 import YoloV2
from sightline.explain.canvas import outline, panels, pixels_of, scene, shade_of
from sightline.explain.draw import colour
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def prior_grid(trace: Trace, detector: Detector, index: int) -> View | None:
    """The cell and the prior of every answer; each level's cells drawn. None for other methods.

    The confidence Pr(object) · IoU is read from the trace's maps once more.
    """
    if not isinstance(detector, YoloV2):
        return None
    cells, found = detector.cells(trace.features), trace.detections[index]
    sure = detector.predict(trace.features)[..., 4].sigmoid().flatten().cpu()
    regions, frame = trace.regions, trace.batch.frames[index]
    rows = []
    for place, region in enumerate(found.region.tolist()):
        level = int(regions.level[region])
        x1, y1, x2, y2 = regions.boxes[region].tolist()
        row, column = (int((a + b) / 2 // cells.strides[level]) for a, b in ((y1, y2), (x1, x2)))
        score = float(found.scores[place])
        rows.append(
            (f"#{place + 1}", found.names[place], level, row + 1, column + 1,
             f"{x2 - x1:.0f} × {y2 - y1:.0f}", float(sure[region]),
             score / max(1e-12, float(sure[region])), score)
        )  # fmt: skip
    pixels, kept = pixels_of(trace, detector, index), frame.to_prepared(found.boxes.cpu())

    def draw() -> "Figure":
        count = len(cells.grids)
        figure, axes = panels(2 * count, trace.batch.size, columns=count, width=4.2)
        for level, grid in enumerate(cells.grids):
            own = ((regions.level == level) & (regions.image == index)).nonzero()[:, 0].cpu()
            here = (own, grid, cells.strides[level])
            _confidence(axes[level], pixels, sure, here)
            _names(axes[count + level], pixels, trace, here)
            for place, region in enumerate(found.region.tolist()):
                if int(regions.level[region]) == level:
                    _answer(axes[count + level], trace, kept[place].tolist(), index, place)
        return figure

    heads = (
        *("answer", "class", "level", "row", "column", "prior"),
        *("confidence", "Pr(class | object)", "score"),
    )
    numbers = {
        f"cells of level {level}, each with {len(cells.shapes[level])} priors": grid
        for level, grid in enumerate(cells.grids)
    }
    return View("grid", "Classify: what every cell says", numbers, heads, rows, draw)


Here = tuple[Tensor, tuple[int, int], int]
"""A level's regions, its rows and columns, and the pixels of a cell."""


Extent = tuple[float, float, float, float]
"""Left, right, bottom and top of the cells, in pixels."""


def _scene(axes: "Axes", pixels: np.ndarray, title: str, here: Here) -> Extent:
    """The image with the borders of a level's cells; the extent of the cells."""
    (rows, columns), stride = here[1:]
    scene(axes, pixels, title)
    for line in range(1, rows):
        axes.axhline(line * stride - 0.5, color="white", linewidth=0.4, alpha=0.7)
    for line in range(1, columns):
        axes.axvline(line * stride - 0.5, color="white", linewidth=0.4, alpha=0.7)
    return (-0.5, columns * stride - 0.5, rows * stride - 0.5, -0.5)


def _confidence(axes: "Axes", pixels: np.ndarray, sure: Tensor, here: Here) -> None:
    """How sure the surest prior of each cell is that there is something."""
    most = sure[here[0]].view(*here[1], -1).amax(dim=2)
    title = f"{here[1][0]} × {here[1][1]} cells, confidence up to {float(most.max()):.2f}"
    extent = _scene(axes, pixels, title, here)
    strong = np.dstack([np.broadcast_to([1.0, 0.9, 0.1], (*here[1], 3)), 0.8 * most.numpy()])
    axes.imshow(strong, extent=extent, interpolation="nearest")


def _names(axes: "Axes", pixels: np.ndarray, trace: Trace, here: Here) -> None:
    """The class that each cell would have, as strong as its score."""
    scores = trace.scored.scores[here[0].to(trace.scored.scores.device)].float().cpu()
    best, label = scores.view(*here[1], -1, scores.shape[1]).amax(dim=2).max(dim=2)
    extent = _scene(axes, pixels, "the class of each cell, by score; its answers", here)
    shades = torch.tensor([colour(number) for number in range(scores.shape[1])]) / 255
    colours = shades[label]
    laid = np.dstack([colours.numpy(), 0.75 * best.clamp(0, 1).numpy()])
    axes.imshow(laid, extent=extent, interpolation="nearest")


def _answer(axes: "Axes", trace: Trace, box: list[float], index: int, place: int) -> None:
    """An answer, and a dot in the cell that said it."""
    found = trace.detections[index]
    shade = shade_of(int(found.labels[place]))
    outline(axes, box, shade, 1.8, f"#{place + 1} {found.names[place]}")
    cell = trace.regions.boxes[found.region[place]]
    x, y = ((cell[:2] + cell[2:]) / 2).tolist()
    axes.plot(x, y, marker="o", markersize=6, color=shade, markeredgecolor="white")
