"""Batches in the order of a recipe: the size that is due, mixed images until the calm."""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import cast

import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline import processes
from sightline.data.loader import Loader
from sightline.data.records import Dataset
from sightline.errors import SightlineError
from sightline.train.recipes import Recipe
from sightline.train.schedule import is_calm, size_at
from sightline.types import Targets

Batch = tuple[Tensor, list[Targets]]
"""Uint8 pixels (B, 3, S, S), and what is in each image."""

Stream = Generator[Batch, None, None]

Fraction = Callable[[int], float]
"""Step to the share of the budget that is spent before it."""


class Feed:
    """The batches of a run. Batch n of a run that is counted in steps depends on n and the seed
    alone, so a resumed run sees what an uninterrupted one would have seen.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, fraction: Fraction) -> None:
        self.recipe, self.fraction = recipe, fraction
        calm = dataclasses.replace(recipe.augmentation, mosaic=0.0, mixup=0.0)
        self._lively = Loader(
            dataset,
            recipe.augmentation,
            recipe.batch,
            recipe.seed,
            workers=recipe.workers,
            balance=recipe.balance,
        )
        self._lively.skip_bad(recipe.skip_bad)
        if processes.joined():
            self._lively.share(processes.rank(), processes.world_size())
        # a shallow copy: both share the sampler and the decoded images
        self._calm = copy.copy(self._lively)
        self._calm.augmentation = calm

    def batches(self, start: int) -> Stream:
        """(uint8 pixels (B, 3, S, S), targets) from step `start` on, until the budget is spent."""
        step = start
        for loader, calm in ((self._lively, False), (self._calm, True)):
            source = cast(Stream, loader.stream(step, self._sizes(step, calm)))
            with closing(source) as stream:
                for batch in stream:
                    step += 1
                    yield batch

    def _sizes(self, start: int, calm: bool) -> Iterator[int]:
        for step in itertools.count(start):
            fraction = self.fraction(step)
            if fraction >= 1 or is_calm(self.recipe, fraction) is not calm:
                return
            yield size_at(self.recipe, step, fraction)

    def whole(self, step: int, batch: Batch) -> Batch:
        """Batch `step` with the images of all processes, where `batch` is this one's part of it."""
        if not processes.joined():
            return batch
        side = batch[0].shape[3]
        for loader in (self._lively, self._calm):
            with suppress(SightlineError):
                if torch.equal(loader.batch(step, side)[0], batch[0]):
                    return loader.whole(step, side)
        return batch  # a file has gone since

    def sources(self, step: int, pixels: UInt8[Tensor, "B 3 S S"]) -> list[list[str]]:
        """The files that each image of batch `step` was made of, the one in turn first.

        Images are mixed by chance, so the batch is drawn once more, to the same `pixels`. Where
        that fails (a file has gone since) only those whose turn it was are named.
        """
        for loader in (self._lively, self._calm):
            try:
                again, files = loader.sources(step, pixels.shape[3])
            except SightlineError:
                continue
            if torch.equal(again, pixels):
                return [[str(path) for path in paths] for paths in files]
        rows = self._lively.sampler.rows(step)
        return [[str(self._lively.dataset[int(row)].path)] for row in rows]
