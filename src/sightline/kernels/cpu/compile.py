"""How kernels are compiled: once, kept on disk where that is possible, without the GIL."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """`function` in machine code, compiled when first called.

    Plain IEEE arithmetic (no fastmath), so that a kernel gives the same bits as its definition.
    Where no folder can be written (a read-only installation without a home) it is compiled anew
    in each process.
    """
    try:
        kept = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        kept = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Callable[P, T], kept)
