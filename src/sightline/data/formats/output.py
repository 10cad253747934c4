"""The folder that a conversion writes: there at once and whole, or not at all.

Everything is written into a hidden folder and renamed at the end. `MARK`, a small file in the
folder, lists what was written: only a folder that holds exactly that, unchanged, is ever replaced.
The hidden folder has a file that its process keeps locked: where the system has given the lock
back, the process is gone, and the next conversion into the same place clears up behind it.
"""

import json
import os
import secrets
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightline.data.reading import read_json
from sightline.errors import AnnotationError, DatasetError, SightlineWarning
from sightline.files import TEMPORARY, flocked, make_folder, refuse, write_text

MARK = ".sightline-convert.json"

OWNER, NEW, OLD = "owner", "new", "old"
"""In the hidden folder: the locked file, which names the folder that is to be written; what is
written; and what it replaces, for the moment between two renames."""

Stamp = tuple[int, int]
"""A file's size in bytes and the time it was changed, nanoseconds."""


def check_output(out: Path, sources: Iterable[Path], overwrite: bool) -> None:
    """Refuse a folder that may not be written: DatasetError, before anything is.

    `convert.not_empty` where there is something and `overwrite` is not said; `convert.source` where
    one of the `sources` (folders or files that are read) lies in it; `convert.foreign` where
    anything in it was not written by an earlier conversion, or was changed since. What a
    conversion into it that was killed has left goes first.
    """
    _clear(out)
    if not os.path.lexists(out) or _is_empty(out):
        return
    if not overwrite:
        raise DatasetError(
            "there is something already",
            code="convert.not_empty",
            path=out,
            hint="name a new or an empty folder; --overwrite replaces an earlier conversion",
        )
    home = out.resolve()
    for source in sources:
        if source.resolve().is_relative_to(home):
            raise DatasetError(
                f"it holds what is to be converted ({source.name})",
                code="convert.source",
                path=out,
                hint="name another folder",
            )
    _check_ours(out)


def _is_empty(folder: Path) -> bool:
    """Whether it is a folder with nothing in it; ResourceError where that cannot be seen."""
    try:
        return folder.is_dir() and not any(folder.iterdir())
    except OSError as error:
        refuse(error, folder)


def _check_ours(out: Path) -> None:
    """DatasetError unless all in `out` is as an earlier conversion left it."""
    if out.is_symlink() or not out.is_dir():
        raise _foreign(out, "it is no folder")
    if not (out / MARK).is_file():
        raise _foreign(out, f"there is no {MARK}")
    known, found = _marked(out), _stamps(out)
    more = sorted(found.keys() - known.keys())
    if more:
        raise _foreign(out, f"{more[0]!r} was not written by it ({len(more)} such)")
    changed = sorted(name for name, stamp in found.items() if known[name] != stamp)
    if changed:
        raise _foreign(out, f"{changed[0]!r} was changed since ({len(changed)} such)")


def _foreign(out: Path, what: str) -> DatasetError:
    return DatasetError(
        f"only an earlier conversion is overwritten: {what}",
        code="convert.foreign",
        path=out,
        hint="name a new folder, or move yourself what is there",
    )


def _marked(out: Path) -> dict[str, Stamp]:
    """What the mark of a folder lists."""
    try:
        files = read_json(out / MARK)["files"]
        return {str(name): (int(size), int(time)) for name, (size, time) in files.items()}
    except AnnotationError as error:
        raise _foreign(out, f"{MARK} cannot be read") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _foreign(out, f"{MARK} is none of ours") from error


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Every file below a folder but the mark; links, and folders without files, count as files."""

    def stop(error: OSError) -> None:
        refuse(error, folder)

    found: dict[str, Stamp] = {}
    for place, folders, files in os.walk(folder, onerror=stop):
        here = Path(place)
        names = [*files, *(name for name in folders if (here / name).is_symlink())]
        if not names and not folders and here != folder:
            names = ["."]
        for name in names:
            path = here / name
            status = path.lstat()
            key = path.relative_to(folder).as_posix()
            link = path.is_symlink()
            found[key] = (-1, -1) if link else (status.st_size, status.st_mtime_ns)
    found.pop(MARK, None)
    return found


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder to write into, which takes the place of `out` when the block ends well.

    It stands beside `out`, or inside where `out` is an empty folder (a mounted disk cannot be
    replaced). When the block raises, it goes, and what was at `out` stays. ResourceError where the
    disk refuses.
    """
    empty = _is_empty(out)
    home = out if empty else make_folder(out.absolute().parent)
    place = home / f".tmp-{secrets.token_hex(8)}"
    folder = place / NEW
    try:
        place.mkdir()
        with _owned(place, out):
            folder.mkdir()
            yield folder
            text = json.dumps({"files": _stamps(folder)}, ensure_ascii=False)
            write_text(folder / MARK, text + "\n")
            if empty:
                for path in sorted(folder.iterdir()):
                    path.rename(out / path.name)
            else:
                _swap(folder, out, place / OLD)
    except OSError as error:
        refuse(error, out)
    finally:
        _discard(place)


@contextmanager
def _owned(place: Path, out: Path) -> Iterator[None]:
    """Hold the lock of a hidden folder, in which a file says what it is for."""
    handle = os.open(place / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if flocked(handle):  # without a lock nobody could tell that we are gone: it stays unnamed
            os.write(handle, _name(out))
        yield
    finally:
        os.close(handle)


def _name(out: Path) -> bytes:
    return os.fsencode(out.absolute().name) + b"\n"


def _discard(place: Path) -> None:
    """Remove a hidden folder of ours; what could not be removed of an old conversion stays."""
    shutil.rmtree(place / NEW, ignore_errors=True)
    with suppress(OSError):
        (place / OWNER).unlink()
    with suppress(OSError):
        place.rmdir()


def _clear(out: Path) -> None:
    """Remove what conversions into `out` that were killed have left beside it, or in it; of one
    that was killed between its two renames, what was there before comes back.
    """
    for home in (out.absolute().parent, out):
        with suppress(OSError):
            for place in list(home.iterdir()):
                if TEMPORARY.fullmatch(place.name) and place.is_dir() and not place.is_symlink():
                    with suppress(OSError):
                        _clear_up(place, out)


def _clear_up(place: Path, out: Path) -> None:
    """Remove a hidden folder that is for `out` and whose process is gone; OSError where not."""
    handle = os.open(place / OWNER, os.O_RDWR)
    try:
        if flocked(handle) and os.read(handle, 4096) == _name(out):
            if (place / OLD).is_dir() and not (place / OLD).is_symlink():
                if os.path.lexists(out):
                    _remove(place / OLD)
                else:
                    (place / OLD).rename(out)
            _discard(place)
    finally:
        os.close(handle)


def _swap(folder: Path, out: Path, aside: Path) -> None:
    """Put `folder` in the place of `out`; then what an earlier conversion wrote there goes."""
    if not out.exists():
        folder.rename(out)
        return
    _check_ours(out)  # once more: the conversion may have taken an hour
    out.rename(aside)
    try:
        folder.rename(out)
    except OSError:
        aside.rename(out)
        raise
    _remove(aside)


def _remove(folder: Path) -> None:
    """Remove the files that the mark lists, and the folders that are empty then, nothing else."""
    inside = _stamps(folder)  # a mark may say anything: ../.. too
    for name in [*(name for name in _marked(folder) if name in inside), MARK]:
        with suppress(OSError):
            (folder / name).unlink()
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(place).rmdir()
    if folder.exists():
        warnings.warn(
            f"not everything of the old folder could be removed: {folder}",
            SightlineWarning,
            stacklevel=2,
        )
