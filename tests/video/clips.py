"""Videos of a few tiny frames, encoded where they are needed."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (32, 48)


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Frame `number`: a grey that tells the number, brighter at the top and red at the left."""
    height, width = size
    rgb = np.full((height, width, 3), 40 + 4 * (number % 40), np.uint8)
    rgb[: height // 4] += 30
    rgb[:, : width // 4, 0] += 20
    return rgb


def number_of(image: Any) -> int:
    """The number of the frame that `image` (3, H, W) shows."""
    height, width = image.shape[1:]
    middle = image[:, height // 2 : -2, width // 2 : -2].float().mean()
    return round((float(middle) - 40) / 4)


def write(
    path: Path,
    stamps: Sequence[int | None] = tuple(range(8)),
    *,
    codec: str = "libx264",
    size: tuple[int, int] = SIZE,
    pixels: str = "yuv420p",
    container: dict[str, str] | None = None,
    prepare: Callable[[Any, Any], None] | None = None,
    base: Fraction = Fraction(1, 25),
    images: Sequence[np.ndarray] | None = None,
) -> Path:
    """A video with a frame for each time stamp, in units of `base`; a key frame every four."""
    import av

    file = av.open(str(path), "w", options=container or {})
    rate = Fraction(base.denominator, base.numerator)
    options = {"crf": "10", "bf": "0"} if codec == "libx264" else {}
    stream: Any = file.add_stream(codec, rate=min(rate, 100), options=options)
    stream.width, stream.height, stream.pix_fmt = size[1], size[0], pixels
    stream.codec_context.time_base = base
    stream.codec_context.gop_size = 4
    stream.codec_context.thread_count = 1
    if codec != "libx264":
        stream.bit_rate = 4_000_000
    if prepare is not None:
        prepare(file, stream)
    for number, stamp in enumerate(stamps):
        rgb = picture(number, size) if images is None else images[number]
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = stamp, base
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
    file.close()
    return path


def remux(
    source: Path, path: Path, change: Callable[[int, Any], bool], format: str | None = None
) -> Path:
    """The packets of `source` in another file: `change(number, packet)` alters one, False drops it.

    Raw H.264 as a container keeps no time stamps; NUT and MKV keep what they are given.
    """
    import av

    with av.open(str(source)) as old, av.open(str(path), "w", format=format) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in old.demux(stream) if p.size):
            if change(number, packet):
                packet.stream = copy
                new.mux_one(packet)
    return path
