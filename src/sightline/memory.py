"""Memory of this process: how much there is, how much is used, and how to keep what is freed.

A network asks for the same megabytes at every step. glibc hands every large block back to the
kernel and gets it again page by page, zeroed; on a CPU that costs as much as the arithmetic of a
small network. The command line calls `keep_freed_memory` for its own process; a library call never
changes its host.
"""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

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


def give_back() -> None:
    """Return what is freed to the kernel once, so that what is taken next can be seen to be."""
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError):  # no glibc
            ctypes.CDLL(None).malloc_trim(0)


def available() -> int | None:
    """Bytes that this process may still take: of the machine, its control groups and its limit.

    The least of MemAvailable, what each control group above this process has left (files that it
    only caches are not counted), and what RLIMIT_AS leaves. None where the system does not tell.
    """
    found = [*_machine(), *_groups(), *_limit()]
    return max(0, min(found)) if found else None


def _machine() -> list[int]:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return []
    return [1024 * int(x.split()[1]) for x in text.splitlines() if x.startswith("MemAvailable:")]


def _groups(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """What the control groups of this process have left, of both versions, innermost first."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            base, limit, usage = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        parts = [part for part in place.split("/") if part]
        for depth in range(len(parts), -1, -1):
            folder = base.joinpath(*parts[:depth])
            with suppress(OSError, ValueError):  # "max" is no number, and no limit
                free = int((folder / limit).read_text()) - int((folder / usage).read_text())
                left.append(free + _cached(folder))
    return left


def _cached(folder: Path) -> int:
    """Bytes of files that a control group would give back at once."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, value = line.split()
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0


def _limit() -> list[int]:
    try:
        import resource
    except ImportError:
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return []
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return [limit - pages * resource.getpagesize()]
    return []


def used() -> int | None:
    """Bytes of memory that this process holds now; None where the system does not tell."""
    return _status("VmRSS:")


def peak() -> int | None:
    """The most bytes it has held since it began, or since `reset_peak`."""
    return _status("VmHWM:")


def reset_peak() -> bool:
    """Count the peak from now on; False where the system does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(name: str) -> int | None:
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return 1024 * int(line.split()[1])
    return None
