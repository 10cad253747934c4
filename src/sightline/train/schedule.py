"""What changes during a run, as functions of how much of the budget is spent.

A budget is a number of steps, or of minutes of training (evaluations not counted): the schedule
is the same function of `fraction`, so that runs on a shared machine can be compared.
"""

import math
import random
from dataclasses import dataclass

from sightline.train.recipes import Recipe


@dataclass(frozen=True)
class Budget:
    """How long a run is: in `steps`, or in `seconds` where steps is None."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, recipe: Recipe, images: int) -> "Budget":
        """The budget of a recipe on a data set of so many images; an epoch sees each once."""
        if recipe.minutes is not None:
            return cls(None, recipe.minutes * 60)
        if recipe.steps is not None:
            return cls(recipe.steps, None)
        assert recipe.epochs is not None
        return cls(max(1, math.ceil(recipe.epochs * images / recipe.batch)), None)

    def fraction(self, step: int, seconds: float) -> float:
        """What share of the budget is spent after `step` steps and `seconds` of training."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, seconds / self.seconds)


def rate(recipe: Recipe, step: int, fraction: float, steps: int | None = None) -> float:
    """The factor on every learning rate at 0-based `step`.

    A linear warm-up over `warmup_steps` (at most a tenth of `steps`, where that is known), then
    half a cosine from 1 to `final` over the whole budget (Loshchilov & Hutter 2017, equation 5).
    """
    warmup = recipe.warmup_steps
    if steps is not None:
        warmup = min(warmup, steps // 10)
    cosine = recipe.final + (1 - recipe.final) * (1 + math.cos(math.pi * fraction)) / 2
    return cosine * min(1.0, (step + 1) / (warmup + 1))


def size_at(recipe: Recipe, step: int, fraction: float) -> int:
    """The side in pixels of the square images of 0-based `step`.

    With `size_jitter` j it is drawn from 1 − j … 1 + j times the planned one, in multiples of 32,
    by a generator that depends on the seed and the step alone.
    """
    reached, side = 0.0, recipe.sizes[-1][1]
    for share, pixels in recipe.sizes:
        reached += share
        if fraction < reached - 1e-9:
            side = pixels
            break
    if recipe.size_jitter:
        draw = random.Random(f"{recipe.seed}-{step}").uniform(-1, 1)
        side = max(32, round(side * (1 + recipe.size_jitter * draw) / 32) * 32)
    return side


def is_calm(recipe: Recipe, fraction: float) -> bool:
    """Whether the run is in its last part, where images are no longer mixed."""
    return recipe.calm > 0 and fraction >= 1 - recipe.calm


def ema_decay(target: float, updates: int) -> float:
    """The decay of the weights' average after `updates` updates: it grows from 0.1 to `target`.

    Without the warm-up the average would hold on to the random weights it began with.
    """
    return min(target, (1 + updates) / (10 + updates))
