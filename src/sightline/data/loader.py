"""Batches for training: seeded, resumable at any step, prepared ahead by threads.

Batch `step` is a pure function of (seed, step, size): not of the number of workers, nor of what was
loaded before, so that a run that resumes meets what it would have met.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from numpy.random import Generator, SeedSequence, default_rng
from torch import Tensor

from sightline.data.augment import Augmentation, Supply, compose
from sightline.data.cache import PictureCache
from sightline.data.placement import Picture
from sightline.data.prefetch import prefetch
from sightline.data.records import Dataset
from sightline.data.sampler import Sampler
from sightline.errors import DatasetError, SightlineError, UsageError
from sightline.types import Targets

__all__ = ["Loader"]

Loaded = tuple[UInt8[Tensor, "B 3 S S"], list[Targets]]


class Loader:
    """Augmented batches of a labelled data set.

    `batch` images a step; an epoch has `steps` = ⌈images / batch⌉ of them, all full (see
    `Sampler`, also for `balance`). `workers` threads prepare batches ahead in `stream`. Up to
    `cache_bytes` of decoded images stay in memory. A file that cannot be read ends the run with an
    error that names it; see `skip_bad`. `waited` counts the seconds that `stream` kept its user
    waiting.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: Augmentation,
        batch: int,
        seed: int,
        *,
        workers: int = 0,
        cache_bytes: int = 2 << 30,
        balance: float = 0.0,
    ) -> None:
        self.dataset, self.augmentation = dataset, augmentation
        self.seed, self.workers = seed, workers
        self.sampler = Sampler(dataset, batch, seed, balance)
        self.pictures = PictureCache(dataset, cache_bytes)
        self.waited = 0.0
        self.bad: dict[int, SightlineError] = {}
        self._allowed = 0.0
        self._slots = range(batch)
        self._lock = threading.Lock()
        self._flips = None if dataset.skeleton is None else dataset.skeleton.flips
        self._donors = np.flatnonzero([e.objects.segments is not None for e in dataset])

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.sampler.steps

    def skip_bad(self, share: float = 0.01) -> "Loader":
        """From now on leave out files that cannot be read, up to `share` of the data set.

        Each is replaced by the next one in the data set, so that batches stay reproducible;
        `bad` holds the errors by row. More than `share` end the run all the same.
        """
        self._allowed = share
        return self

    def share(self, rank: int, processes: int) -> "Loader":
        """From now on give only the images of process `rank` of `processes`.

        The parts of all, in order of rank, are the batch of one process: the same images with the
        same random draws. Raises UsageError (`loader.share`) where `batch` does not divide.
        """
        part, rest = divmod(self.sampler.batch, processes)
        if rest or not 0 <= rank < processes:
            raise UsageError(
                f"a batch of {self.sampler.batch} images does not divide among {processes} "
                f"processes (this is process {rank})",
                code="loader.share",
                hint=f"try --batch {max(1, part) * processes}: it counts all processes together",
            )
        self._slots = range(rank * part, (rank + 1) * part)
        return self

    def batch(self, step: int, size: int) -> Loaded:
        """Batch `step` (from 0, through all epochs) of size × size pixels, and what is in each.

        Pixels are uint8 RGB, channels last in memory. Boxes are in the batch's pixels. After
        `share` it is this process's part of the batch.
        """
        return self._draw(step, size, self._slots)

    def whole(self, step: int, size: int) -> Loaded:
        """Batch `step` with the images of all processes."""
        return self._draw(step, size, range(self.sampler.batch))

    def _draw(self, step: int, size: int, slots: range) -> Loaded:
        rows = self.sampler.rows(step)
        pixels = np.empty((len(slots), size, size, 3), np.uint8)
        targets = [
            self._compose(step, slot, int(rows[slot]), pixels[place], [])
            for place, slot in enumerate(slots)
        ]
        return torch.from_numpy(pixels).permute(0, 3, 1, 2), targets

    def sources(self, step: int, size: int) -> tuple[UInt8[Tensor, "B 3 S S"], list[list[Path]]]:
        """The pixels of batch `step`, and the files each of its images was made of.

        The one in turn comes first, then those that were mixed with it, each once.
        """
        rows = self.sampler.rows(step)
        pixels = np.empty((len(rows), size, size, 3), np.uint8)
        files = []
        for slot, row in enumerate(rows):
            met: list[int] = []
            self._compose(step, slot, int(row), pixels[slot], met)
            files.append([self.dataset[place].path for place in dict.fromkeys(met)])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2), files

    def stream(self, start: int, sizes: Iterable[int], stride: int = 1) -> Iterator[Loaded]:
        """Batches start, start + stride, …, one for each of `sizes`, in that order.

        `workers` threads keep at most two batches each ready. An error of a batch is raised when
        its turn comes.
        """
        jobs = ((start + i * stride, size) for i, size in enumerate(sizes))
        source = (
            prefetch(lambda job: self.batch(*job), jobs, self.workers, what=self._what)
            if self.workers
            else (self.batch(*job) for job in jobs)
        )
        while True:
            begin = time.perf_counter()
            loaded = next(source, None)
            self.waited += time.perf_counter() - begin
            if loaded is None:
                return
            yield loaded

    def _what(self, job: tuple[int, int]) -> str:
        """What a job works on, for an error about one that hangs."""
        rows = self.sampler.rows(job[0])
        names = [self.dataset[int(rows[slot])].path.name for slot in self._slots]
        return f"batch {job[0]}: {', '.join(names)} or an image mixed with them"

    def _compose(
        self, step: int, slot: int, row: int, canvas: UInt8[ndarray, "S S 3"], met: list[int]
    ) -> Targets:
        """Draw one picture of a batch; the rows it takes are added to `met`."""
        rng = default_rng(SeedSequence([self.seed, step, slot]))
        order = self.sampler.epoch(step // self.steps)
        supply = Supply(
            self.picture(row, met),
            lambda rng: self.picture(int(order[rng.integers(len(order))]), met),
            lambda rng: self._donor(rng, met),
            self._flips,
        )
        return compose(supply, canvas, rng, self.augmentation).targets()

    def _donor(self, rng: Generator, met: list[int]) -> Picture | None:
        if len(self._donors) == 0:
            return None
        return self.picture(int(self._donors[rng.integers(len(self._donors))]), met)

    def picture(self, row: int, met: list[int] | None = None) -> Picture:
        """Picture `row`, or the next one that can be read where bad ones are allowed."""
        for step in range(len(self.dataset)):
            place = (row + step) % len(self.dataset)
            if place in self.bad:
                continue
            try:
                picture = self.pictures[place]
            except SightlineError as error:
                with self._lock:
                    known = self.bad.keys() | {place}  # another thread may have been here first
                    if len(known) > self._allowed * len(self.dataset):
                        raise
                    self.bad[place] = error
            else:
                if met is not None:
                    met.append(place)
                return picture
        raise DatasetError("no image can be read", code="dataset.empty", path=self.dataset.root)
