"""The decoding process: one job in, frames out, as `channel.py` starts it.

    python -m sightline.video.worker < job > messages

It imports neither PyTorch nor numpy, so it is there in a fifth of a second. The job is a line of
JSON; each message is the length of a JSON head (4 bytes, little end first), the head, and
`head["bytes"]` bytes of pixels as swscale left them: rows of `stride` bytes, RGB, not yet turned.
The pipe is the bound on what is read ahead: who is not read waits.
"""

import json
import logging
import os
import signal
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import av
import av.container

from sightline.errors import SightlineError, VideoError
from sightline.video.clock import Clock
from sightline.video.colour import Painter
from sightline.video.formats import Input, check_size, too_many_pixels
from sightline.video.stills import animation

SLACK = 2
"""FFmpeg counts the pixels of buffers, which are rounded up: the exact size is looked at here."""

TOO_LARGE = "exceeds specified max pixel count"
"""What FFmpeg logs of a picture that it was told to refuse."""


class Outlet:
    """Where messages go: a head, and perhaps a buffer."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def send(self, head: dict[str, Any], pixels: memoryview | None = None) -> None:
        """Write all of it; waits while nobody reads. BrokenPipeError when nobody ever will."""
        size = 0 if pixels is None else pixels.nbytes
        text = json.dumps({**head, "bytes": size}).encode()
        self._write(memoryview(struct.pack("<I", len(text)) + text))
        if pixels is not None:
            self._write(pixels)

    def _write(self, data: memoryview) -> None:
        while data.nbytes:
            data = data[os.write(self.handle, data) :]


@dataclass
class Tally:
    """What became of the packets of a file."""

    packets: int = 0
    decoded: int = 0
    corrupt: int = 0
    broken_off: bool = False
    lost: list[float] = field(default_factory=list)
    origin: float | None = None

    def index(self, pts: float | None) -> int:
        """The place of the frame that comes next: those before it, and the lost ones among them."""
        if pts is not None:
            earlier = [stamp for stamp in self.lost if stamp < pts]
            if self.decoded == 0 and self.origin is None:
                self.origin = min(earlier, default=None)
            self.lost = [stamp for stamp in self.lost if stamp >= pts]
            self.corrupt += len(earlier)
        return self.decoded + self.corrupt


def capped(most: int) -> str:
    """The option by which FFmpeg refuses pictures that are certainly too large."""
    return str(SLACK * most + 2**16)


def options(given: Input, limits: dict[str, Any]) -> dict[str, str]:
    """What FFmpeg may do: this format, these protocols, no file beside it, no huge picture."""
    found = {
        "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2" if given.format == "mov" else given.format,
        "protocol_whitelist": given.protocols,
        "max_pixels": capped(limits["max_pixels"]),
    }
    if given.format == "matroska":
        found["format_whitelist"] = "matroska,webm"
    if given.format == "video4linux2":
        found["format_whitelist"] = "video4linux2,v4l2"
        found["protocol_whitelist"] = "file"
    if given.format == "rtsp":
        found |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return found


def opened(given: Input, limits: dict[str, Any]) -> av.container.InputContainer:
    """The container; VideoError (`video.unopenable`) for whatever FFmpeg or PyAV say against it."""
    wait = limits["timeout"]
    try:
        source: Any = given.name
        if given.kind == "file":
            source = open(given.name, "rb", buffering=0)  # noqa: PTH123, SIM115 (it stays open)
        container: av.container.InputContainer = av.open(
            source,
            format=given.format,
            options=options(given, limits),
            buffer_size=1 << 18,
            metadata_errors="replace",
            timeout=(wait, wait) if given.live else None,
        )
        return container
    except Exception as error:  # eight kinds of them are known
        refuse_size(error, limits["max_pixels"], given.name)
        said = str(error).split("'")[0].split("] ")[-1].strip(" :;") or type(error).__name__
        raise VideoError(
            f"it cannot be opened: {said}",
            code="video.unopenable",
            path=given.name,
            hint="is it there, and free?" if given.live else "was the file cut short?",
        ) from error


def chosen(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """The stream to be read: the default one, else the first; cover pictures do not count."""
    cover = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    real = [s for s in container.streams.video if not s.disposition & cover]
    real.sort(key=lambda s: s.codec_context is None)  # a kind that FFmpeg does not decode
    if not real:
        raise VideoError(
            "there is no video in this file, perhaps sound alone",
            code="video.no_video_stream",
            path=name,
        )
    if real[0].codec_context is None:
        raise VideoError(
            "there is no decoder for what is in it",
            code="video.unopenable",
            path=name,
            hint="was the file damaged? else convert it to H.264",
        )
    marked = [s for s in real if s.disposition & av.stream.Disposition.default]
    return (marked or real)[0]


def packets(
    container: av.container.InputContainer, stream: av.VideoStream, tally: Tally
) -> Iterator[Any]:
    """The stream's packets, and at last the empty one that empties the decoder."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except Exception:  # the file ends in the middle of something
            tally.broken_off = True
            yield av.Packet()
            return
        tally.packets += packet.size > 0
        yield packet


