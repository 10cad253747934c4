"""Is the run still healthy: losses and gradients that are not finite, and a loss that climbs.

A step whose loss or gradient is not finite is not taken, so it costs nothing but itself; many in a
row end the run. A loss that climbs stays finite and is harder to tell from a noisy one. The rule:

    The run has diverged when the mean of the last 50 losses, less four of its standard errors, is
    above four times the lowest such mean plus four of its own, and above half-way from there
    to where the run began; or when it is above 100 times the first loss.

Four standard errors keep a healthy run from being stopped for its noise, whatever that looks like;
"half-way" keeps one that has learnt nearly all from being stopped for a batch that is hard.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sightline.train.course import Progress

WINDOW = 50
"""So many losses are averaged; a climb is noticed after about as many steps."""

CLIMB, ERRORS, FAR = 4.0, 4.0, 100.0
"""How far above the best is far, in how many standard errors, and how far above the first."""

SHORT = 10
"""So many losses tell whether the present state is fit to be saved."""


def climbs(at: Progress, loss: float, first: float | None) -> bool:
    """Take in the loss of a step that was taken; whether the run has diverged by the rule above.

    What has to be remembered stands in `at`, so that a resumed run is judged by all of it.
    """
    at.recent = [*at.recent[-WINDOW + 1 :], loss]
    if len(at.recent) < WINDOW:
        return False
    low, high = _ends(at.recent)
    at.opening = high if at.opening is None else at.opening
    at.lowest = high if at.lowest is None else min(at.lowest, high)
    return low > _bound(at, first)


def is_suspect(at: Progress, first: float | None) -> bool:
    """Whether the mean of the last ten losses alone is above the bound: too few to end a run,
    enough to wait with writing over a checkpoint.
    """
    return sum(at.recent[-SHORT:]) > SHORT * _bound(at, first)


def began(at: Progress) -> int:
    """The step at which the present climb began: from there on every loss was above the best."""
    floor = math.inf if at.lowest is None else at.lowest
    above = 0
    for loss in reversed(at.recent):
        if loss <= floor:
            break
        above += 1
    return at.step - above + 1


def _ends(losses: Sequence[float]) -> tuple[float, float]:
    """The mean of the losses, less and plus `ERRORS` of its standard errors."""
    mean = sum(losses) / len(losses)
    variance = sum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)
    error = math.sqrt(variance / len(losses))
    return mean - ERRORS * error, mean + ERRORS * error


def _bound(at: Progress, first: float | None) -> float:
    bound = FAR * max(1.0, abs(first or 0.0))
    if at.lowest is None or at.opening is None:
        return bound
    return min(bound, max(CLIMB * at.lowest, (at.lowest + at.opening) / 2))


def not_finite(detector: nn.Module) -> list[str]:
    """The layers with a gradient that is not finite, in the detector's order, each once."""
    names = [
        name.rpartition(".")[0] or name
        for name, parameter in detector.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    ]
    return list(dict.fromkeys(names))


def is_finite(model: nn.Module) -> bool:
    """Whether every weight and every running statistic is a finite number."""
    values = [v for v in model.state_dict().values() if v.is_floating_point()]
    return all(bool(value.isfinite().all()) for value in values)


class Statistics:
    """The running statistics of batch norms that learn, to be put back after a step not taken.

    A forward pass changes them, and numbers that are not finite spoil them for good.
    """

    def __init__(self, detector: nn.Module) -> None:
        norms = [m for m in detector.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        learning = [m for m in norms if m.training and m.track_running_stats]
        self._live: list[Tensor] = [b for m in learning for b in m.buffers(recurse=False)]
        self._kept = [buffer.clone() for buffer in self._live]

    @torch.no_grad()
    def keep(self) -> None:
        """Remember them as they are."""
        if self._live:
            torch._foreach_copy_(self._kept, self._live)

    @torch.no_grad()
    def restore(self) -> None:
        """Put back what was remembered."""
        if self._live:
            torch._foreach_copy_(self._live, self._kept)
