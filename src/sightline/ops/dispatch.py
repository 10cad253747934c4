"""The one decorator that joins a definition with its kernels.

    @kernel
    def nms(boxes, scores, threshold): ...      # the definition, readable in a minute

`nms(…)` runs `sightline.kernels.cpu.nms.nms` when its first tensor lies on the CPU and
`sightline.kernels.cuda.nms.nms` on a GPU, where that file exists; else, on any other device too,
the definition itself. A definition that is a loop over single numbers would take seconds there:
`@carried_kernel` takes its tensors to the CPU's kernel instead, and the answer back.
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
            return "cpu" if value.is_cpu else value.device.type
        if isinstance(value, numpy.ndarray):
            return "cpu"
    return "cpu"


def _carry(value: Any, device: torch.device | str) -> Any:
    """The same arguments or answer, with every tensor on `device`."""
    if type(value) in (tuple, list):
        return type(value)(_carry(one, device) for one in value)
    return value.to(device) if hasattr(value, "to") else value


class Kernel(Generic[P, T]):
    """A definition, and by the same name its kernels, found on first use."""

    def __init__(self, reference: Callable[P, T], carried: bool = False) -> None:
        self.reference, self.carried = reference, carried
        self._found: dict[str, Callable[P, T]] = {}
        functools.update_wrapper(self, reference)

    def _find(self, device: str) -> Callable[P, T]:
        twin = self._twin(device)
        if twin is not None:
            return twin
        here = self._twin("cpu") if self.carried else None
        return self.reference if here is None else self._carrying(here)

    def _carrying(self, twin: Callable[P, T]) -> Callable[P, T]:
        """The CPU's kernel for tensors of another device."""

        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            device = next(value.device for value in args if isinstance(value, torch.Tensor))
            answer = twin(*_carry(args, "cpu"), **{k: _carry(v, "cpu") for k, v in kwargs.items()})
            return cast(T, _carry(answer, device))

        return run

    def _twin(self, device: str) -> Callable[P, T] | None:
        own = self.reference.__module__.rsplit(".", 1)[-1]
        module = f"sightline.kernels.{device}.{own}"
        try:
            if importlib.util.find_spec(module) is None:
                return None
        except ModuleNotFoundError:  # no kernels for that device at all
            return None
        try:
            home = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == "triton":  # some builds of torch have none
                return None
            raise
        found = getattr(home, self.reference.__name__, None)
        return cast("Callable[P, T] | None", found)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the kernel of the first array's device, or the definition where there is none."""
        device = _device(args)
        if device not in self._found:
            self._found[device] = self._find(device)
        return self._found[device](*args, **kwargs)


def kernel(reference: Callable[P, T]) -> Kernel[P, T]:
    """Join `reference` with its kernels."""
    return Kernel(reference)


def carried_kernel(reference: Callable[P, T]) -> Kernel[P, T]:
    """The same for a definition that only the CPU's kernel makes fast: a device without a kernel of
    its own lets the CPU compute. Gradients go the same way back. Nothing may be written in place.
    """
    return Kernel(reference, carried=True)
