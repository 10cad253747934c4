"""Which images are meant: files, folders, patterns and standard input, in a fixed order."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.errors import ImageError, ResourceError, SightlineError
from sightline.files import natural
from sightline.video.formats import is_live, is_video

KINDS = "jpg jpeg jpe jfif mpo png apng webp gif bmp dib tif tiff avif heic heif jxl"
SUFFIXES = frozenset(f".{kind}" for kind in KINDS.split())
"""What counts as an image inside a folder; a file that is named itself is always read."""

MAX_FILES = 1_000_000
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Source:
    """One image to be read, or the error that stands in its place.

    `key` is its name in every result: the path below the folder that was given ("b/1.jpg"), or
    the path as given. Keys of one run differ, also where case is ignored. `data` are the bytes of
    an image from standard input. `video` says that it is no image but a video: a file, an animated
    image, a series of images, a camera or an address; `place` then is what to open.
    """

    key: str
    path: Path | None = None
    data: bytes | None = None
    error: SightlineError | None = None
    video: bool = False
    place: str = ""


def expand(
    given: Sequence[str | Path], limit: int = MAX_FILES, *, series: bool = False
) -> list[Source]:
    """Every image that `given` means, in the order given and in natural order within each.

    A folder means the images below it, hidden ones left out, every folder entered once, so that
    circular links end. A pattern (*, ?, [], **) means what it matches. "-" means standard input.
    What cannot be found becomes a `Source` with its error, so that the others are still read.
    Files that are named, or that a pattern matches, may be videos; in folders only images count,
    and of those that move the first frame. With `series` each folder and pattern is one video.
    Raises ResourceError if there are more than `limit` images.
    """
    sources: list[Source] = []
    for item in given:
        for source in _one(os.fspath(item), len(given) == 1, series):
            sources.append(source)
            if len(sources) > limit:
                raise ResourceError(
                    f"more than {limit:,} images",
                    code="resource.too_many_files",
                    path=item,
                    hint="give smaller folders, one run each",
                )
    return _distinct(sources)


def printable(text: str) -> str:
    """`text` with bytes that are no UTF-8 and control characters escaped."""
    plain = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def _one(item: str, alone: bool, series: bool) -> Iterator[Source]:
    pattern = not os.path.lexists(item) and any(mark in item for mark in "*?[%")
    if item == "-":
        yield _standard_input()
    elif is_live(item):
        yield Source(printable(item), video=True, place=item)
    elif series and (Path(item).is_dir() or pattern):
        yield Source(printable(item.rstrip("/") or item), video=True, place=item)
    elif Path(item).is_dir():
        yield from _folder(Path(item), item if not alone else None)
    elif not os.path.lexists(item) and any(mark in item for mark in "*?["):
        yield from _pattern(item)
    else:
        yield _file(Path(item), item)


def _file(path: Path, key: str) -> Source:
    if re.match(r"[a-z]+://", key):
        return _missing(
            key, "addresses are not fetched", "save the image first, then give its path"
        )
    if not os.path.lexists(path):
        return _missing(key, "no such file", "check the path")
    return Source(printable(key), path, video=is_video(path), place=str(path))


def _missing(key: str, message: str, hint: str) -> Source:
    name = printable(key)
    error = ImageError(message, code="image.not_found", path=name, hint=hint)
    return Source(name, error=error)


def _pattern(item: str) -> Iterator[Source]:
    matches = sorted(glob.glob(item, recursive=True), key=natural)  # noqa: PTH207 (absolute too)
    if not matches:
        yield _missing(item, "nothing matches this pattern", "check the path")
    recursive = "**" in item  # then the files of sub-folders are among the matches already
    for match in matches:
        if not Path(match).is_dir():
            yield _file(Path(match), match)
        elif not recursive:
            yield from _folder(Path(match), match)


def _folder(folder: Path, prefix: str | None) -> Iterator[Source]:
    """Images below `folder`; keys begin with `prefix` where several sources were given."""
    count = 0
    for path in _walk(folder):
        count += 1
        if isinstance(path, Source):
            yield path
        else:
            inside = path.relative_to(folder)
            yield Source(printable((Path(prefix or "") / inside).as_posix()), path)
    if count == 0:
        kinds = "files with other endings than .jpg, .png, … are read if you name them"
        yield _missing(str(folder), "no images in this folder", kinds)


def _walk(folder: Path) -> Iterator[Path | Source]:
    """Images below `folder`, a folder's own files before its sub-folders."""
    stack, entered = [folder], set()
    while stack:
        current = stack.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: natural(entry.name))
        except OSError as error:
            name = printable(str(current))
            message = f"the folder cannot be read: {error.strerror}"
            yield Source(
                name, error=ImageError(message, code="image.not_found", path=name, hint=None)
            )
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = current / entry.name
            if _is_folder(entry):
                below.append(path)
            elif path.suffix.lower() in SUFFIXES:
                yield path
        stack.extend(reversed(below))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _standard_input() -> Source:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    name = "stdin"
    if len(data) > MAX_BYTES:
        message = f"more than {MAX_BYTES // 2**20} MiB on standard input"
        return Source(name, error=ImageError(message, code="image.too_large_bytes", path=name))
    return Source(name, data=data)


def _distinct(sources: list[Source]) -> list[Source]:
    """The same sources; where two keys would be one name on some file system, numbered."""
    taken: set[str] = set()
    result = []
    for source in sources:
        key, number = source.key, 2
        while key.casefold() in taken:
            stem, dot, suffix = source.key.rpartition(".")
            key = f"{stem} ({number}){dot}{suffix}" if stem else f"{source.key} ({number})"
            number += 1
        taken.add(key.casefold())
        result.append(replace(source, key=key))
    return result
