"""Which learning rate: the loss while the rate grows from tiny to absurd (Smith 2015).

The learning rate range test of arXiv:1506.01186, section 3.3. The rate grows by the same factor
every step. The loss first stays, then falls, then leaves for infinity; the rates where it falls are
those that teach.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.files import atomic_write, make_folder, write_json, write_text
from sightline.train.feed import Feed
from sightline.train.recipes import Recipe
from sightline.train.trial import trial

SMOOTHING = 0.8
"""Of the moving average of the losses: it remembers about five steps."""

TINY = 1e-12
"""What a loss of 0 counts as, so that it has a logarithm."""

BLOWN = 4.0
"""The sweep ends where the smoothed loss is so many times its lowest."""

RISEN, FALLEN = 1.25, 0.98
"""The blow-up is where the smoothed loss is first so many times its lowest; and the lowest must be
so far below what came before, or nothing was learnt.
"""


@dataclass(frozen=True)
class Sweep:
    """The losses of a sweep, and the rates that they point to.

    `steepest` is the rate at which the smoothed loss falls by the largest factor per factor of the
    rate; `blow_up` the one at which it has risen again, None where it never did. `suggestion` is
    the smaller of `steepest` and a tenth of `blow_up`: as fast as the loss allows, with room.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float
    blow_up: float | None

    @property
    def suggestion(self) -> float:
        """The learning rate to train with, to two digits."""
        bound = math.inf if self.blow_up is None else self.blow_up / 10
        return float(f"{min(self.steepest, bound):.1e}")

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "blow_up": self.blow_up,
            "steps": len(self.rates),
            "lowest_rate": self.rates[0],
            "highest_rate": self.rates[-1],
        }


def find_rate(
    detector: Any,
    dataset: Dataset,
    recipe: Recipe,
    limits: tuple[float, float] = (1e-6, 1.0),
    steps: int = 100,
    progress: Callable[[int], None] | None = None,
) -> Sweep:
    """Train a copy of `detector` for `steps` steps at rates from limits[0] to limits[1].

    Batches are those of the recipe's largest size, in the recipe's order. `detector` is not
    changed. `progress(done)` is called after every step. Raises UsageError (`usage.range`) for
    limits or steps that make no sense, and (`train.no_rate`) where no rate lowers the loss.
    """
    low, high = limits
    if not (0 < low < high < math.inf) or steps < 20:
        raise UsageError(
            f"a sweep from {low:g} to {high:g} in {steps} steps cannot be made",
            code="usage.range",
            hint="rates above 0, the smaller first, and at least 20 steps",
        )
    sizes = ((1.0, max(pixels for _, pixels in recipe.sizes)),)
    swept = replace(recipe, steps=steps, epochs=None, minutes=None, sizes=sizes, calm=0.0)
    rates = np.geomspace(low, high, steps).tolist()
    with trial(detector, dataset, swept) as stepper:
        feed = Feed(dataset, swept, lambda step: min(1.0, step / steps))
        losses: list[float] = []
        lowest = math.inf
        mean = 0.0
        with closing(feed.batches(0)) as batches:
            for rate, (pixels, targets) in zip(rates, batches, strict=False):
                taken, loss = stepper.step(pixels, targets, rate)
                if not (taken and math.isfinite(loss)):
                    break
                losses.append(loss)
                mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
                level = mean / (1 - SMOOTHING ** len(losses))
                lowest = min(lowest, level)
                if progress is not None:
                    progress(len(losses))
                if len(losses) > steps // 10 and level > BLOWN * lowest:
                    break
    return judge(rates[: len(losses)], losses, ended=len(losses) < steps)


def judge(rates: list[float], losses: list[float], ended: bool) -> Sweep:
    """What the losses of a sweep say; `ended` tells that it was left early, for a loss too high.

    Raises UsageError (`train.no_rate`) where no rate lowers the loss.
    """
    if len(losses) < 5:
        raise UsageError(
            f"the loss is of no use from a rate of {rates[0] if rates else 0:g} on",
            code="train.no_rate",
            hint="look at the data and the starting weights, or begin at a lower rate",
        )
    smoothed = smooth(losses)
    lowest = int(np.argmin(smoothed))
    above = np.flatnonzero(smoothed[lowest:] > RISEN * smoothed[lowest])
    blow_up = rates[lowest + int(above[0])] if len(above) else rates[-1] if ended else None
    if smoothed[lowest] > FALLEN * smoothed[: max(1, lowest)].max():
        raise UsageError(
            "no rate of the sweep lowers the loss",
            code="train.no_rate",
            hint="widen the range with --from and --to, or look at the data first",
        )
    reach = max(1, len(losses) // 20)
    left = np.maximum(np.arange(lowest + 1) - reach, 0)
    right = np.minimum(np.arange(lowest + 1) + reach, lowest)
    paths = np.log(rates)[right] - np.log(rates)[left]
    slopes = (np.log(smoothed)[right] - np.log(smoothed)[left]) / paths
    steepest = rates[int(np.argmin(slopes))]
    return Sweep(tuple(rates), tuple(losses), tuple(smoothed.tolist()), steepest, blow_up)


def smooth(losses: list[float]) -> np.ndarray:
    """A moving average of the logarithms that looks both ways: its curve is not late, and one
    loss that explodes does not lift its neighbours with it.
    """
    logs = [math.log(max(loss, TINY)) for loss in losses]
    answer: np.ndarray = np.exp((_average(logs) + _average(logs[::-1])[::-1]) / 2)
    return answer


def _average(values: list[float]) -> np.ndarray:
    """The exponential moving average, freed of its pull towards 0 (Kingma & Ba 2015, sec. 3)."""
    means = itertools.accumulate(
        values, lambda mean, value: SMOOTHING * mean + (1 - SMOOTHING) * value, initial=0.0
    )
    share = 1 - SMOOTHING ** np.arange(1, len(values) + 1)
    answer: np.ndarray = np.array(list(means)[1:]) / share
    return answer


def write(sweep: Sweep, out: Path) -> Path:
    """Write lr_find.csv, lr_find.json and lr_find.png into `out`; the path of the picture."""
    make_folder(out)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["learning_rate", "loss", "smoothed"])
    rows.writerows(zip(sweep.rates, sweep.losses, sweep.smoothed, strict=True))
    write_text(out / "lr_find.csv", text.getvalue())
    write_json(out / "lr_find.json", sweep.to_json(), indent=1)
    _draw(sweep, out / "lr_find.png")
    return out / "lr_find.png"


def _draw(sweep: Sweep, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(sweep.rates, sweep.losses, color="0.7", linewidth=1, label="loss of each step")
    axes.plot(sweep.rates, sweep.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    marks = [("suggestion", sweep.suggestion, "tab:green", "-")]
    marks.append(("steepest", sweep.steepest, "tab:orange", ":"))
    if sweep.blow_up is not None:
        marks.append(("blow-up", sweep.blow_up, "tab:red", "--"))
    for name, rate, colour, style in marks:
        axes.axvline(rate, color=colour, linestyle=style, label=f"{name} {rate:.2g}")
    axes.set_xscale("log")
    axes.set_ylim(0, min(max(sweep.losses), 2.5 * max(sweep.smoothed[: len(sweep.rates) // 2])))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)
