"""What pictures of stages are drawn on: the prepared image, boxes, maps, arrows."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from sightline.evaluate.pictures import new_figure, plain
from sightline.explain.draw import colour
from sightline.explain.pose_maps import draw_parts
from sightline.pipeline import Detector, Trace
from sightline.preparation import Preparation
from sightline.types import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 4
"""So many of some boxes, the best, are drawn with their scores."""


def pixels_of(trace: Trace, detector: Detector, index: int = 0) -> ndarray:
    """The prepared image as bytes (H, W, 3), as the network sees it."""
    seen = trace.batch.pixels[index].detach().float().cpu()
    preparation = prepared_by(detector)
    if preparation is not None:
        seen = preparation.restore(seen)
    else:
        low, high = seen.min(), seen.max()
        seen = ((seen - low) / (high - low).clamp(min=1e-9) * 255).to(torch.uint8)
    return np.ascontiguousarray(seen.permute(1, 2, 0).numpy())


def prepared_by(detector: Detector) -> Preparation | None:
    """What prepares a detector's images, where that is known: of poses the person detector's."""
    people = getattr(detector, "people", None)
    if isinstance(people, Detector):
        return prepared_by(people)
    known = (getattr(detector, "preparation", None), detector.prepare)
    return next((one for one in known if isinstance(one, Preparation)), None)


def panels(
    count: int, size: tuple[int, int], columns: int = 4, width: float = 3.2
) -> "tuple[Figure, list[Axes]]":
    """A figure of `count` panels without axes, at most `columns` side by side and as many in each
    row as can be, for pictures of `size` (height, width).
    """
    rows = max(1, -(-count // columns))
    columns = max(1, -(-count // rows))
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
    axes: "Axes",
    box: Sequence[float],
    shade: Any,
    width: float = 1.5,
    text: str = "",
    line: str = "-",
) -> None:
    """A box in matplotlib's style of `line`, and a label at it."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    style = {"fill": False, "edgecolor": shade, "linewidth": width, "linestyle": line}
    axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, **style))
    if text:
        note(axes, box, text, shade)


def shade_of(label: int) -> str:
    """A class's colour, as matplotlib takes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour(label))


def heat(axes: "Axes", values: Tensor, title: str, low: float | None = None) -> None:
    """A map of numbers, dark where there is little."""
    high = None if low is None else max(low + 1e-6, float(values.max()))
    axes.imshow(values.detach().float().cpu().numpy(), cmap="magma", vmin=low, vmax=high)
    axes.set_title(plain(title), fontsize=9)


def point_maps(
    picture: UInt8[Tensor, "3 H W"], maps: Float[Tensor, "P m n"], names: Sequence[str]
) -> "Figure":
    """All maps of points over the picture that they cover, then each one by itself."""
    height, width = size = (picture.shape[1], picture.shape[2])
    figure, axes = panels(1 + len(names), size, columns=7, width=2.0)
    scene(axes[0], np.asarray(draw_parts(picture, maps, Frame(size, size), size)), "all of them")
    for axis, name, one in zip(axes[1:], names, maps, strict=True):
        heat(axis, one, name, 0.0)
        axis.set_aspect(height / one.shape[0] / (width / one.shape[1]))
    return figure


def cut(pixels: ndarray, box: Sequence[float]) -> ndarray:
    """The pixels of a box as far as they lie in the image, at least one."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box
    left, top = min(width - 1, max(0, int(x1))), min(height - 1, max(0, int(y1)))
    right, bottom = (
        max(left + 1, min(width, math.ceil(x2))),
        max(top + 1, min(height, math.ceil(y2))),
    )
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def planes(pixels: UInt8[ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    """An image of `pixels_of` as a tensor, as `pose_maps` takes it."""
    return torch.from_numpy(pixels).movedim(2, 0)


def scored_boxes(axes: "Axes", boxes: Tensor, scores: Tensor) -> None:
    """Boxes from the worst to the best, the better the brighter and thicker; the best with their
    scores.
    """
    from matplotlib import colormaps

    order = scores.argsort(stable=True)
    ranks = torch.linspace(0.1, 1.0, max(1, len(order)))
    for rank, row in zip(ranks.tolist(), order.tolist(), strict=False):
        outline(axes, boxes[row].tolist(), colormaps["viridis"](rank), 0.5 + 1.2 * rank)
    for row in order[-NAMED:].tolist():
        note(axes, boxes[row].tolist(), f"{float(scores[row]):.2f}", "#333333")


def note(axes: "Axes", box: Sequence[float], text: str, shade: Any) -> None:
    """A word at a box: it keeps in the picture and off those noted later."""
    from sightline.explain.labels import Labels

    Labels.of(axes).add(box, plain(text), shade)


def bars(
    names: Sequence[str], values: Mapping[str, Sequence[float]], log: bool = False
) -> "Figure":
    """A bar a name, the first on top, with its value at the end; a panel for each unit."""
    figure = new_figure(6.4, 0.7 + 0.3 * len(names))
    panels = figure.subplots(1, len(values), squeeze=False, sharey=True)[0]
    places = range(len(names))
    for axes, (unit, row) in zip(panels, values.items(), strict=True):
        axes.barh(places, row, color="#4292c6", height=0.7)
        if log:
            axes.set_xscale("log")
            axes.set_xlim(left=0.5)
        for place, value in zip(places, row, strict=True):
            axes.annotate(
                f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}",
                (value, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
        axes.margins(x=0.12 * len(values))
        axes.set_xlabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(places, [plain(name) for name in names])
    panels[0].invert_yaxis()
    return figure
