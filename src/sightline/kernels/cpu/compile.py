"""How kernels are compiled: once, kept on disk where that is possible, without the GIL."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core import event

from sightline import progress

P = ParamSpec("P")
T = TypeVar("T")

NONE: Any = np.int64(0)
"""Where a kernel's counting begins: functions that get a plain 0 are compiled for it alone, and
once more for what it becomes.
"""

LONG = "compiling for this processor: once, and up to half a minute"


class _Compiling(event.Listener):
    """Tells that the first answer takes longer than others will; what lies on the disk is no
    compiling.
    """

    def on_start(self, found: Any) -> None:
        progress.notice(LONG)

    def on_end(self, found: Any) -> None:
        pass


event.register("numba:compile", _Compiling())


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """`function` in machine code, compiled when first called.

    Plain IEEE arithmetic (no fastmath), so that a kernel gives the same bits as its definition.
    Where no folder can be written (a read-only installation without a home) it is compiled anew
    in each process.
    """
    return _compiled(function, False)


def compiled_fused(function: Callable[P, T]) -> Callable[P, T]:
    """As `compiled`, but a · b + c is rounded once where the processor can."""
    return _compiled(function, {"contract"})


def compiled_loosely(function: Callable[P, T]) -> Callable[P, T]:
    """As `compiled`, for what no definition holds to its bits: sums in any order, fused."""
    return _compiled(function, True)


def _compiled(function: Callable[P, T], freely: bool | set[str]) -> Callable[P, T]:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": freely}
    try:
        kept = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        kept = numba.njit(**options)(function)
    return cast(Callable[P, T], kept)
