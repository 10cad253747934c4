"""A device that is not the CPU, on a machine that has no other.

Inside `far_away()` tensors of the device `FAR` are kept in ordinary memory and computed by the CPU,
but they say that they lie elsewhere, and as on a GPU nothing reads them without carrying them over
and no operation mixes them with the CPU's. Whatever would fail on a GPU for lying in the wrong
place fails here as well.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

FAR = torch.device("meta")
"""The one kind of device for which torch takes gradients without hardware and without a driver."""

CARRY = {"aten._to_copy.default", "aten.copy_.default"}
"""What may take tensors of both places."""

INDEX = {"aten.index.Tensor", "aten.index_put_.default", "aten._index_put_impl_.default"}
"""What may take the CPU's tensors as indices."""

FUSED = "_get_fused_kernels_supported_devices"
"""By what torch's optimizers ask where they have a step of one piece."""


class _Far(torch.Tensor):
    """A tensor that lies in `near` and says that it lies far away."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> "_Far":
        made: _Far = torch.Tensor._make_wrapper_subclass(
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            layout=near.layout,
            device=FAR,
        )
        made.near = near
        return made

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.Tensor.tolist:  # torch does not ask a subclass for its numbers
            return args[0].near.tolist()
        if func is torch.Tensor.new_tensor and isinstance(args[0], _Far):
            return torch.tensor(args[1], dtype=(kwargs or {}).get("dtype", args[0].dtype)).to(FAR)
        if func in (torch.Tensor.numpy, torch.Tensor.__array__):
            raise TypeError("a tensor far away has no array here")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"far {self.near!r}"


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Lists(TorchFunctionMode):
    """Lists of numbers go to `FAR` by the CPU; torch itself would make them without numbers."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def _tensors(held: Any) -> Iterator[torch.Tensor]:
    """All of them in what an operation is given: torch's own walks take longer than the work."""
    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, tuple | list):
        for part in held:
            yield from _tensors(part)


def _changed(held: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(held, torch.Tensor):
        return change(held)
    if isinstance(held, tuple | list):
        return type(held)([_changed(part, change) for part in held])
    return held


def _near(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.near if isinstance(tensor, _Far) else tensor


def _away(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if isinstance(tensor, _Far) else _Far(tensor)


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name, tensors = str(func), [*_tensors(args), *_tensors(tuple(kwargs.values()))]
    far = any(isinstance(t, _Far) for t in tensors)
    if far and name not in CARRY:
        held = [*_tensors(args[0])] if name in INDEX else tensors
        if any(not isinstance(t, _Far) and t.dim() > 0 for t in held):
            raise RuntimeError(f"{name}: a tensor of the CPU among tensors far away")
    device = kwargs.get("device")
    if device is not None:
        far = torch.device(device).type == FAR.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if name == "aten.copy_.default":
        far = isinstance(args[0], _Far)
    given = {key: _changed(value, _near) for key, value in kwargs.items()}
    answer = func(*_changed(args, _near), **given)
    return _changed(answer, _away) if far else answer


def _enter(self: Any) -> None:
    self.plain = torch.no_grad() if self.mode else torch.enable_grad()
    self.plain.__enter__()


def _exit(self: Any, *error: object) -> None:
    self.plain.__exit__(*error)


@contextmanager
def far_away() -> Iterator[None]:
    """Within this block the device `FAR` computes. Inference mode, which tensors of one's own kind
    do not bear, is no more than taking no gradients.
    """
    with pytest.MonkeyPatch.context() as patch, _Lists(), _Mode():
        # torch.optim takes the names of its modules away
        patch.setattr(sys.modules["torch.optim.optimizer"], FUSED, lambda: ["cpu", FAR.type])
        patch.setattr(torch.inference_mode, "__enter__", _enter)
        patch.setattr(torch.inference_mode, "__exit__", _exit)
        yield
