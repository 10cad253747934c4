"""The disk as an enemy: every call that touches it can be the one at which all ends.

Counted are writes (torn in the middle), fsyncs, renames and removals, in the order in which they
happen.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Fault = Callable[[str], None]


class _Torn:
    """An open file whose writes put half of the data down before the fault strikes."""

    def __init__(self, stream: Any, fault: Fault) -> None:
        self._stream, self._fault = stream, fault

    def write(self, data: Any) -> int:
        half = len(data) // 2
        self._stream.write(data[:half])
        self._stream.flush()
        self._fault("write")
        self._stream.write(data[half:])
        return len(data)

    def __enter__(self) -> "_Torn":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def watched(fault: Fault) -> Iterator[None]:
    """Call `fault(kind)` before every fsync, rename and removal, and within every write."""
    opened = Path.open

    def before(kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            fault(kind)
            return real(*args, **kwargs)

        return call

    def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = opened(self, mode, *args, **kwargs)
        return stream if set(mode) <= set("rbt") else _Torn(stream, fault)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace", "unlink"):
            patch.setattr(os, name, before(name, getattr(os, name)))
        patch.setattr(Path, "open", opening)
        yield


def killed(action: Callable[[], None], point: int) -> bool:
    """Run `action` in a child that dies at its `point`-th call; whether it came to its end."""
    child = os.fork()
    if child == 0:
        calls = 0

        def fault(_: str) -> None:
            nonlocal calls
            calls += 1
            if calls == point:
                os._exit(9)

        status = 70
        try:
            with watched(fault):
                action()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), f"the child failed: {status}"
    return status == 0


@contextmanager
def full_at(point: int) -> Iterator[list[str]]:
    """The disk is full from the `point`-th write or fsync on; gives the list of their kinds."""
    seen: list[str] = []

    def fault(kind: str) -> None:
        if kind in ("write", "fsync"):
            seen.append(kind)
            if len(seen) >= point:
                raise OSError(errno.ENOSPC, "No space left on device")

    with watched(fault):
        yield seen
