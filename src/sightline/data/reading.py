"""Label files as data: capped, strictly decoded, and never able to lead out of their folder."""

import gc
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline import memory
from sightline.data.json_places import DIGITS, misplaced
from sightline.data.records import Fault
from sightline.errors import AnnotationError, DatasetError, ResourceError

JSON_LIMIT = 1 << 30
MEMORY = 8
"""Bytes of memory that reading a COCO file takes for each of its own: six to seven, measured."""

TEXT_LIMIT = 64 << 20
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")

NAME = "a file name is text, relative to the image folder"

_DRIVE = re.compile(r"^[A-Za-z]:")


def read_bytes(path: Path, limit: int = TEXT_LIMIT) -> bytes:
    """A file's bytes. AnnotationError: `file.not_found`, `file.unreadable`, `file.too_large`."""
    with readable(path):
        size = path.stat().st_size
        if size > limit:
            raise AnnotationError(
                f"{size:,} bytes are more than the {limit:,} allowed",
                code="file.too_large",
                path=path,
                hint="split the file",
            )
        return path.read_bytes()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Read a file in this block. AnnotationError: `file.not_found`, `file.unreadable`."""
    if not is_file(path):
        raise AnnotationError(
            "there is no such file",
            code="file.not_found",
            path=path,
            hint="was it moved, or its name misspelt?",
        )
    try:
        yield
    except (OSError, ValueError) as error:
        hint = "may you read it, and is the disk well?"
        raise AnnotationError(str(error), code="file.unreadable", path=path, hint=hint) from error


def no_text(path: Path, byte: int) -> AnnotationError:
    """The file is not UTF-8 from a byte on."""
    return AnnotationError(
        "the file is not UTF-8",
        code="file.encoding",
        path=path,
        pointer=f"byte {byte}",
        hint="save it as UTF-8",
    )


def read_text(path: Path, limit: int = TEXT_LIMIT) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    AnnotationError: those of `read_bytes`, and `file.encoding` with the place.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise no_text(path, error.start) from error


def parse_json(path: Path, limit: int = JSON_LIMIT) -> tuple[Any, tuple[Fault, ...]]:
    """The data of a JSON file, and what of it is no JSON though it could be read: every key that
    stands twice in one object (`json.twice`; the last counts), NaN and Infinity (`json.constant`),
    integers of thousands of digits (`json.number`; read as infinite), each with pointer and line.

    AnnotationError where it cannot be read: those of `read_text`, `json.syntax` with line and
    column, `json.depth`. ResourceError for more than the memory holds, before anything is read.
    """
    _check_room(path, limit)
    text = read_text(path, limit)
    try:
        data, odd = _loads(text)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            error.msg,
            code="json.syntax",
            path=path,
            pointer=f"line {error.lineno}:{error.colno}",
            hint="the file was cut short, or edited by hand: a JSON editor shows the place",
        ) from error
    except RecursionError as error:
        deep = [fault.pointer for fault in misplaced(text) if fault.code == "json.depth"]
        raise AnnotationError(
            "nested too deeply",
            code="json.depth",
            path=path,
            pointer=deep[0] if deep else None,
            hint="COCO's files are nested six deep: is it one?",
        ) from error
    found = misplaced(text) if odd else []
    return data, tuple(Fault(f.code, f.message, str(path), f.pointer, f.hint) for f in found)


def _check_room(path: Path, limit: int) -> None:
    """ResourceError `resource.out_of_memory` for a file whose labels the memory cannot hold."""
    free = memory.available()
    size = path.stat().st_size if is_file(path) else 0
    needed = MEMORY * size
    if size <= limit and free is not None and needed > free:
        raise ResourceError(
            f"its labels take about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free",
            code="resource.out_of_memory",
            path=path,
            hint="split the file, or read it on a larger machine",
        )


def _loads(text: str) -> tuple[Any, bool]:
    """The data of a JSON text, and whether it holds what is no JSON."""
    odd = False

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal odd
        answer = dict(pairs)
        odd = odd or len(answer) < len(pairs)
        return answer

    def constant(name: str) -> float:
        nonlocal odd
        odd = True
        return float(name)

    collecting = gc.isenabled()
    gc.disable()  # it would go over all that was read again and again: half of the time
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant), odd
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses integers of more than 4,300 digits
        reader = json.JSONDecoder(
            object_pairs_hook=unique, parse_constant=constant, parse_int=_integer
        )
        return reader.decode(text), True
    finally:
        if collecting:
            gc.enable()


def _integer(text: str) -> int | float:
    if len(text.lstrip("-")) <= DIGITS:
        return int(text)
    return -math.inf if text[0] == "-" else math.inf


def read_json(path: Path, limit: int = JSON_LIMIT) -> Any:
    """The data of a JSON file of at most `limit` bytes; AnnotationError for all that `parse_json`
    raises or tells.
    """
    data, faults = parse_json(path, limit)
    if faults:
        error = faults[0].error()
        error.faults = faults
        raise error
    return data


def contained(root: Path, name: object) -> Path:
    """The path that a label file's `name` means under `root`.

    AnnotationError `file.outside` for names that lead out of it: absolute, with a drive, with "..",
    with a NUL, through a symbolic link. Backslashes are taken for slashes.
    """
    if not isinstance(name, str) or not name:
        raise AnnotationError(f"{str(name)[:80]!r} is no file name", code="file.name", hint=NAME)
    clean = name.replace("\\", "/")
    parts = clean.split("/")
    if clean.startswith("/") or _DRIVE.match(clean) or "\0" in clean or ".." in parts:
        raise _outside(name)
    try:
        path = root / clean
        if len(parts) == 1 and not path.is_symlink():
            return path  # the common case, and a hundred times faster than resolving
        home = os.path.realpath(root)
        if not os.path.realpath(path).startswith(home.rstrip(os.sep) + os.sep):
            raise _outside(name)
    except (OSError, ValueError) as error:
        raise AnnotationError(
            f"{name[:80]!r} is no file name", code="file.name", hint=NAME
        ) from error
    return path


def _outside(name: str) -> AnnotationError:
    return AnnotationError(
        f"the file name {name[:80]!r} leads out of the data set's folder",
        code="file.outside",
        hint="file names are relative to the image folder",
    )


def is_file(path: Path) -> bool:
    """Whether there is such a file; no name that a label file can hold raises anything."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; no name that a label file can hold raises anything."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_image_name(path: Path) -> bool:
    """Whether a file's ending is that of an image, and it is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def list_folder(folder: Path) -> list[Path]:
    """The files of a folder in the order of their names; none where there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except NotADirectoryError:
        return []
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AnnotationError(str(error), code="file.unreadable", path=folder) from error


def with_image_suffix(stem: Path) -> list[Path]:
    """The image files that are called `stem` plus an image's ending."""
    names: Iterable[str] = (stem.name + end for s in IMAGE_SUFFIXES for end in (s, s.upper()))
    found = {path.resolve(): path for name in names if is_file(path := stem.with_name(name))}
    return list(found.values())


ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


def refuse_packed(*files: Path) -> None:
    """Raise DatasetError `dataset.archive` if one of the files is an archive.

    Archives are not unpacked here: their names may lead out of the folder, their contents be a
    million times their size, and the user's own tool has the better questions.
    """
    for path in files:
        if path.suffix.lower() in ARCHIVES:
            raise DatasetError(
                "the data set is packed",
                code="dataset.archive",
                path=path,
                hint="unpack it first, and name the folder that comes out",
            )


def lines_of(text: str) -> list[str]:
    """The lines of a text, numbered as editors do it: only line feeds and returns end one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
