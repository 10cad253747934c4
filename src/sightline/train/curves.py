"""Learning curves: loss, figures on the validation images and learning rate over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.files import atomic_write

FIGURES = ("AP", "AP50", "segm_AP", "keypoints_AP")


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the rows of a log as a PNG with three panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6))
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.14, top=0.91, wspace=0.2)
    FigureCanvasAgg(figure)
    loss, figures, rate = figure.subplots(1, 3)
    parts = dict.fromkeys(k for row in rows for k in row if k == "loss" or k.startswith("loss_"))
    for name in parts:
        loss.plot(*_curve(rows, name), label=name, linewidth=2 if name == "loss" else 1)
    for name in FIGURES:
        steps, values = _curve(rows, name)
        if steps:
            figures.plot(steps, values, marker="o", markersize=3, label=name)
    rate.plot(*_curve(rows, "learning_rate"), label="learning_rate")
    rate.ticklabel_format(axis="y", scilimits=(-2, 3))
    titles = ("loss on the training images", "on the validation images", "learning rate")
    for axes, title in zip((loss, figures, rate), titles, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _curve(rows: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    pairs = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    return [step for step, _ in pairs], [value for _, value in pairs]
