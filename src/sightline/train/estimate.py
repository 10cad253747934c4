"""What a run will take: time, memory, disk; from a few steps on a copy, or from its own first ones.

A step's time is taken to grow with the number of pixels, as convolutions do. An evaluation is
taken to cost a third of a step for every image: the forward pass without the backward one.
"""

import dataclasses
import math
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline import memory
from sightline.data.records import Dataset
from sightline.progress import clock_text
from sightline.train import record
from sightline.train.course import Progress
from sightline.train.feed import Feed
from sightline.train.recipes import Recipe
from sightline.train.schedule import Budget
from sightline.train.setup import Say
from sightline.train.step import Stepper
from sightline.train.trial import trial

STEPS = 3
"""So many steps are measured, after one that is not: the first pays for what is made once."""

FILES = 300_000
"""Bytes for logs, curves and manifests."""

STARVED = 0.3
"""From this share of waiting on, it is worth a word."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take, in seconds and bytes; `seconds` with evaluations.

    `waiting` is the share of a step's time that it waits for images. `memory` is the whole process
    at its peak, on a GPU that of the GPU; None where the system does not tell.
    """

    steps: int
    step_seconds: float
    seconds: float
    images_per_second: float
    waiting: float
    memory: int | None
    disk: int

    def __str__(self) -> str:
        pace = f"{self.step_seconds:.2g} s a step, {self.images_per_second:.3g} images a second"
        held = "" if self.memory is None else f", {size_text(self.memory)} of memory"
        return (
            f"about {_duration(self.seconds)} for {self.steps:,} steps ({pace}){held}, "
            f"{size_text(self.disk)} on the disk; {self.waiting:.0%} of the time waits for images"
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Measured:
    """A few steps: their seconds with and without waiting, and the side of their images."""

    seconds: float
    waited: float
    side: int


def size_text(count: int) -> str:
    """Bytes in the unit that suits them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{clock_text(seconds)} h"


def estimate(
    stepper: Stepper, data: tuple[Dataset, Dataset | None], measured: Measured, done: int = 0
) -> Estimate:
    """What is left of a run after `done` steps, from what a few of them took."""
    recipe, (dataset, validation) = stepper.recipe, data
    area = sum(share * side**2 for share, side in recipe.sizes) / measured.side**2
    busy = max(1e-9, measured.seconds - measured.waited) * area
    step = busy + measured.waited  # images are read at full size, whatever becomes of them
    budget = Budget.of(recipe, len(dataset))
    if budget.steps is None:
        assert budget.seconds is not None
        steps, seconds = max(1, round(budget.seconds / step)), budget.seconds
    else:
        steps = max(0, budget.steps - done)
        seconds = steps * step
    if validation is not None:
        left = steps / max(1, steps + done) if budget.seconds is None else 1.0
        evaluations = math.ceil(left / recipe.evaluate_every - 1e-9)
        seconds += evaluations * len(validation) * busy / recipe.batch / 3
    share = measured.waited / max(1e-9, measured.seconds)
    held, disk = held_at_peak(stepper), disk_of(stepper)
    return Estimate(steps, step, seconds, recipe.batch / step, share, held, disk)


def disk_of(stepper: Stepper) -> int:
    """Bytes that the folder of a run will hold: two checkpoints, and the state twice."""
    every = list(stepper.detector.state_dict().values())
    weights: int = sum(value.numel() * value.element_size() for value in every)
    trained = [p for group in stepper.optimizer.param_groups for p in group["params"]]
    moments = 2 if stepper.recipe.optimizer == "adamw" else 1
    kept: int = moments * sum(p.numel() * p.element_size() for p in trained)
    return 2 * weights + 2 * (2 * weights + kept) + FILES


def held_at_peak(stepper: Stepper) -> int | None:
    """The most memory so far: of the GPU where the network is on one, else of the process."""
    if stepper.device.type == "cuda":
        held: int = torch.cuda.max_memory_allocated(stepper.device)
        return held
    return memory.peak()


def measure(
    detector: Any, dataset: Dataset, recipe: Recipe, validation: Dataset | None = None
) -> Estimate:
    """What a run of `recipe` would take, by a few steps at its largest size on a copy.

    Weights, random generators and threads are as before afterwards, to the bit.
    """
    side = max(pixels for _, pixels in recipe.sizes)
    count = STEPS + 1
    short = dataclasses.replace(
        recipe, steps=count, epochs=None, minutes=None, sizes=((1.0, side),), size_jitter=0.0
    )
    times, waits = [], []
    with trial(detector, dataset, recipe) as stepper:
        feed = Feed(dataset, short, lambda step: min(1.0, step / count))
        with closing(feed.batches(0)) as batches:
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                if batch is None:
                    break
                waits.append(time.perf_counter() - began)
                stepper.step(*batch, 0.0)
                times.append(time.perf_counter() - began)
        measured = Measured(statistics.median(times[1:]), statistics.median(waits[1:]), side)
        return estimate(stepper, (dataset, validation), measured)


class Outlook:
    """Says what a run will take once it has made its first steps, without touching it."""

    def __init__(
        self, stepper: Stepper, data: tuple[Dataset, Dataset | None], out: Path, say: Say
    ) -> None:
        self.stepper, self.data, self.out, self.say = stepper, data, out, say
        self._times: list[float] | None = []
        self._waits: list[float] = []

    def count(self, at: Progress, seconds: float, waited: float) -> None:
        """Note a step; after the fourth the estimate is said, and written into repro.json."""
        if self._times is None:
            return
        self._times.append(seconds)
        self._waits.append(waited)
        if len(self._times) <= STEPS:
            return
        times, self._times = self._times, None
        taken = Measured(statistics.median(times[1:]), statistics.median(self._waits[1:]), at.size)
        found = estimate(self.stepper, self.data, taken, at.step)
        self.say(str(found))
        if found.waiting > STARVED:
            workers = self.stepper.recipe.workers + 1
            self.say(f"images are not ready in time: more threads may help, --workers {workers}")
        # what cannot be written down was said all the same
        record.add(self.out, estimate=found.to_json())
