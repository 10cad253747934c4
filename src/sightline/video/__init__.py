"""Videos as streams of upright RGB frames, in bounded memory.

    for frame in sightline.video.frames("clip.mp4"):
        frame.index, frame.seconds, frame.image     # image: (3, H, W) uint8

Files, animated images, cameras, network streams that are named, and series of images are read;
`docs/video.md` has the rules. FFmpeg's libraries (PyAV) run in a process of their own: what hangs
or crashes there is a VideoError here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.video.reading import Frames, Limits, Report, VideoFrame, frames

_NAMES = ("Frames", "Limits", "Report", "VideoFrame", "frames")

__all__ = ["Frames", "Limits", "Report", "VideoFrame", "frames"]


def __getattr__(name: str) -> Any:
    """Import on first use: the decoding process must not wait for PyTorch."""
    if name in _NAMES:
        import importlib

        return getattr(importlib.import_module("sightline.video.reading"), name)
    raise AttributeError(f"module 'sightline.video' has no attribute {name!r}")
