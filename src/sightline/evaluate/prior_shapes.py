"""How many priors a data set needs: the picture of YOLOv2's figure 2."""

from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from sightline.evaluate.pictures import ACCENT, QUIET, new_figure, save
from sightline.priors import Priors

SHOWN = 5000
"""Dots of boxes that can still be told apart."""


def draw(
    curve: Mapping[int, float], priors: Priors, sides: Float[Tensor, "N 2"], size: int, path: Path
) -> Path:
    """Left the mean IoU against the number of priors, right the priors among the boxes.

    Sides are pixels of images of `size`; of many boxes every n-th is a dot.
    """
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    left.plot(list(curve), list(curve.values()), color=QUIET, marker="o", zorder=1)
    chosen = len(priors)
    left.plot([chosen], [priors.mean_iou], color=ACCENT, marker="o", markersize=9, zorder=2)
    left.annotate(
        f"{chosen} priors: {priors.mean_iou:.3f}",
        (chosen, priors.mean_iou),
        (8, -16),
        textcoords="offset points",
    )
    left.set_xlabel("priors")
    left.set_title("mean IoU of a box with its nearest prior")
    left.set_xticks(list(curve))
    some = sides[:: max(1, len(sides) // SHOWN)]
    right.scatter(some[:, 0], some[:, 1], s=3, color=QUIET, linewidths=0, zorder=1)
    right.scatter(priors.sides[:, 0], priors.sides[:, 1], s=70, color=ACCENT, marker="x", zorder=2)
    right.set_xlim(0, size)
    right.set_ylim(0, size)
    right.set_aspect("equal")
    right.set_xlabel("width")
    right.set_ylabel("height")
    right.set_title(f"boxes in images of {size} pixels, and the priors")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    return save(figure, path)
