"""A few steps on a copy of a detector, which leave nothing behind: to measure, not to learn."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.fitting import has_loss
from sightline.train import setup, state
from sightline.train.recipes import Recipe
from sightline.train.step import Stepper
from sightline.train.teacher import open_teacher
from sightline.train.weighting import class_weights, weigh


@contextmanager
def trial(detector: Any, dataset: Dataset, recipe: Recipe) -> Iterator[Stepper]:
    """A stepper on a copy of `detector`, on the recipe's device, set up as a run would be.

    Raises DatasetError and UsageError for data and sizes that a run would refuse, and UsageError
    (`train.no_steps`) for a detector that has no steps to try. Weights of `detector`, random
    generators and threads are as before afterwards, to the bit.
    """
    if not has_loss(detector):
        raise UsageError(
            f"{recipe.model} does not learn step by step: there is no step to try",
            code="train.no_steps",
        )
    tensors, facts = state.pack_random()
    try:
        setup.check_sizes(detector, recipe)
        setup.check_data(detector, dataset, None, lambda line: None)
        with setup.machine(recipe):
            student = copy.deepcopy(detector)
            setup.freeze(student, recipe)
            weigh(student, class_weights(recipe, dataset))
            student.to(setup.device_of(recipe))
            yield Stepper(student, recipe, open_teacher(recipe, student))
    finally:
        state.unpack_random(tensors, facts)
