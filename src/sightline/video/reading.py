"""Frames of a video, one after the other, upright, as RGB tensors, with index and time."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import UsageError, VideoError
from sightline.video import series
from sightline.video.channel import Channel
from sightline.video.formats import Input, locate

Source = str | os.PathLike[str] | int
"""A file, a folder or pattern of images, a camera's number or device, an address."""

FILE_TIMEOUT, LIVE_TIMEOUT = 60.0, 10.0


@dataclass(frozen=True)
class VideoFrame:
    """One frame: its place in the video from 0, its time from the first frame on, its pixels.

    `index` counts every frame, also those that were not given, dropped or damaged.
    """

    index: int
    seconds: float
    image: UInt8[Tensor, "3 H W"]


@dataclass(frozen=True)
class Limits:
    """What is refused or given up: pixels a frame, seconds of silence, tries to connect again.

    `timeout` is 60 s for files and 10 s for what is live where it is None. UsageError for numbers
    that make no sense.
    """

    max_pixels: int = 50_000_000
    timeout: float | None = None
    retries: int = 5

    def __post_init__(self) -> None:
        if (
            self.max_pixels < 1
            or self.retries < 0
            or not (self.timeout is None or self.timeout > 0)
        ):
            raise UsageError(
                f"these limits make no sense: {asdict(self)}", code="usage.out_of_range"
            )

    def patience(self, live: bool) -> float:
        """Seconds to wait for the next frame."""
        return self.timeout or (LIVE_TIMEOUT if live else FILE_TIMEOUT)


@dataclass(frozen=True)
class Wanted:
    """Which frames: every so many, from a time on, up to a time, in seconds of the video."""

    every: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        backwards = self.end is not None and not self.end >= self.start
        if self.every < 1 or not self.start >= 0 or backwards:
            raise UsageError(
                f"every {self.every}, start {self.start}, end {self.end} give no frames",
                code="usage.out_of_range",
                hint="every is 1 or more, and 0 ≤ start ≤ end",
            )

    def has(self, index: int, seconds: float) -> bool:
        """Whether it is one of them."""
        return index % self.every == 0 and seconds >= self.start and not self.after(seconds)

    def after(self, seconds: float) -> bool:
        """Whether nothing is wanted from here on."""
        return self.end is not None and seconds > self.end


@dataclass(frozen=True)
class Gap:
    """A time without frames in what is live: after which frame, and how long."""

    after: int
    seconds: float


