"""How long the threads of a network look out for more work before they sleep.

GNU's OpenMP, which torch's builds for Linux bring, lets them turn for some five milliseconds.
Kernels that follow a network's layer have threads of their own, which meanwhile must share the
processors with those. A few tenths of a millisecond are longer than the pauses between layers, and
lose nothing. The command line says so for its own process; a library call never changes its host.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BRIEF = {"GOMP_SPINCOUNT": "10000"}
"""What the environment must hold before torch is loaded."""


def chosen() -> bool:
    """Whether somebody said already how long threads wait."""
    return "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ


@contextmanager
def brief() -> Iterator[None]:
    """Let them look out briefly, where torch is still to be loaded and nobody chose otherwise.

    The environment is as it was afterwards; processes that are begun in between have it so too.
    """
    if "torch" in sys.modules or chosen():
        yield
        return
    os.environ.update(BRIEF)
    try:
        yield
    finally:
        for name in BRIEF:
            os.environ.pop(name, None)
