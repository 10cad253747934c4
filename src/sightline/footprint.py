"""How much memory each verb of a detector holds at once, counted tensor by tensor.

The process's own size tells little of it: an allocator keeps what was freed for later. So every
tensor that an operation makes is counted while it lives, on whatever device. Weights are not among
them, nor what a single operation takes for itself and gives back before it ends.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, UntypedStorage
from torch.overrides import TorchFunctionMode

from sightline import pipeline
from sightline.pipeline import Detector, Image

__all__ = ["footprint"]


class _Meter(TorchFunctionMode):
    """Bytes of the tensors that are alive, of those made since it was entered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        fresh = {k: s for k, s in _storages(answer).items() if k not in self._known}
        if fresh:
            for key in fresh.keys() - _storages(args).keys():  # a view of a weight is no memory
                self._count(key, fresh[key])
        return answer

    def _count(self, key: int, storage: UntypedStorage) -> None:
        size = storage.nbytes()
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _storages(held: Any) -> dict[int, UntypedStorage]:
    """The memory that tensors lie in, however they are nested, by what tells it apart."""
    if isinstance(held, Tensor):
        storage = held.untyped_storage()
        return {storage._cdata: storage}
    if isinstance(held, tuple | list):
        return {key: one for part in held for key, one in _storages(part).items()}
    return {}


class _Watched:
    """A detector whose verbs are followed; it does not know."""

    def __init__(self, detector: Detector, meter: _Meter) -> None:
        self.detector, self.meter = detector, meter
        self.held: dict[str, int] = {}

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self.detector, verb)

        def followed(*given: Any) -> Any:
            self.meter.most = self.meter.now
            answer = method(*given)
            self.held[verb] = self.meter.most
            return answer

        return followed


def footprint(detector: Detector, images: Sequence[Image]) -> dict[str, int]:
    """The most bytes that tensors took at once during each verb, for a batch of images of one size:
    what the verbs before it passed on, and what it made itself.
    """
    with _Meter() as meter:
        watched = _Watched(detector, meter)
        pipeline.run(cast(Detector, watched), images)
    return watched.held
