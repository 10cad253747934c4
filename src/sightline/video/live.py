"""Cameras and streams: connected again when they fall silent, and never a frame shown twice."""

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sightline.errors import SightlineError, VideoError
from sightline.video.channel import Channel
from sightline.video.formats import Input
from sightline.video.reading import (
    Gap,
    Limits,
    Report,
    VideoFrame,
    Wanted,
    job_limits,
    note,
    upright,
)

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to connect again; the last for all that follow."""

GRACE = 2.0
"""Seconds that the decoder gets to say itself that nothing comes."""


class Live(Iterator[VideoFrame]):
    """Frames as they come, timed by when they came, the first at 0.

    A connection that ends, or is silent for too long, is made anew; the time without frames is
    noted as a gap. With `latest` a thread takes all frames, and the newest is given.
    Raises VideoError: what the first connection says, later `video.stream_lost`.
    """

    def __init__(
        self, given: Input, wanted: Wanted, limits: Limits, report: Report, *, latest: bool
    ) -> None:
        self.given, self.wanted, self.limits, self.report = given, wanted, limits, report
        self._ended = threading.Event()
        self._channel, messages = self._connect()
        self.info: dict[str, Any] = {}
        try:
            self.info, _ = next(messages)
        except BaseException:
            self._channel.close()
            raise
        self._frames = self._wanted(messages)
        self._newest = _Newest(self._frames, report) if latest else None

    def _connect(self) -> tuple[Channel, Iterator[tuple[dict[str, Any], Any]]]:
        job = {**asdict(Wanted()), "limits": job_limits(self.limits, live=True)}
        channel = Channel(self.given, job, self.limits.patience(live=True) + GRACE)
        return channel, iter(channel)

    def __next__(self) -> VideoFrame:
        return next(self._frames if self._newest is None else self._newest)

    def close(self) -> None:
        """Let go of the source."""
        self._ended.set()
        self._channel.close()
        if self._newest is not None:
            self._newest.join()

    def _wanted(self, messages: Iterator[tuple[dict[str, Any], Any]]) -> Iterator[VideoFrame]:
        """The frames of all connections, one after the other, that are wanted."""
        index, came, first, tries = -1, time.monotonic(), None, 0
        while True:
            lost: VideoError | None = None
            try:
                for head, pixels in messages:
                    now = time.monotonic()
                    if head["kind"] == "end":
                        self.report.corrupt_frames += head["corrupt"]
                    if head["kind"] != "frame":
                        continue
                    if tries:
                        self.report.gaps.append(Gap(index, now - came))
                    first = now if first is None else first
                    index, came, tries = index + 1, now, 0
                    note(head, self.report)
                    if self.wanted.after(now - first):
                        return
                    if self.wanted.has(index, now - first):
                        yield VideoFrame(index, now - first, upright(head, pixels))
            except VideoError as error:
                lost = error
            finally:
                self._channel.close()
            if self._ended.is_set():
                return
            tries += 1
            if tries > self.limits.retries:
                raise self._lost(tries - 1) from lost
            if self._ended.wait(PAUSES[min(tries, len(PAUSES)) - 1]):
                return
            self._channel, messages = self._connect()

    def _lost(self, tries: int) -> VideoError:
        return VideoError(
            f"the source is gone, and did not come back in {tries} tries",
            code="video.stream_lost",
            path=self.given.name,
            hint="check its power and network, then start again",
        )


class _Newest(Iterator[VideoFrame]):
    """The newest of what another thread takes; each frame is given once."""

    def __init__(self, source: Iterator[VideoFrame], report: Report) -> None:
        self._report = report
        self._changed = threading.Condition()
        self._frame: VideoFrame | None = None
        self._end: BaseException | None = None
        self._thread = threading.Thread(target=self._take, args=(source,), daemon=True)
        self._thread.start()

    def _take(self, source: Iterator[VideoFrame]) -> None:
        end: BaseException = StopIteration()
        try:
            for frame in source:
                with self._changed:
                    self._report.dropped += self._frame is not None
                    self._frame = frame
                    self._changed.notify()
        except (SightlineError, OSError, ValueError) as error:
            end = error
        with self._changed:
            self._end = end
            self._changed.notify()

    def __next__(self) -> VideoFrame:
        with self._changed:
            while self._frame is None and self._end is None:
                self._changed.wait()
            if self._frame is not None:
                frame, self._frame = self._frame, None
                return frame
            assert self._end is not None
            raise self._end

    def join(self) -> None:
        """Wait for the thread, whose source was closed."""
        self._thread.join(5.0)
