"""How much memory each verb of a detector holds at once, counted tensor by tensor.

The process's own size tells little of it: an allocator keeps what was freed for later. So every
tensor that an operation makes is counted while it lives, on whatever device. Weights are not among
them, nor what a single operation takes for itself and gives back before it ends.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        given: set[int] | None = None
        for tensor in _tensors(answer):
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known:
                if given is None:
                    given = {one.untyped_storage()._cdata for one in _tensors(args)}
                if storage._cdata not in given:  # a view of a weight is no memory
                    self._count(storage)
        return answer

    def _count(self, storage: UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _tensors(held: Any) -> Iterator[Tensor]:
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, tuple | list):
        for part in held:
            yield from _tensors(part)


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
