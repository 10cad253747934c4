"""The cache of published weights: downloaded once, resumed, checked, by one process at a time.

Nothing here runs unless a user names published weights. Files keep their official names; the hex
digits after the last "-" are the beginning of their SHA-256, and every file is held against them
each time it is used, whoever put it there.
"""

import contextlib
import hashlib
import http
import http.client
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol

from sightline import files, progress
from sightline.errors import ResourceError, WeightsError

BASE = "https://download.pytorch.org/models/"
"""Where torchvision publishes its weights."""

_ATTEMPTS = 4
_CHUNK = 1 << 20
_TIMEOUT = 30.0
_GONE = (404, 410)


class Response(Protocol):
    """What an opener gives: an HTTP answer that is read in pieces."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """Content-Length, Content-Range."""
        ...

    def read(self, size: int, /) -> bytes:
        """The next bytes; b"" at the end."""
        ...


Opener = Callable[[str, Mapping[str, str]], contextlib.AbstractContextManager[Response]]
"""`opener(url, headers)`: how a URL is asked for; tests bring their own."""


class HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and refuses all others."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to follow; WeightsError weights.offline where it would leave https."""
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_https(url: str, headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Response]:
    """The ordinary opener: urllib, certificates checked, https only, at most 30 s of silence."""
    _check_https(url)
    request = urllib.request.Request(url, headers={"User-Agent": "sightline", **headers})
    answer: contextlib.AbstractContextManager[Response] = urllib.request.build_opener(
        HttpsOnly
    ).open(request, timeout=_TIMEOUT)
    return answer


def cache_folder() -> Path:
    """`SIGHTLINE_CACHE`, else ~/.cache/sightline; ResourceError where there is no home."""
    named = os.environ.get("SIGHTLINE_CACHE")
    if named:
        return Path(named)
    try:
        return Path.home() / ".cache" / "sightline"
    except RuntimeError as error:
        raise ResourceError(
            "there is no home folder for the cache",
            code="resource.permission",
            hint="set SIGHTLINE_CACHE to a folder that you may write to",
        ) from error


def fetch(
    file: str, base: str = BASE, cache: Path | None = None, opener: Opener = open_https
) -> Path:
    """The path of `file` in the cache, downloaded from `base` if it is not there, and checked.

    An interrupted download goes on where it stopped; a second process waits for the first. Raises
    WeightsError: weights.offline (no connection; the hint says where to put the file),
    .not_found (the server has none), .truncated (the connection broke again and again),
    .checksum; ResourceError: disk full, no permission.
    """
    folder = cache_folder() if cache is None else cache
    goal = folder / file
    if not goal.exists():
        files.make_folder(folder)
        with _locked(folder / f".{file}.lock"):
            if not goal.exists():  # else another process was faster
                part = folder / f"{file}.part"
                _download(base + file, part, goal, opener)
                _publish(part, goal)
                return goal
    _check_sum(goal, goal)
    return goal


def _check_https(url: str) -> None:
    if not url.lower().startswith("https://"):
        raise WeightsError(
            f"weights are downloaded over https only, not from {url}", code="weights.offline"
        )


def _check_sum(path: Path, goal: Path) -> None:
    match = re.search(r"-([0-9a-f]{8,64})\.\w+$", goal.name)
    if match is None:
        raise ValueError(f"{goal.name} does not carry its SHA-256")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while data := stream.read(_CHUNK):
                digest.update(data)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise WeightsError(message, code="weights.not_found", path=path) from error
    if not digest.hexdigest().startswith(match[1]):
        raise WeightsError(
            f"its SHA-256 begins with {digest.hexdigest()[: len(match[1])]}, not with {match[1]}",
            code="weights.checksum",
            path=goal,
            hint="delete the file and download it again",
        )


def _publish(part: Path, goal: Path) -> None:
    try:
        _check_sum(part, goal)
    except WeightsError:
        part.unlink(missing_ok=True)  # to resume it would never mend it
        raise
    try:
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(goal)
    except OSError as error:
        files.refuse(error, goal)


def _download(url: str, part: Path, goal: Path, opener: Opener) -> None:
    """Fill `part` until it is as long as the server says; each attempt goes on from the last."""
    reason = ""
    for _ in range(_ATTEMPTS):
        done = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={done}-"} if done else {}
        try:
            with opener(url, headers) as response:
                total = _receive(response, part, done)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if error.headers.get("Content-Range", "") == f"bytes */{done}":
                    return  # nothing was left to send
                part.unlink()
                continue
            raise WeightsError(
                f"{url} answers {error.code} {error.reason}",
                code="weights.not_found" if error.code in _GONE else "weights.offline",
                path=goal,
                hint=_advice(url, goal),
            ) from error
        except _BrokenError as error:
            reason = str(error)
            continue
        except (OSError, http.client.HTTPException) as error:  # no route, time-out, certificate
            reason = str(getattr(error, "reason", error))
            break
        if total is None or part.stat().st_size >= total:
            return
        reason = f"{part.stat().st_size:,} of {total:,} bytes came"
    if part.exists() and part.stat().st_size:
        raise WeightsError(
            f"the download broke off: {reason}",
            code="weights.truncated",
            path=part,
            hint=f"run it again: it goes on from there; or {_advice(url, goal)}",
        )
    raise WeightsError(
        f"cannot reach {url}: {reason}", code="weights.offline", path=goal, hint=_advice(url, goal)
    )


def _advice(url: str, goal: Path) -> str:
    return f"use the weights that come with the package, or put the file of {url} at {goal}"


class _BrokenError(Exception):
    """The connection ended early; what came is kept."""


def _receive(response: Response, part: Path, done: int) -> int | None:
    """Append the answer to `part`; the whole file's size where the server tells it."""
    resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
    first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if resumed and (first is None or int(first[1]) != done):
        part.unlink()
        raise _BrokenError("the server sent another part than it was asked for")
    start = done if resumed else 0
    length = response.headers.get("Content-Length") or ""
    total = start + int(length) if length.isdigit() else None
    if total is not None and shutil.disk_usage(part.parent).free < total - start:
        raise ResourceError(
            f"{total - start:,} bytes do not fit on the disk",
            code="resource.disk_full",
            path=part.parent,
            hint="free some space, or set SIGHTLINE_CACHE to a folder on another disk",
        )
    try:
        stream = part.open("ab" if resumed else "wb")
    except OSError as error:
        files.refuse(error, part)
    with stream, progress.bar(total, part.stem, start) as bar:
        while data := _next(response):
            try:
                stream.write(data)
            except OSError as error:
                files.refuse(error, part)
            bar.advance(len(data))
    return total


def _next(response: Response) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; wait for whoever holds it. It is freed when a process dies."""
    try:
        stream = path.open("ab")
    except OSError as error:
        files.refuse(error, path)
    with stream:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
