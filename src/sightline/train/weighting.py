"""How much each class counts in the loss, so that rare ones are not drowned by common ones.

One meaning for every detector: the classification loss of a region that answers for an object of
class c counts w_c times, that of background once. Losses hold the numbers in a field `weights`.
"""

import dataclasses
import difflib
import math
from typing import Any

import numpy as np

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.train.recipes import Recipe

BETA = 0.999
"""Of `effective_weights`: beyond 1 / (1 − β) = 1,000 objects, more of them count for little."""


def effective_weights(counts: np.ndarray, beta: float = BETA) -> tuple[float, ...]:
    """w_c ∝ (1 − β) / (1 − β^n_c) for n_c objects of class c, with a mean of 1.

    The inverse of the effective number of samples (Cui 2019, arXiv:1901.05555, eq. 2 and 4). A
    class without objects has no say in the mean and gets 1: its weight is never used.
    """
    present = counts > 0
    weights = np.ones(len(counts))
    # −expm1 keeps its digits where β^n is close to 1
    weights[present] = (1 - beta) / -np.expm1(counts[present] * math.log(beta))
    if present.any():
        weights[present] /= weights[present].mean()
    return tuple(weights.tolist())


def class_weights(recipe: Recipe, dataset: Dataset) -> tuple[float, ...] | None:
    """One weight a class of `dataset`, as `recipe.class_weights` says; None for none.

    Given by name, classes that are not named count once. Crowd regions are not counted. Raises
    UsageError (`train.class_weights`) for names that the data set does not have.
    """
    chosen = recipe.class_weights
    if chosen is None:
        return None
    if isinstance(chosen, str):
        labels = [e.objects.labels[~e.objects.crowd] for e in dataset]
        counts = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
        return effective_weights(counts)
    given = dict(chosen)
    for name in given:
        if name not in dataset.classes:
            near = difflib.get_close_matches(name, dataset.classes, n=1, cutoff=0.4)
            known = ", ".join(dataset.classes[:10])
            raise UsageError(
                f"class_weights names {name!r}, which is no class of these data",
                code="train.class_weights",
                hint=f"did you mean {near[0]}?" if near else f"classes are {known}",
            )
    return tuple(float(given.get(name, 1.0)) for name in dataset.classes)


def weigh(detector: Any, weights: tuple[float, ...] | None) -> None:
    """Give the detector's loss its class weights; None takes them away.

    The loss is `detector.criterion`, a frozen dataclass with a field `weights`. Raises UsageError
    (`train.class_weights`) for a detector whose loss knows none, unless there are none to give.
    """
    criterion: Any = getattr(detector, "criterion", None)
    known = dataclasses.is_dataclass(criterion) and not isinstance(criterion, type)
    if known and any(f.name == "weights" for f in dataclasses.fields(criterion)):
        detector.criterion = dataclasses.replace(criterion, weights=weights)
        return
    if weights is not None:
        raise UsageError(
            f"the loss of {type(detector).__name__} takes no class weights",
            code="train.class_weights",
            hint="train without class_weights; balance=0.1 shows rare classes more often instead",
        )
