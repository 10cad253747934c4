"""How many images fit: the largest batch, by what a step on one, two and four of them takes."""

import dataclasses
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sightline import memory, processes
from sightline.data.loader import Loader
from sightline.data.records import Dataset
from sightline.errors import ResourceError, UsageError
from sightline.train import record
from sightline.train.estimate import size_text
from sightline.train.recipes import Recipe
from sightline.train.setup import Say
from sightline.train.step import Stepper
from sightline.train.trial import trial

SHARE = 0.7
"""Of the memory that is available, for a step: the rest is for the loader and for others."""

LARGEST = 64
"""Larger batches are not picked by themselves: the learning rate would have to follow."""

PROBES = (1, 2, 4)


def fitted(detector: Any, dataset: Dataset, recipe: Recipe, say: Say) -> Recipe:
    """The recipe with the largest power of two as batch that fits into memory.

    One step each on 1, 2 and 4 images of the recipe's largest size, on a copy of `detector`; what
    an image takes is the steepest of the differences. At most `LARGEST`, and no more than the data
    set has images. Several processes take the smallest of theirs, and together so many times that.
    Raises ResourceError (`resource.out_of_memory`) where not even one image fits, and
    (`resource.unknown`) where the system does not tell how much memory there is.
    """
    largest = 1 << (max(1, min(LARGEST, len(dataset))).bit_length() - 1)
    side = max(pixels for _, pixels in recipe.sizes)
    if recipe.size_jitter:
        side = int(side * (1 + recipe.size_jitter) / 32 + 0.5) * 32
    alone = dataclasses.replace(recipe, batch=1)
    with processes.alone(), trial(detector, dataset, alone) as stepper:
        # what is made once (libraries, moments of the optimizer) is no cost of an image
        _step(stepper, dataset, 1, min(64, side))
        room = room_for(stepper)
        watch = _CudaPeak(stepper.device) if stepper.device.type == "cuda" else _Peak()
        costs: dict[int, int] = {}
        for count in PROBES:
            if count > largest or (costs and predicted(costs, count) > room):
                break
            _step(stepper, dataset, count, side)
            costs[count] = watch.read()
    batch = largest_batch(costs, room, largest)
    each = predicted(costs, batch)
    if processes.joined():  # as many in each as fit where there is least room
        batch = round(-processes.most([-batch])[0]) * processes.world_size()
    say(
        f"batch {batch}: a step takes about {size_text(each)} of {size_text(room)} "
        f"({SHARE:.0%} of what is available) at {side}×{side} pixels"
    )
    return dataclasses.replace(recipe, batch=batch)


def largest_batch(costs: dict[int, int], room: int, largest: int) -> int:
    """The largest power of two up to `largest` whose predicted cost fits into `room` bytes."""
    if predicted(costs, 1) > room:
        raise ResourceError(
            f"a step on one image takes {size_text(predicted(costs, 1))}, "
            f"and {size_text(room)} are there",
            code="resource.out_of_memory",
            hint="train at a smaller --size",
        )
    batch = 1
    while 2 * batch <= largest and predicted(costs, 2 * batch) <= room:
        batch *= 2
    return batch


def predicted(costs: dict[int, int], count: int) -> int:
    """Bytes of a step on `count` images, on the steepest line through what was measured."""
    if count in costs:
        return costs[count]
    counts = sorted(costs)
    base = costs[counts[-1]]
    pairs = list(itertools.pairwise(counts))
    slopes = [(costs[b] - costs[a]) / (b - a) for a, b in pairs] or [float(base)]
    return base + round(max(0.0, *slopes, base / counts[-1] / 4) * (count - counts[-1]))


def room_for(stepper: Stepper) -> int:
    """The bytes that a step may take: `SHARE` of what is available."""
    if stepper.device.type == "cuda":
        free = torch.cuda.mem_get_info(stepper.device)[0]
    else:
        found = memory.available()
        if found is None or memory.used() is None:
            raise ResourceError(
                "this system does not tell how much memory there is",
                code="resource.unknown",
                hint="give --batch a number",
            )
        free = found // processes.local()[1]
    return int(SHARE * free)


def _step(stepper: Stepper, dataset: Dataset, count: int, side: int) -> None:
    """One step on the first `count` images of the run's order."""
    recipe = stepper.recipe
    loader = Loader(dataset, recipe.augmentation, count, recipe.seed, cache_bytes=0)
    stepper.step(*loader.batch(0, side), 0.0)
    # what is freed and kept would hide what the next step takes; holes too small for it would not
    memory.give_back()


class _Peak:
    """The most that this process took beyond what it had at first, by the system's own count.

    Where freed memory cannot be given back it hides what a later step takes: so the count always
    starts from what there was before the first, and batches grow.
    """

    def __init__(self) -> None:
        memory.reset_peak()
        self.before = memory.used() or 0

    def read(self) -> int:
        """Bytes so far."""
        return max(0, (memory.peak() or 0) - self.before)


class _CudaPeak:
    """The same of a GPU, by PyTorch's own count."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        torch.cuda.reset_peak_memory_stats(device)
        self.before = torch.cuda.memory_allocated(device)

    def read(self) -> int:
        """Bytes so far."""
        most: int = torch.cuda.max_memory_allocated(self.device)
        return most - self.before


def recorded(out: Path) -> int | None:
    """The batch of the run in `out`, for one that is resumed; None where none is recorded."""

    def read() -> bytes:
        with suppress(UsageError, ValueError, KeyError, TypeError):
            return b"%d" % record.read(out)["recipe"]["batch"]
        return b""

    told = processes.from_first(read)
    return int(told) if told else None
