"""The exponential moving average of a network's weights: what is evaluated, saved and used."""

import copy

import torch
from torch import Tensor, nn

from sightline.train.schedule import ema_decay


class Average:
    """A copy of `model` whose weights follow a moving average of it (Polyak & Juditsky 1992).

    average ← average + (1 − decay) · (weights − average), with the decay of `ema_decay`; running
    statistics of batch norms are averaged too, counters are copied. `decay=0` follows exactly.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        pairs = zip(self.model.state_dict().values(), model.state_dict().values(), strict=True)
        self._floats: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._others: list[tuple[Tensor, Tensor]] = []
        for mine, theirs in pairs:
            if mine.is_floating_point():
                self._floats[0].append(mine)
                self._floats[1].append(theirs)
            else:
                self._others.append((mine, theirs))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        decay = ema_decay(self.decay, self.updates)
        torch._foreach_lerp_(self._floats[0], self._floats[1], 1 - decay)
        for mine, theirs in self._others:
            mine.copy_(theirs)
        self.updates += 1
