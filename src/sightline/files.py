"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from sightline.errors import ResourceError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CODES = {
    errno.ENOSPC: ("resource.disk_full", "the disk is full", "free some space, then run again"),
    errno.EFBIG: (
        "resource.disk_full",
        "the file is larger than the system allows",
        "raise the limit (ulimit -f), or choose another disk",
    ),
    errno.EDQUOT: ("resource.disk_full", "the quota is used up", "free some space, then run again"),
    errno.EACCES: ("resource.permission", "no permission to write here", "choose another folder"),
    errno.EPERM: ("resource.permission", "no permission to write here", "choose another folder"),
    errno.EROFS: ("resource.permission", "the file system is read-only", "choose another folder"),
}

TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}(\..{0,31})?")
"""The names that `atomic_write` gives: what a killed process left of them can go."""


def refuse(error: OSError, path: str | Path) -> NoReturn:
    """Raise the ResourceError that an OSError met while writing `path` stands for."""
    fallback = ("resource.unwritable", error.strerror or str(error), "choose another place")
    code, message, hint = CODES.get(error.errno or 0, fallback)
    raise ResourceError(message, code=code, path=path, hint=hint) from error


def make_folder(path: str | Path) -> Path:
    """The folder at `path`, made with its parents where needed; ResourceError if it cannot be."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(error, folder)
    return folder


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well.

        with atomic_write("result.json") as temporary:
            temporary.write_text(text)

    The temporary file exists, empty, keeps the suffix of `path`, and is flushed to the disk before
    it is renamed. When the block raises, nothing is left behind and an older file at `path` stays
    as it was. Faults of the disk become ResourceError.
    """
    goal = Path(path)
    folder = make_folder(goal.parent)
    temporary = folder / f".tmp-{secrets.token_hex(8)}{goal.suffix[:32]}"
    try:
        # O_EXCL: the name is ours alone; 0o666: the mode is what the user's umask allows
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(goal)
    except OSError as error:
        refuse(error, goal)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def stage(path: Path, data: bytes) -> None:
    """Write bytes to `path` as far as the disk, to be renamed when all is there; OSError."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """See the names in `folder` as far as the disk; OSError.

    A rename outlives a power cut, and happens before the one after it, only when the folder is on
    the disk. Windows has no such call, and orders its renames itself.
    """
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flocked(handle: int) -> bool:
    """Take the system's lock on an open file; False where there is no such thing.

    The system gives it back when the process ends, however it ends. BlockingIOError if another
    process holds it.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some file systems of networks
        return False
    return True


def tidy(folder: Path, names: re.Pattern[str] = TEMPORARY) -> None:
    """Remove the files of `folder` whose whole name is one of `names`, and nothing else.

    For whoever holds the folder alone: it cannot tell a dead process's files from a living one's.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if names.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                with suppress(OSError):
                    path.unlink()


def natural(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key by which img2 comes before img10, and no two texts are equal."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts if p], text


def file_sum(path: str | Path | None) -> dict[str, str] | None:
    """A file's full path and SHA-256; None where it cannot be read, or for None."""
    if path is None:
        return None
    try:
        with Path(path).open("rb") as stream:
            total = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
    return {"path": str(Path(path).absolute()), "sha256": total}


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text atomically, with "\\n" line ends."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write bytes atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_json(path: str | Path, value: Any, indent: int | None = None) -> Path:
    """Write strict JSON atomically: NaN and infinity raise ValueError, they are never written."""
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")
