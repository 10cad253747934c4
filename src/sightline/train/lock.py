"""One trainer a folder: a lock file with the process and the machine that hold it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.errors import ResourceError
from sightline.files import refuse

NAME = "train.lock"


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


def _stale(path: Path) -> bool:
    """Whether the lock was left by a process of this machine that is gone."""
    try:
        holder = json.loads(path.read_text())
        if holder["host"] != socket.gethostname():
            return False
        return not _alive(int(holder["pid"]), holder["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; ResourceError (`resource.locked`) if another one does."""
    path = folder / NAME
    me = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid())}
    if path.exists() and _stale(path):
        path.unlink(missing_ok=True)
    try:
        with path.open("x") as file:
            file.write(json.dumps(me) + "\n")
    except FileExistsError:
        with suppress(OSError):
            me = json.loads(path.read_text() or "{}")
        raise ResourceError(
            f"process {me.get('pid')} on {me.get('host')} already trains in this folder",
            code="resource.locked",
            path=path,
            hint="wait for it, choose another --out, or delete the file if it is gone",
        ) from None
    except OSError as error:
        refuse(error, path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
