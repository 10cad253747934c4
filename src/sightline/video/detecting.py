"""A model on a video: frame after frame, with ids if they are wanted."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from torch import Tensor

from sightline.tracking import Tracker, Tracking
from sightline.types import Detections
from sightline.video.reading import Limits, Source, VideoFrame, frames


class Finder(Protocol):
    """What finds things in upright RGB images, such as a `sightline.Model`."""

    def find(self, pixels: Sequence[Tensor], batch_size: int = 1) -> list[Detections]:
        """The answers for the images, in their order."""
        ...


def video(
    model: Finder,
    source: Source,
    *,
    track: bool | Tracking = False,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    live: Literal["block", "latest"] = "block",
    limits: Limits | None = None,
) -> Iterator[tuple[VideoFrame, Detections]]:
    """Each frame of a video with what the model finds in it, one after the other.

        for frame, found in model.video("clip.mp4", track=True):
            print(frame.index, frame.seconds, found.names, found.tracks)

    `track` gives objects ids (`sightline.tracking`); the rest is as in `sightline.video.frames`,
    and so are the errors. Memory holds a few frames, however long the video is: the next one is
    being decoded while the model looks at this one.
    """
    settings = track if isinstance(track, Tracking) else Tracking()
    tracker = Tracker(settings) if track else None
    with frames(source, every=every, start=start, end=end, live=live, limits=limits) as clip:
        for frame in clip:
            (found,) = model.find([frame.image])
            yield frame, found if tracker is None else tracker(found)
