"""A series of images as a video: a folder's, or those that a pattern means, in natural order."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline import images as pictures
from sightline.errors import ImageError, UsageError, VideoError
from sightline.files import natural

if TYPE_CHECKING:
    from sightline.video.reading import Report, VideoFrame, Wanted

ENDINGS = frozenset(ending for endings in pictures.SUFFIXES.values() for ending in endings)


def images(source: str | os.PathLike[str] | int) -> list[Path] | None:
    """The images of a folder or a pattern (*, ?, [], or a number such as %04d); None for neither.

    Raises VideoError (`video.not_found`) where there are none.
    """
    if isinstance(source, int):
        return None
    name = os.fspath(source)
    if Path(name).is_dir():
        found = [p for p in Path(name).iterdir() if not p.name.startswith(".")]
    elif not os.path.lexists(name) and (re.search(r"[*?\[]", name) or re.search(r"%0?\d*d", name)):
        digits = re.sub(r"%0?\d*d", "[0-9]*", name)
        found = [Path(match) for match in glob.glob(digits)]  # noqa: PTH207 (absolute too)
    else:
        return None
    kept = [path for path in found if path.suffix.lower() in ENDINGS and path.is_file()]
    if not kept:
        raise VideoError("no images are there", code="video.not_found", path=name)
    return sorted(kept, key=lambda path: natural(str(path)))


def described(paths: Sequence[Path], rate: float) -> dict[str, Any]:
    """What `Frames.info` says of a series; UsageError for a rate that is none."""
    if not 0 < rate < 1e6:
        raise UsageError(f"{rate} images a second make no video", code="usage.out_of_range")
    return {
        "format": "images",
        "codec": "images",
        "width": None,
        "height": None,
        "rate": rate,
        "frames": len(paths),
        "seconds": len(paths) / rate,
        "aspect": None,
    }


def frames(
    paths: Sequence[Path], rate: float, wanted: Wanted, max_pixels: int, report: Report
) -> Iterator[VideoFrame]:
    """The images that are wanted; one that cannot be read is counted as corrupt, and left out.

    Raises VideoError: video.corrupt_frames where none can be read, .zero_frames where none is
    wanted.
    """
    from sightline.video.reading import VideoFrame

    given = 0
    limits = pictures.Limits(max_pixels=max_pixels)
    for index, path in enumerate(paths):
        seconds = index / rate
        if wanted.after(seconds):
            break
        if not wanted.has(index, seconds):
            continue
        try:
            image = pictures.read(path, limits)
        except ImageError:
            report.corrupt_frames += 1
            continue
        given += 1
        yield VideoFrame(index, seconds, image)
    folder = str(paths[0].parent)
    if given == 0 and report.corrupt_frames:
        message = f"none of its {report.corrupt_frames} images can be read"
        raise VideoError(message, code="video.corrupt_frames", path=folder)
    if given == 0:
        message = f"no image lies between {wanted.start:g} s and the end"
        raise VideoError(message, code="video.zero_frames", path=folder, hint="start sooner")
