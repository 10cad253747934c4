"""The bytes of a path or of a binary file, without ever waiting for a pipe or a device."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sightline.errors import ImageError
from sightline.images.limits import Limits

FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe that nobody writes to must not block
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


def from_path(path: str | os.PathLike[str], limits: Limits, head: int | None = None) -> bytes:
    """All bytes of a regular file, or the first `head` of them.

    A file that grows meanwhile is read to the size that it had when opened; one that shrinks gives
    fewer bytes. Raises ImageError: image.not_found, .not_a_file, .permission, .unreadable, or
    .too_large_bytes before anything is read.
    """
    try:
        handle = os.open(path, FLAGS)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _cannot_open(error, os.fspath(path)) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("this is no regular file", code="image.not_a_file", hint=_kind(status))
        limits.check_bytes(status.st_size)
        wanted = status.st_size if head is None else min(head, status.st_size)
        return _gather(lambda count: os.read(handle, count), wanted)
    finally:
        os.close(handle)


def from_file(file: BinaryIO, limits: Limits, head: int | None = None) -> bytes:
    """All bytes of an open binary file from where it stands, or the first `head` of them.

    Raises ImageError: image.unreadable, .too_large_bytes, or .unsupported for a file opened as
    text.
    """
    data = _gather(file.read, limits.max_bytes + 1 if head is None else head)
    limits.check_bytes(len(data))
    return data


def _gather(read: Callable[[int], bytes], wanted: int) -> bytes:
    """`wanted` bytes, or as many as there are, of a `read` that may give fewer at a time."""
    pieces: list[bytes] = []
    while wanted > 0:
        try:
            piece = read(wanted)
        except (OSError, ValueError) as error:  # ValueError: the file was closed
            raise ImageError(
                f"the file cannot be read: {error}", code="image.unreadable"
            ) from error
        if isinstance(piece, str):
            raise ImageError(
                "the file was opened as text", code="image.unsupported", hint="open it with 'rb'"
            )
        if not piece:
            break
        pieces.append(bytes(piece))
        wanted -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _kind(status: os.stat_result) -> str:
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return f"it is {names.get(stat.S_IFMT(status.st_mode), 'something else')}"


def _cannot_open(error: OSError | ValueError, name: str) -> ImageError:
    number = error.errno if isinstance(error, OSError) else errno.ENOENT
    if number in (errno.EACCES, errno.EPERM):
        return ImageError("you may not read this file", code="image.permission")
    if number in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
        return ImageError("this is no regular file", code="image.not_a_file")
    if number not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL):
        return ImageError(f"the file cannot be opened: {error}", code="image.unreadable")
    hint = None
    if name.startswith(("http:", "https:", "data:")):
        hint = "nothing is fetched or unpacked here: pass the bytes, or the path of a file"
    elif not Path(name).is_absolute():
        hint = "a relative path is taken from the current folder"
    return ImageError("there is no such file", code="image.not_found", hint=hint)
