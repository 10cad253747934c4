"""Figures as PNG files: drawn without matplotlib's global state, written atomically."""

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT, QUIET = "#222222", "#b8c4d0"
"""The colour of what matters, and of what stands behind it."""

DOTS_PER_INCH = 120


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; no window, no pyplot, safe in any thread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as PNG; ResourceError where the disk refuses."""
    goal = Path(path)
    with atomic_write(goal) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")
    return goal


def plain(name: str) -> str:
    """A class name that matplotlib takes for no formula."""
    return name.replace("$", r"\$")