@dataclass
class Report:
    """What became of a video's frames; complete when the last one was given.

    `frames` were given, `corrupt_frames` could not be decoded and were skipped, `repaired_times`
    had time stamps that could not be, `dropped` were overtaken by newer ones (`live="latest"`).
    `truncated` says how much of a file is there where it is cut short. `interlaced`, `hdr`:
    frames are given as they are stored. `sizes` are all sizes (height, width) that frames had.
    """

    frames: int = 0
    corrupt_frames: int = 0
    repaired_times: int = 0
    dropped: int = 0
    truncated: str | None = None
    gaps: list[Gap] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    interlaced: bool = False
    hdr: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class Frames(Iterator[VideoFrame]):
    """The frames of one video: to be iterated once, best in a `with` block, which ends the decoder.

    `info` is what the file says of itself (format, codec, width, height, rate, frames, seconds,
    aspect; None where it does not say), `live` whether there is no end, `report` what became of it.
    """

    def __init__(
        self,
        given: Input | None,
        source: Iterator[VideoFrame],
        info: dict[str, Any],
        report: Report,
    ) -> None:
        self.live = given is not None and given.live
        self.info, self.report = info, report
        self._source = source

    def __iter__(self) -> "Frames":
        return self

    def __next__(self) -> VideoFrame:
        frame = next(self._source)
        size = (frame.image.shape[1], frame.image.shape[2])
        if size not in self.report.sizes:
            self.report.sizes.append(size)
        self.report.frames += 1
        return frame

    def close(self) -> None:
        """End the decoding process; nothing more is given."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> "Frames":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def frames(
    source: Source,
    *,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    live: Literal["block", "latest"] = "block",
    rate: float = 25.0,
    limits: Limits | None = None,
) -> Frames:
    """The frames of a video file or animated image, a series of images, a camera or a stream.

        for frame in frames("clip.mp4", every=5, start=10):
            frame.index, frame.seconds, frame.image

    A folder, or a pattern such as "shots/*.png", is a series in natural order, of `rate` images a
    second. A number or "/dev/video0" is a camera; rtsp://, rtsps:// and tcp:// (MPEG-TS) are
    streams. Only frames whose index is a multiple of `every`, of times from `start` to `end`
    (seconds, both included), are given. Of what is live, "latest" gives the newest frame and drops
    those that nobody had time for, while "block" lets them wait where they come from.

    Memory holds a frame or two, however long it is. Raises VideoError (codes video.not_found,
    .forbidden_format, .unopenable, .permission, .no_video_stream, .zero_frames, .corrupt_frames,
    .too_many_pixels, .timeout, .stream_lost), UsageError, and ResourceError.
    """
    from sightline.video import live as streams

    if live not in ("block", "latest"):
        raise UsageError(
            f"live is {live!r}", code="usage.live", hint="block or latest: what happens when late"
        )
    wanted, bounds, report = Wanted(every, start, end), limits or Limits(), Report()
    found = series.images(source)
    if found is not None:
        given = series.frames(found, rate, wanted, bounds.max_pixels, report)
        return Frames(None, given, series.described(found, rate), report)
    place = locate(source)
    if place.live:
        stream = streams.Live(place, wanted, bounds, report, latest=live == "latest")
        return Frames(place, stream, stream.info, report)
    job = {**asdict(wanted), "limits": job_limits(bounds, live=False)}
    channel = Channel(place, job, bounds.patience(live=False))
    messages = iter(channel)
    try:
        info, _ = next(messages)
    except BaseException:
        channel.close()
        raise
    return Frames(place, _of_file(channel, messages, info, wanted, report), info, report)


def job_limits(limits: Limits, live: bool) -> dict[str, Any]:
    """What the decoding process is told of the limits."""
    return {"max_pixels": limits.max_pixels, "timeout": limits.patience(live)}


Messages = Iterator[tuple[dict[str, Any], UInt8[np.ndarray, "bytes"]]]


def _of_file(
    channel: Channel, messages: Messages, info: dict[str, Any], wanted: Wanted, report: Report
) -> Iterator[VideoFrame]:
    given = 0
    with channel:
        for head, pixels in messages:
            if head["kind"] == "frame":
                given += 1
                note(head, report)
                yield VideoFrame(head["index"], head["seconds"], upright(head, pixels))
            elif head["kind"] == "end":
                report.corrupt_frames, report.repaired_times = head["corrupt"], head["repaired"]
                _judge(head, info, report, channel.given.name)
                if given == 0:
                    raise VideoError(
                        f"no frame lies between {wanted.start:g} s and the end",
                        code="video.zero_frames",
                        path=channel.given.name,
                        hint="start sooner",
                    )


def _judge(end: dict[str, Any], info: dict[str, Any], report: Report, name: str) -> None:
    """What the end of a file means: VideoError for nothing, a note for less than was promised."""
    if end["decoded"] == 0:
        if end["corrupt"]:
            raise VideoError(
                f"none of its {end['corrupt']} frames can be decoded",
                code="video.corrupt_frames",
                path=name,
            )
        raise VideoError("there is no frame in it", code="video.zero_frames", path=name)
    promised = info["frames"]
    short = promised is not None and end["packets"] < promised
    if end["ended"] and (short or end["broken_off"]):
        of = f"of {promised}" if promised else "of an unknown number"
        report.truncated = f"decoded {end['decoded']} {of}"


def note(head: dict[str, Any], report: Report) -> None:
    """Remember how frames are stored."""
    report.interlaced |= head["interlaced"]
    report.hdr |= head["hdr"]


def upright(head: dict[str, Any], pixels: UInt8[np.ndarray, "bytes"]) -> UInt8[Tensor, "3 H W"]:
    """The frame of a message, without a copy where it is not turned."""
    height, width = head["height"], head["width"]
    rows = torch.from_numpy(pixels).as_strided((height, width, 3), (head["stride"], 3, 1))
    quarters = round(head["rotation"] / 90) % 4
    image = rows.permute(2, 0, 1)
    return image if quarters == 0 else torch.rot90(image, quarters, (1, 2))
