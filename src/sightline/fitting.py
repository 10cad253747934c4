"""What a detector learns from where gradients are not all: labelled images, and a desk to work at.

Beside `loss`, which one training loop follows, a detector may have

- `fit(samples, desk)`: learn in place by the paper's own method, such as support vector machines.
  What is learnt lies in the module's state. With a `loss` too, the loop comes first.
- `prime(samples, desk)`: look at the data before the first step of a loop. A run that goes on
  calls it again, then puts back what it had measured the first time.

Both call `desk.pause` between images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sightline.types import Targets


class Paused(Exception):
    """The run was asked to stop: what lies in the desk's folder is taken up when it goes on."""


@runtime_checkable
class Samples(Protocol):
    """Labelled images, each read when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Targets]:
        """Image `index`, upright RGB (3, H, W) uint8 at its own size, and what is in its pixels."""
        ...


@dataclass(frozen=True)
class Desk:
    """What `fit` and `prime` may use beside the samples.

    `folder` is where work lies that need not be done twice, such as features (None: nothing is
    kept). `say` gets a line for a person now and then. `pause` raises `Paused` when the run is
    asked to stop. `spent` is the share of the time budget that is over, 0 where there is none.
    """

    folder: Path | None = None
    seed: int = 0
    say: Callable[[str], None] = lambda line: None
    pause: Callable[[], None] = lambda: None
    spent: Callable[[], float] = lambda: 0.0


def has_loss(detector: Any) -> bool:
    """Whether a detector learns by steps."""
    return hasattr(detector, "loss")


def has_fit(detector: Any) -> bool:
    """Whether a detector learns by a method of its own."""
    return hasattr(detector, "fit")


def device_of(module: nn.Module) -> torch.device:
    """Where a module's numbers lie; the CPU where it has none."""
    for value in (*module.parameters(), *module.buffers()):
        return value.device
    return torch.device("cpu")


def clock(budget: float | None, elapsed: Callable[[], float]) -> Callable[[], float]:
    """A desk's `spent`: the share of `budget` seconds that has elapsed."""
    if budget is None or not math.isfinite(budget):
        return lambda: 0.0
    return lambda: min(1.0, elapsed() / budget)
