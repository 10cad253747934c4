"""One trainer a folder: a lock file with the process and the machine that hold it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sightline import processes
from sightline.errors import ResourceError
from sightline.files import flocked, refuse

NAME = "train.lock"
SETTLING = 10.0
"""Seconds after which a lock that names nobody is taken for one that was never filled in."""

_HELD: set[int] = set()


def _born(pid: int) -> str | None:
    """When a process of this machine began (clock ticks since boot); None where unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _alive(pid: int, born: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # The number may have been given to another process since.
    return born is None or _born(pid) in (None, born)


def _holder(path: Path) -> dict[str, Any]:
    """Who wrote the lock; {} where that cannot be told."""
    try:
        holder = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _stale(path: Path, sure: bool) -> bool:
    """Whether the lock was left by a process that is gone.

    `sure` says that the system vouches for this machine's processes: none of them holds it. A lock
    without a holder was left by a kill just after it was made.
    """
    holder = _holder(path)
    if not holder:
        try:
            return sure or time.time() - path.stat().st_mtime > SETTLING
        except OSError:
            return False
    if holder.get("host") != socket.gethostname():
        return _restarted(holder)
    try:
        return sure or not _alive(int(holder["pid"]), holder["born"])
    except (ValueError, KeyError, TypeError):
        return False


def _restarted(holder: dict[str, Any]) -> bool:
    """Whether torchrun stopped the holder, a process of this run on another machine, and began
    the run anew: it does so only once all processes of the attempt before are gone.
    """
    run = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    try:
        return run != "none" and holder["run"] == run and holder["attempt"] < processes.restarts()
    except (KeyError, TypeError):
        return False


def _refuse(path: Path) -> NoReturn:
    holder = _holder(path)
    raise ResourceError(
        f"process {holder.get('pid')} on {holder.get('host')} already trains in this folder",
        code="resource.locked",
        path=path,
        hint="wait for it, choose another --out, or delete the file if it is gone",
    )


def _sign(handle: int) -> None:
    me = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "born": _born(os.getpid()),
        "run": os.environ.get("TORCHELASTIC_RUN_ID"),
        "attempt": processes.restarts(),
    }
    os.ftruncate(handle, 0)
    os.write(handle, (json.dumps(me) + "\n").encode())
    os.fsync(handle)


def _take(path: Path) -> int:
    """The open, signed lock file that nobody else holds."""
    while True:
        fresh = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | (os.O_EXCL if fresh else 0), 0o666)
        try:
            sure = flocked(handle)
            # the holder before may have removed the file after we opened it
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                if not fresh and not _stale(path, sure):
                    _refuse(path)
                _sign(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _forget() -> None:
    """In a forked child: a worker that outlives its parent must not go on holding the folder."""
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; ResourceError (`resource.locked`) if another one does.

    The system's own lock (flock) decides where there is one; elsewhere whether the process that
    the file names is alive.
    """
    path, owner = folder / NAME, os.getpid()
    try:
        handle = _take(path)
    except (BlockingIOError, FileExistsError):
        _refuse(path)
    except OSError as error:
        refuse(error, path)
    _HELD.add(handle)
    try:
        yield
    finally:
        if os.getpid() == owner:
            if os.name != "nt":  # while it is held: nobody else's file is removed
                path.unlink(missing_ok=True)
            _HELD.discard(handle)
            os.close(handle)
            if os.name == "nt":  # which removes no open file
                path.unlink(missing_ok=True)
