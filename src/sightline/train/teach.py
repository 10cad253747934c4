"""What of a run is a detector's own work: `prime` before the steps, `fit` after them or instead.

Both find a desk: the folder `work` in that of the run. It is gone when the run is over.
"""

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

from sightline import processes
from sightline.data.records import Dataset
from sightline.data.samples import LabelledImages
from sightline.errors import UsageError
from sightline.files import make_folder
from sightline.fitting import Desk, Paused, clock, has_fit, has_loss
from sightline.train.ema import Average
from sightline.train.recipes import Recipe
from sightline.train.setup import Say
from sightline.train.signals import Stop
from sightline.train.step import Stepper

FOLDER = "work"

HEARD = {
    *("model", "options", "start", "minutes", "seed", "threads", "device", "skip_bad", "figure"),
    *("workers", "evaluate_every", "save_seconds", "log_steps"),
}
"""Settings that mean something, or no harm, to a detector without steps."""


def check(detector: Any, recipe: Recipe) -> None:
    """UsageError where a detector learns nothing, or not as the recipe says.

    `train.nothing` for one without weights; `usage.processes` for a `fit` among several processes;
    `train.recipe` for settings of steps where there are none.
    """
    if has_fit(detector):
        processes.check_alone(f"training {recipe.model}")
    if has_loss(detector):
        return
    if not has_fit(detector):
        raise UsageError(
            f"{recipe.model} has nothing to learn: it is used as it is", code="train.nothing"
        )
    usual = Recipe(model=recipe.model, minutes=1)
    idle = [
        field.name
        for field in dataclasses.fields(Recipe)
        if field.name not in HEARD and getattr(recipe, field.name) != getattr(usual, field.name)
    ]
    if idle:
        raise UsageError(
            f"{recipe.model} learns by its own method, not step by step: "
            f"{', '.join(idle)} would do nothing",
            code="train.recipe",
            hint="leave them out; --minutes bounds its time",
        )


class Teacher:
    """A detector's own part in the run in `out`."""

    def __init__(
        self, stepper: Stepper, dataset: Dataset, recipe: Recipe, out: Path, say: Say
    ) -> None:
        self.stepper, self.recipe, self.out, self.say = stepper, recipe, out, say
        self.samples = LabelledImages(dataset, recipe.skip_bad)

    def _desk(self, stop: Stop) -> Desk:
        def pause() -> None:
            if stop.asked:
                raise Paused

        began = time.perf_counter()
        alone = not has_loss(self.stepper.detector)
        budget = self.recipe.minutes * 60 if alone and self.recipe.minutes else None
        spent = clock(budget, lambda: time.perf_counter() - began)
        make_folder(self.out / FOLDER)
        return Desk(self.out / FOLDER, self.recipe.seed, self.say, pause, spent)

    def prime(self, stop: Stop) -> None:
        """Let a detector that wants to look at the data before its first step. Raises `Paused`."""
        detector = self.stepper.detector
        if hasattr(detector, "prime"):
            detector.prime(self.samples, self._desk(stop))
            # a new one: assigning a buffer leaves the old average with the old tensor
            self.stepper.average = Average(detector, self.recipe.ema)

    def fit(self, stop: Stop) -> float:
        """Let the averaged detector learn by its own method; the seconds it took. Raises `Paused`,
        and then a later call takes up what lies on the desk.
        """
        began = time.perf_counter()
        model: Any = self.stepper.average.model
        model.fit(self.samples, self._desk(stop))
        self.stepper.detector.load_state_dict(model.state_dict())
        return time.perf_counter() - began

    def clear(self) -> None:
        """Remove the desk: the run is over."""
        shutil.rmtree(self.out / FOLDER, ignore_errors=True)
