"""A video file from pictures and their times: whole when it is closed, or not there at all."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from sightline.errors import ResourceError, SightlineError, VideoError
from sightline.files import CODES, atomic_write
from sightline.video.channel import require_pyav

LADDER: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "20"}),
    ("libopenh264", {"b": "4000000"}),
    ("mpeg4", {"qscale": "3", "flags": "+qscale"}),
)
"""Encoders in order of preference, with their options: H.264, else MPEG-4 part 2."""

TICKS = 60_000
"""Time stamps a second: all usual rates fit, 30000/1001 too; MPEG-4 part 2 knows at most 65,535."""


class VideoWriter:
    """An MP4 of pictures, each shown from its time on: `with VideoWriter(path) as writer: …`.

    Sizes are made even by repeating the last row or column, as H.264's 4:2:0 wants it; a picture of
    another size than the first is made to fit into it, on black. `aspect` is a pixel's width over
    its height. There is no sound. An exception in the block leaves no file, and an older one as it
    was. Raises UsageError without PyAV, VideoError (`video.no_encoder`), ResourceError.
    """

    def __init__(self, path: Path, rate: float | None = None, aspect: Fraction | None = None):
        require_pyav()
        self.path, self.aspect = path, aspect
        self.rate = Fraction(min(240.0, max(1.0, rate or 25.0))).limit_denominator(1001)
        self.codec = encoder()
        self._stack = ExitStack()
        self._temporary = self._stack.enter_context(atomic_write(path))
        self._file: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._first, self._last = 0.0, -1

    def add(self, picture: Image.Image, seconds: float) -> None:
        """The next picture, shown from `seconds` on; the first is shown at once."""
        import av

        try:
            if self._file is None:
                self._begin(picture, seconds)
            pixels = _even(_fitting(picture, self._size))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            stamp = max(round((seconds - self._first) * TICKS), self._last + 1)
            frame.pts, frame.time_base, self._last = stamp, Fraction(1, TICKS), stamp
            self._file.mux(self._stream.encode(frame))
        except (OSError, ValueError) as error:  # av's own are of these kinds
            raise self._refused(error) from error

    def _begin(self, picture: Image.Image, seconds: float) -> None:
        import av

        self._size, self._first = picture.size, seconds
        options = {"movflags": "+faststart", "video_track_timescale": str(TICKS)}
        self._file = av.open(str(self._temporary), "w", format="mp4", options=options)
        name, settings = self.codec
        stream = self._file.add_stream(name, rate=self.rate, options=settings)
        stream.width, stream.height = (side + side % 2 for side in picture.size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        if self.aspect:
            stream.codec_context.sample_aspect_ratio = self.aspect
        self._stream = stream

    def close(self) -> None:
        """Make the file complete, and give it its name; without a picture there is none."""
        if self._file is None:
            self.discard()
            return
        try:
            self._file.mux(self._stream.encode())
            self._file.close()
            self._file = None
        except (OSError, ValueError) as error:
            self.discard()
            raise self._refused(error) from error
        self._stack.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError, ValueError):
                file.close()
        stop = _Discarded()
        self._stack.__exit__(_Discarded, stop, None)

    def _refused(self, error: Exception) -> SightlineError:
        told = getattr(error, "strerror", None) or str(error)
        usual = ("resource.unwritable", f"the video cannot be written: {told}", "is the disk full?")
        code, message, hint = CODES.get(getattr(error, "errno", None) or 0, usual)
        return ResourceError(message, code=code, path=self.path, hint=hint)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class _Discarded(Exception):
    """Tells `atomic_write` that the file is not wanted."""


def encoder() -> tuple[str, dict[str, str]]:
    """The first of `LADDER` that this FFmpeg has, and its options; VideoError without any."""
    import av

    for name, options in LADDER:
        if name in av.codecs_available:
            return name, options
    raise VideoError(
        "this FFmpeg writes neither H.264 nor MPEG-4",
        code="video.no_encoder",
        hint="leave pictures out of --save, or install PyAV's own build: pip install av",
    )


def _fitting(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    scale = min(size[0] / picture.width, size[1] / picture.height)
    small = picture.resize(
        (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    )
    answer = Image.new("RGB", size)
    answer.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return answer


def _even(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    odd = (pixels.shape[0] % 2, pixels.shape[1] % 2)
    padded = np.pad(pixels, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge") if any(odd) else pixels
    return np.ascontiguousarray(padded)
