"""A model over one video: what is found goes through the journal, the tracker and the outputs."""

from collections.abc import Callable
from dataclasses import dataclass

from sightline.batch.journal import Journal
from sightline.batch.video_outputs import VideoOutputs
from sightline.errors import VideoError
from sightline.tracking import Tracker
from sightline.types import Detections
from sightline.video.reading import Frames, VideoFrame

Find = Callable[[VideoFrame], Detections]
Tell = Callable[[VideoFrame, Detections], None]


@dataclass
class VideoRun:
    """Everything that one video goes through, `find` first; None for what is not wanted.

    `tell` hears of each frame when it is written. `objects` and `tracks` count what was found.
    """

    find: Find
    outputs: VideoOutputs | None = None
    journal: Journal | None = None
    tracker: Tracker | None = None
    tell: Tell | None = None
    objects: int = 0
    tracks: int = 0

    def over(self, clip: Frames) -> None:
        """Look at every frame, in order.

        A file's results appear when all frames were looked at: an interruption leaves the journal,
        and the next run goes on from it. What is live has no other end than an interruption, so its
        results appear then, and so do those of a video that cannot be read on (VideoError).
        """
        finished = False
        try:
            if self.outputs is None:
                self._frames(clip)
            else:
                with self.outputs:
                    self._written(clip, self.outputs)
            finished = True
        except VideoError:
            finished = True
            raise
        finally:
            if self.journal is not None:
                self.journal.close(finished)

    def _written(self, clip: Frames, outputs: VideoOutputs) -> None:
        outputs.publish = clip.live
        outputs.begin(clip.info)
        try:
            self._frames(clip)
        except VideoError:
            outputs.publish = clip.report.frames > 0
            raise

    def _frames(self, clip: Frames) -> None:
        for frame in clip:
            found = None if self.journal is None else self.journal.known(frame.index)
            if found is None:
                found = self.find(frame)
                if self.journal is not None:
                    self.journal.add(frame.index, found)
            if self.tracker is not None:
                found = self.tracker(found)
                self.tracks = max([self.tracks, *_ids(found)])
            self.objects += len(found)
            if self.outputs is not None:
                self.outputs.add(frame, found)
            if self.tell is not None:
                self.tell(frame, found)


def _ids(found: Detections) -> list[int]:
    ids: list[int] = [] if found.tracks is None else found.tracks.tolist()
    return ids
