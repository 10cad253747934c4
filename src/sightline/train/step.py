"""One training step: forward, backward, clip, step, average."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from sightline import processes
from sightline.errors import ResourceError
from sightline.fitting import device_of
from sightline.train import optimizers
from sightline.train.ema import Average
from sightline.train.guard import Statistics, not_finite
from sightline.train.precision import computing, in_bf16, widen_narrow_maps
from sightline.train.recipes import Recipe
from sightline.types import Batch, Frame, Targets

Teacher = Callable[[Tensor], Any]
"""Uint8 pixels of a batch to what a loss takes as `teacher`."""

EXPLODED = 1e4
"""A loss so many times the first one counts as one that left the finite numbers."""


class Stepper:
    """A detector in training, with its optimizer and the average of its weights."""

    def __init__(self, detector: Any, recipe: Recipe, teacher: Teacher | None = None) -> None:
        self.detector, self.recipe, self.teacher = detector, recipe, teacher
        if recipe.channels_last:
            detector.to(memory_format=torch.channels_last)
        detector.train()
        self.device = device_of(detector)
        # of itself torch takes the slow way on a CPU; on a rare device it knows no other
        self._foreach = True if self.device.type in ("cpu", "cuda") else None
        self.optimizer = optimizers.build(detector, recipe)
        self.average = Average(detector, recipe.ema)
        if self.device.type == "cpu" and in_bf16(recipe, self.device):
            widen_narrow_maps(detector)
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.first: float | None = None
        self.layers: tuple[str, ...] = ()
        self.parts: tuple[str, ...] = ()
        self._statistics = Statistics(detector)
        self._sums: Tensor | None = None
        self._names: tuple[str, ...] = ()
        self._count = 0

    def step(
        self, pixels: UInt8[Tensor, "B 3 H W"], targets: list[Targets], rate: float
    ) -> tuple[bool, float]:
        """Learn from one batch at learning rate `rate`: (whether it was taken, the loss).

        Nothing is learnt where the loss or a gradient is not finite, or where the loss is 10,000
        times the first one: `parts` are then the losses that are not finite, `layers` those with
        such a gradient. Raises ResourceError (`resource.out_of_memory`).
        """
        self._statistics.keep()
        try:
            losses = self._losses(pixels, targets)
            total = torch.stack(list(losses.values())).sum()
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            if processes.joined():
                losses = self._shared(losses)
                total = torch.stack(list(losses.values())).sum()
            gradients = [p.grad for p in self._parameters if p.grad is not None]
            norm = nn.utils.get_total_norm(gradients, foreach=self._foreach)
        except (RuntimeError, MemoryError) as error:
            _check_memory(error, pixels)
            raise
        loss, length = torch.stack([total.detach(), norm]).tolist()
        if self.first is None and math.isfinite(loss):
            self.first = loss
        bound = EXPLODED * max(1.0, abs(self.first or 0.0))
        self.parts, self.layers = (), ()
        if not (abs(loss) <= bound and length < float("inf")):
            self.parts = tuple(name for name, x in losses.items() if not bool(x.isfinite()))
            # a loss that is not finite spoils every gradient, which then tells nothing
            self.layers = tuple(not_finite(self.detector)) if abs(loss) <= bound else ()
            self.forget()
            return False, loss
        # only now: clipping by a length of NaN would spoil the gradients that are sound
        clip = self.recipe.clip_norm or float("inf")
        nn.utils.clip_grads_with_norm_(self._parameters, clip, norm, foreach=self._foreach)
        optimizers.set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.average.update()
        self._note(losses)
        return True, loss

    def loss_of(self, pixels: UInt8[Tensor, "B 3 H W"], targets: list[Targets]) -> float:
        """The loss of a batch, its gradient left in the parameters; nothing is learnt."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.stack(list(self._losses(pixels, targets).values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return float(total.detach())

    def forget(self) -> None:
        """Drop the gradient, and what passes since the last step did to running statistics."""
        self.optimizer.zero_grad(set_to_none=True)
        self._statistics.restore()

    def _shared(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses of the whole batch, and its gradient left in the parameters of all processes.

        A parameter that some process did not use has no gradient there; one that none used keeps
        none, as it would alone.
        """
        shown = torch.stack([value.detach().float() for value in losses.values()])
        used = torch.tensor([float(p.grad is not None) for p in self._parameters])
        used = processes.total(used)
        for parameter, count in zip(self._parameters, used.tolist(), strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        processes.average([shown, *(p.grad for p in self._parameters if p.grad is not None)])
        return dict(zip(losses, shown.unbind(), strict=True))

    def _losses(self, pixels: Tensor, targets: list[Targets]) -> dict[str, Tensor]:
        recipe, size = self.recipe, (pixels.shape[2], pixels.shape[3])
        extra = {} if self.teacher is None else {"teacher": self.teacher(pixels).to(self.device)}
        pixels, targets = pixels.to(self.device), [t.to(self.device) for t in targets]
        if recipe.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        frames = tuple(Frame(size, size) for _ in range(len(pixels)))
        batch = Batch(self.detector.preparation.normalise(pixels), frames)
        with computing(recipe, self.device):
            losses: dict[str, Tensor] = self.detector.loss(batch, targets, **extra)
        return losses

    def _note(self, losses: dict[str, Tensor]) -> None:
        values = torch.stack([value.detach().float() for value in losses.values()])
        names = tuple(losses)
        if self._sums is None or names != self._names:
            self._sums, self._names, self._count = values, names, 1
        else:
            self._sums += values
            self._count += 1

    def report(self) -> dict[str, float]:
        """The mean loss and its parts since the last report."""
        if self._sums is None:
            return {}
        means = (self._sums / self._count).tolist()
        self._sums = None
        return {"loss": sum(means)} | {
            name if name.startswith("loss_") else f"loss_{name}": value
            for name, value in zip(self._names, means, strict=True)
        }


def _check_memory(error: Exception, pixels: Tensor) -> None:
    """Raise ResourceError if `error` means that memory ran out."""
    text = str(error).lower()
    if not isinstance(error, MemoryError) and not (
        "not enough memory" in text or "out of memory" in text or "can't allocate" in text
    ):
        return
    count, _, height, width = pixels.shape
    raise ResourceError(
        f"memory ran out on a batch of {count} images of {height}×{width} pixels",
        code="resource.out_of_memory",
        hint=f"try --batch {max(1, count // 2)}"
        if count > 1
        else f"try --size {max(32, height // 64 * 32)}",
    ) from error
