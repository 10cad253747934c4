"""From any pixel format to RGB bytes, in the decoding process: the rules of `docs/video.md`."""

from typing import Any

import av
from av.video.reformatter import VideoReformatter

HDR = (16, 18)
"""Transfer functions PQ and HLG."""

UNDECLARED, BT709, BT601 = 2, 1, 5
"""Numbers of colour matrices."""


class Painter:
    """Any pixel format to RGB bytes: the rules of `docs/video.md`."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def paint(self, frame: av.VideoFrame) -> tuple[dict[str, Any], memoryview]:
        """The head of a frame's message, and its rows of RGB."""
        matrix = int(frame.colorspace)
        if matrix == UNDECLARED:
            matrix = BT709 if frame.height >= 720 or frame.width >= 1280 else BT601
        plain = frame.format.is_rgb or len(frame.format.components) < 3
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=None if plain else matrix,
            dst_colorspace=None if plain else matrix,
            threads=1,
        )
        plane = rgb.planes[0]
        head = {
            "width": rgb.width,
            "height": rgb.height,
            "stride": plane.line_size,
            "rotation": int(frame.rotation),
            "interlaced": bool(frame.interlaced_frame),
            "hdr": int(frame.color_trc) in HDR,
        }
        return head, memoryview(plane)
