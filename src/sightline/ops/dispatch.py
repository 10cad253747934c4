"""The one decorator that joins a definition with its kernels.

    @kernel
    def nms(boxes, scores, threshold): ...      # the definition, readable in a minute

`nms(…)` runs `sightline.kernels.cpu.nms.nms` when its first tensor lies on the CPU and
`sightline.kernels.cuda.nms.nms` on a GPU, where that file exists; else the definition itself.
`nms.reference(…)` is always the definition, so tests and benchmarks name what they run.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numpy
import torch

P = ParamSpec("P")
T = TypeVar("T")


def _device(arguments: tuple[Any, ...]) -> str:
    for value in arguments:
        if isinstance(value, torch.Tensor):
            return "cuda" if value.is_cuda else "cpu"
        if isinstance(value, numpy.ndarray):
            return "cpu"
    return "cpu"


class Kernel(Generic[P, T]):
    """A definition, and by the same name its kernels, found on first use."""

    def __init__(self, reference: Callable[P, T]) -> None:
        self.reference = reference
        self._found: dict[str, Callable[P, T]] = {}
        functools.update_wrapper(self, reference)

    def _find(self, device: str) -> Callable[P, T]:
        home = self.reference.__module__.rsplit(".", 1)[-1]
        module = f"sightline.kernels.{device}.{home}"
        try:
            if importlib.util.find_spec(module) is None:
                return self.reference
        except ModuleNotFoundError:  # no kernels for that device at all
            return self.reference
        twin = getattr(importlib.import_module(module), self.reference.__name__, None)
        return self.reference if twin is None else cast(Callable[P, T], twin)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the kernel of the first array's device, or the definition where there is none."""
        device = _device(args)
        if device not in self._found:
            self._found[device] = self._find(device)
        return self._found[device](*args, **kwargs)


def kernel(reference: Callable[P, T]) -> Kernel[P, T]:
    """Join `reference` with its kernels."""
    return Kernel(reference)
