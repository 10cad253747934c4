"""The reader's end of a decoding process: started, listened to with patience, ended."""

import importlib.util
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sightline.errors import ResourceError, UsageError, VideoError
from sightline.video.formats import Input

COMMAND = (sys.executable, "-P", "-m", "sightline.video.worker")
"""-P: a file called av.py in the current folder is not what is meant."""

PIPE = 1 << 20
START = 20.0
"""Seconds that a process gets to be there at all, on a busy machine."""

MAX_HEAD = 1 << 20


def require_pyav() -> None:
    """UsageError (`usage.extra_missing`) where PyAV is not installed."""
    if importlib.util.find_spec("av") is None:
        raise UsageError(
            "videos are read by PyAV, which is not installed",
            code="usage.extra_missing",
            hint="pip install 'sightline[video]'",
        )


class Channel:
    """Messages of one decoding process: `with Channel(job) as channel: for head, rows in channel`.

    Raises VideoError: what the process says, `video.timeout` when it says nothing for so long,
    `video.unopenable` when it died.
    """

    def __init__(self, given: Input, job: dict[str, Any], timeout: float) -> None:
        require_pyav()
        self.given, self.timeout = given, timeout
        paths = [os.path.abspath(path or ".") for path in sys.path]  # noqa: PTH100 (text)
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._handle = self._process.stdout.fileno()
        with suppress(ImportError, OSError, AttributeError):
            import fcntl

            fcntl.fcntl(self._handle, fcntl.F_SETPIPE_SZ, PIPE)
        with suppress(BrokenPipeError):  # what happened is told where it is listened to
            self._process.stdin.write(json.dumps({**job, "input": asdict(given)}).encode() + b"\n")
            self._process.stdin.close()

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __iter__(self) -> Iterator[tuple[dict[str, Any], UInt8[np.ndarray, "bytes"]]]:
        """(head, pixels) of each message, up to the end, which is given too."""
        patience = START + self.timeout
        while True:
            (size,) = struct.unpack("<I", self._read(4, patience).tobytes())
            if size > MAX_HEAD:
                raise self._died()
            head = json.loads(self._read(size, self.timeout).tobytes())
            patience = self.timeout
            if head["kind"] == "error":
                kind = ResourceError if head["code"].startswith("resource.") else VideoError
                hint = head.get("hint")
                raise kind(head["message"], code=head["code"], path=self.given.name, hint=hint)
            yield head, self._read(head["bytes"], self.timeout)
            if head["kind"] == "end":
                return

    def _read(self, count: int, timeout: float) -> UInt8[np.ndarray, "bytes"]:
        """`count` bytes, which all must come within `timeout` seconds."""
        answer = np.empty(count, np.uint8)
        place, deadline = memoryview(answer.data), time.monotonic() + timeout
        while place.nbytes:
            left = deadline - time.monotonic()
            if left <= 0 or not _ready(self._handle, left):
                raise VideoError(
                    f"nothing came for {timeout:g} seconds",
                    code="video.timeout",
                    path=self.given.name,
                    hint="the decoder hangs, or the source is silent: Limits(timeout=…)",
                )
            got = os.readv(self._handle, [place])
            if got == 0:
                raise self._died()
            place = place[got:]
        return answer

    def _died(self) -> VideoError:
        status = self._process.wait()
        return VideoError(
            f"the decoder ended by itself (status {status})",
            code="video.unopenable",
            path=self.given.name,
            hint="the file is damaged in a way that FFmpeg does not survive",
        )


def _ready(handle: int, seconds: float) -> bool:
    """Whether there is something to read within that time."""
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(1000 * seconds))
