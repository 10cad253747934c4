"""What pictures of stages are drawn on: the prepared image, boxes, maps, arrows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from sightline.evaluate.pictures import new_figure, plain
from sightline.explain.draw import colour
from sightline.pipeline import Detector, Trace
from sightline.preparation import Preparation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST = "#e8392b"


def pixels_of(trace: Trace, detector: Detector, index: int = 0) -> ndarray:
    """The prepared image as bytes (H, W, 3), as the network sees it."""
    seen = trace.batch.pixels[index].detach().float().cpu()
    preparation = getattr(detector, "preparation", None)
    if isinstance(preparation, Preparation):
        seen = preparation.restore(seen)
    else:
        low, high = seen.min(), seen.max()
        seen = ((seen - low) / (high - low).clamp(min=1e-9) * 255).to(torch.uint8)
    return np.ascontiguousarray(seen.permute(1, 2, 0).numpy())


def panels(
    count: int, size: tuple[int, int], columns: int = 4, width: float = 3.2
) -> "tuple[Figure, list[Axes]]":
    """A figure of `count` panels without axes, for pictures of `size` (height, width)."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    tall = width * size[0] / size[1]
    figure = new_figure(width * columns, (tall + 0.35) * rows)
    axes = list(np.asarray(figure.subplots(rows, columns, squeeze=False)).flat)
    for one in axes:
        one.set_axis_off()
    return figure, axes[:count]


def scene(axes: "Axes", pixels: ndarray, title: str) -> None:
    """The image, whose edges what is drawn later does not move."""
    axes.imshow(pixels)
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
    axes.set_title(plain(title), fontsize=9)


def outline(
    axes: "Axes", box: Sequence[float], shade: Any, width: float = 1.5, text: str = ""
) -> None:
    """A box, and a label inside its top."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    axes.add_patch(
        Rectangle(
            (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=shade, linewidth=width
        )
    )
    if text:
        place = (max(x1, 0) + 1, max(y1, 0) + 1)
        back = {"facecolor": shade, "edgecolor": "none", "pad": 1}
        axes.text(*place, plain(text), color="white", fontsize=7, va="top", bbox=back, clip_on=True)


def shade_of(label: int) -> str:
    """A class's colour, as matplotlib takes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour(label))


def heat(axes: "Axes", values: Tensor, title: str, low: float | None = None) -> None:
    """A map of numbers, dark where there is little."""
    high = None if low is None else max(low + 1e-6, float(values.max()))
    axes.imshow(values.detach().float().cpu().numpy(), cmap="magma", vmin=low, vmax=high)
    axes.set_title(plain(title), fontsize=9)


def scored_boxes(axes: "Axes", boxes: Tensor, scores: Tensor) -> None:
    """Boxes from the worst to the best, the better the brighter and thicker."""
    from matplotlib import colormaps

    order = scores.argsort()
    ranks = torch.linspace(0.1, 1.0, max(1, len(order)))
    for rank, row in zip(ranks.tolist(), order.tolist(), strict=False):
        outline(axes, boxes[row].tolist(), colormaps["viridis"](rank), 0.5 + 1.2 * rank)
