"""Keep freed memory in the process: a network asks for the same megabytes at every step.

glibc hands every large block back to the kernel and gets it again page by page, zeroed; on a CPU
that costs as much as the arithmetic of a small network. The command line calls this for its own
process; a library call never changes its host.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # from glibc's malloc.h
_PAD = 64 << 20


def keep_freed_memory() -> bool:
    """Tell glibc not to return memory until the process ends; False where there is no glibc.

    The peak of memory in use does not change, only when it is given back.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    wanted = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _PAD))
    return all(mallopt(key, value) == 1 for key, value in wanted)
