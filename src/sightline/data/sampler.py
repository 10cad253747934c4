"""In what order a training run meets the images, as a pure function of the seed."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from sightline.data.records import Dataset
from sightline.errors import DatasetError, UsageError

__all__ = ["Sampler", "repeat_factors"]

EPOCH_STREAM = 0x5E9
"""Keeps an epoch's random numbers apart from those of its pictures, which have the same seed."""


def repeat_factors(dataset: Dataset, threshold: float) -> Float[ndarray, "images"]:
    """How often each image should be met in an epoch, at least once.

    r = max over the image's classes c of max(1, √(threshold / f_c)), where f_c is the share of
    images that hold class c (LVIS, arXiv:1908.03195, §3). Crowd regions do not count.
    """
    present = [np.unique(e.objects.labels[~e.objects.crowd]) for e in dataset]
    counts = np.zeros(len(dataset.classes))
    for labels in present:
        counts[labels] += 1
    frequency = np.maximum(counts, 1) / max(len(dataset), 1)
    factors = np.maximum(1, np.sqrt(threshold / frequency))
    return np.array([factors[labels].max(initial=1.0) for labels in present])


class Sampler:
    """A new seeded permutation of the images every epoch; rare classes more often if wished.

    `balance` is the threshold of `repeat_factors`; 0 leaves every image once. The fraction of a
    repeat is decided by chance anew each epoch. An epoch has ⌈images / batch⌉ full batches: it
    is filled from its own beginning, and with `balance` cut to that length after shuffling.
    """

    def __init__(self, dataset: Dataset, batch: int, seed: int, balance: float = 0.0) -> None:
        if len(dataset) == 0:
            raise DatasetError("no images to learn from", code="dataset.empty", path=dataset.root)
        if batch < 1 or not 0 <= balance < 1 or seed < 0:
            raise UsageError(
                f"batch = {batch}, balance = {balance}, seed = {seed}: a batch holds at least one "
                "image, a balance is a share of the images, a seed is not negative",
                code="loader.range",
            )
        self.batch, self.seed = batch, seed
        self.steps = -(-len(dataset) // batch)
        self.factors = repeat_factors(dataset, balance)
        self.epoch = lru_cache(maxsize=4)(self._epoch)

    def _epoch(self, number: int) -> Int[ndarray, "rows"]:
        """Rows of the data set in the order of epoch `number`: `steps` · `batch` of them."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, number, EPOCH_STREAM]))
        whole = np.floor(self.factors)
        repeats = whole + (rng.random(len(whole)) < self.factors - whole)
        rows = rng.permutation(np.repeat(np.arange(len(whole)), repeats.astype(np.int64)))
        return np.resize(rows, self.steps * self.batch)

    def rows(self, step: int) -> Int[ndarray, "batch"]:
        """Rows of the data set that make batch `step`, counted from 0 through all epochs."""
        epoch, place = divmod(step, self.steps)
        return self.epoch(epoch)[place * self.batch : (place + 1) * self.batch]
