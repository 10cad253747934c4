"""Animated WebP, which FFmpeg does not decode: by Pillow, in the decoding process too."""

from collections.abc import Callable
from typing import Any

from sightline.errors import VideoError
from sightline.video.formats import check_size


def animation(name: str, job: dict[str, Any], send: Callable[..., None]) -> None:
    """Send the frames of an animated image as `worker.serve` sends those of a video.

    Alpha is dropped: every pixel keeps its stored colour. VideoError for what cannot be opened.
    """
    from PIL import Image

    try:
        picture = Image.open(name, formats=["WEBP"])
    except Exception as error:
        message = "it cannot be opened: no WebP image"
        hint = "was the file cut short?"
        raise VideoError(message, code="video.unopenable", path=name, hint=hint) from error
    width, height = picture.size
    check_size(width, height, job["limits"]["max_pixels"], name)
    count = int(getattr(picture, "n_frames", 1))
    send(
        {"kind": "info", "format": "webp", "codec": "webp", "width": width, "height": height}
        | {"rate": None, "frames": count, "seconds": None, "aspect": None}
    )
    seconds, decoded, broken, ended = 0.0, 0, False, True
    for index in range(count):
        try:
            picture.seek(index)
            rgb = picture.convert("RGBA").convert("RGB").tobytes()
        except Exception:  # what comes after a broken frame is painted over it
            broken = True
            break
        if job["end"] is not None and seconds > job["end"]:
            ended = False
            break
        decoded += 1
        if seconds >= job["start"] and index % job["every"] == 0:
            head = {"kind": "frame", "index": index, "seconds": seconds, "width": width}
            head |= {"height": height, "stride": 3 * width}
            head |= {"rotation": 0, "interlaced": False, "hdr": False}
            send(head, memoryview(rgb))
        seconds += max(1, int(picture.info.get("duration", 100) or 100)) / 1000
    send(
        {"kind": "end", "decoded": decoded, "corrupt": 0, "repaired": 0, "packets": decoded}
        | {"broken_off": broken, "ended": ended}
    )