def decoded(
    container: av.container.InputContainer, stream: av.VideoStream, tally: Tally, most: int
) -> Iterator[tuple[int, float | None, av.VideoFrame]]:
    """(index, time stamp in seconds, frame) of every frame that can be trusted."""
    context = stream.codec_context
    context.thread_count = 1  # an error then belongs to the packet that it is told with
    context.thread_type = "SLICE"
    strict = "crccheck+bitstream+buffer+explode"
    context.options = {**context.options, "err_detect": strict, "max_pixels": capped(most)}
    base = float(stream.time_base or 0)
    for packet in packets(container, stream, tally):
        stamp = None if packet.pts is None else packet.pts * base
        try:
            frames = context.decode(packet if packet.size else None)
        except Exception as error:
            refuse_size(error, most, container.name)
            if stamp is None:
                tally.corrupt += 1
            else:
                tally.lost.append(stamp)
            continue
        for frame in frames:
            pts = None if frame.pts is None else frame.pts * base
            index = tally.index(pts)
            if frame.is_corrupt:
                tally.corrupt += 1
                continue
            tally.decoded += 1
            yield index, pts, frame
    tally.corrupt += len(tally.lost)
    tally.lost = []


def refuse_size(error: Exception, most: int, name: str) -> None:
    """VideoError (`video.too_many_pixels`) where that is what FFmpeg fails of."""
    if TOO_LARGE in str(getattr(error, "log", "")):
        raise too_many_pixels("a frame", most, name) from error


def described(container: av.container.InputContainer, stream: av.VideoStream) -> dict[str, Any]:
    """What the file says of itself: for bars and reports, never for memory."""
    rate, aspect = stream.average_rate, stream.codec_context.sample_aspect_ratio
    seconds = None if container.duration is None else container.duration / 1e6
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    return {
        "kind": "info",
        "format": container.format.name,
        "codec": stream.codec_context.name,
        "width": stream.codec_context.width,
        "height": stream.codec_context.height,
        "rate": float(rate) if rate else None,
        "frames": max(0, stream.frames) or None,
        "seconds": seconds if seconds is not None and seconds > 0 else None,
        "aspect": [aspect.numerator, aspect.denominator] if aspect else None,
    }


def serve(given: Input, job: dict[str, Any], outlet: Outlet) -> None:
    """Send the frames that the job wants, and what became of all of them."""
    limits = job["limits"]
    av.logging.set_level(av.logging.ERROR)  # errors then say what FFmpeg logged
    if given.format == "webp":  # FFmpeg does not decode animated WebP
        return animation(given.name, job, outlet.send)
    container = opened(given, limits)
    stream = chosen(container, given.name)
    context = stream.codec_context
    check_size(context.width, context.height, limits["max_pixels"], given.name)
    info = described(container, stream)
    outlet.send(info)
    tally, painter, clock = Tally(), Painter(), Clock.of_rate(info["rate"])
    ended = True
    for index, stamp, frame in decoded(container, stream, tally, limits["max_pixels"]):
        if tally.decoded == 1 and tally.origin is not None:  # time begins with a frame that is lost
            clock.tell(tally.origin)
        seconds = clock.tell(stamp)
        if job["end"] is not None and seconds > job["end"]:
            ended = False
            break
        if seconds < job["start"] or index % job["every"]:
            continue
        check_size(frame.width, frame.height, limits["max_pixels"], given.name)
        head, pixels = painter.paint(frame)
        outlet.send({"kind": "frame", "index": index, "seconds": seconds, **head}, pixels)
    outlet.send(
        {
            "kind": "end",
            "decoded": tally.decoded,
            "corrupt": tally.corrupt,
            "repaired": clock.repaired,
            "packets": tally.packets,
            "broken_off": tally.broken_off,
            "ended": ended,
        }
    )


def main(source: BinaryIO, handle: int) -> None:
    """One job from `source`; its messages, and at last an end or an error, to `handle`."""
    job, outlet = json.loads(source.readline()), Outlet(handle)
    given = Input(**job["input"])
    try:
        serve(given, job, outlet)
    except BrokenPipeError:
        pass
    except SightlineError as error:
        outlet.send({"kind": "error", **error.to_dict()})
    except MemoryError:
        code, message = "resource.out_of_memory", "out of memory"
        outlet.send({"kind": "error", "code": code, "message": message})


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader says when it is enough
    private = os.dup(1)
    logging.getLogger("libav").addHandler(logging.NullHandler())
    os.dup2(2, 1)  # whatever a library prints must not come between the messages
    main(sys.stdin.buffer, private)
    os._exit(0)  # nothing is left to be tidied, and a stuck device must not hold the end up
