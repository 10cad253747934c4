"""Label files that hold several splits, read once while these are opened one after the other."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from sightline.errors import AnnotationError

T = TypeVar("T")

_kept: ContextVar[dict[Hashable, Any] | None] = ContextVar("_kept", default=None)


@contextmanager
def kept() -> Iterator[None]:
    """While this lasts each label file is read once, however many splits are opened; files must not
    change meanwhile. In another such block nothing changes: the outer one keeps.
    """
    if _kept.get() is not None:
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def once(key: Hashable, read: Callable[[], T]) -> T:
    """What `read` gives or the AnnotationError that it raises; known from before where a block of
    `kept` lasts and the same `key` was read in it.
    """
    known = _kept.get()
    if known is None:
        return read()
    if key not in known:
        try:
            known[key] = read()
        except AnnotationError as error:
            known[key] = error
    found: T | AnnotationError = known[key]
    if isinstance(found, AnnotationError):
        raise found
    return found
