"""A video's results as files: an annotated video, and a line, a row or a file a frame.

Of a video whose stem is `clip`, below the folder: `videos/clip.mp4` (pictures),
`videos/clip.jsonl`, `videos/clip.csv`, `videos/clip.coco_results.json` with
`videos/clip.coco_images.json`, and `openpose/clip/clip_000000000012_keypoints.json`.
"""

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from sightline.batch.outputs import text_file
from sightline.batch.rows import COCO_FILES, CocoResults, cell, line, openpose, plain, row
from sightline.errors import SightlineError, UsageError
from sightline.files import make_folder, refuse, write_text
from sightline.types import Detections
from sightline.video.reading import VideoFrame
from sightline.video.writing import VideoWriter

KINDS = ("pictures", "coco", "csv", "jsonl", "openpose")
"""What can be written of a video."""


def check_kinds(kinds: Sequence[str], masks: str) -> None:
    """UsageError for what is not written of videos."""
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong or masks == "bitmaps":
        what = f"--save {wrong[0]}" if wrong else "--masks bitmaps"
        raise UsageError(
            f"{what} is for images, not for videos",
            code="usage.save",
            hint=f"of a video there are {', '.join(KINDS)}, and masks as rle or polygons",
        )


def frame_row(key: str, frame: VideoFrame, found: Detections, form: str = "rle") -> dict[str, Any]:
    """One frame's answer as plain data: file, frame, seconds, width, height, detections."""
    answer = row(key, found, form)
    place = {"file": answer.pop("file"), "frame": frame.index, "seconds": round(frame.seconds, 6)}
    return place | answer


class _Writer(Protocol):
    def add(self, frame: VideoFrame, found: Detections) -> None: ...

    def close(self) -> None: ...


class VideoOutputs:
    """The files of one video: `with VideoOutputs(…) as outputs: outputs.add(frame, found)`.

    All appear, whole, when the block ends well, and none when it does not, unless `publish` was
    set: then with what there was. An annotated video that cannot be written on is given up for the
    others' sake; `trouble` then says why, and is raised when the others are complete.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], stem: str, key: str, masks: str) -> None:
        check_kinds(kinds, masks)
        self.publish = False
        self.trouble: SightlineError | None = None
        self._folder = make_folder(folder)
        self._place, self._stem, self._key, self._masks = folder / "videos", stem, key, masks
        self._pictures = "pictures" in kinds
        self._video: VideoWriter | None = None
        self._stack = ExitStack()
        self._writers: list[_Writer] = []
        with ExitStack() as stack:
            for kind in dict.fromkeys(kinds):
                if kind != "pictures":
                    self._writers.append(self._writer(kind, stack))
            self._stack = stack.pop_all()

    def _writer(self, kind: str, stack: ExitStack) -> _Writer:
        path = self._place / self._stem
        if kind == "jsonl":
            return _Lines(
                text_file(stack, path.with_name(f"{path.name}.jsonl")), self._key, self._masks
            )
        if kind == "csv":
            return _Table(text_file(stack, path.with_name(f"{path.name}.csv")), self._key)
        if kind == "coco":
            names = [path.with_name(f"{path.name}.coco_{part}.json") for part in COCO_FILES]
            results, companion = (text_file(stack, name) for name in names)
            return _Coco(CocoResults(results, companion, self._masks), self._key)
        return _People(self._folder / "openpose" / self._stem)

    def begin(self, info: dict[str, Any]) -> None:
        """What the video says of itself: the annotated one gets its rate and its pixels' shape."""
        if self._pictures:
            aspect = None if info["aspect"] is None else Fraction(*info["aspect"])
            path = self._place / self._stem
            name = path.with_name(f"{path.name}.mp4")
            self._video = VideoWriter(name, info["rate"], aspect)

    def add(self, frame: VideoFrame, found: Detections) -> None:
        """Write one frame's answer."""
        try:
            for writer in self._writers:
                writer.add(frame, found)
        except OSError as error:
            refuse(error, self._place)
        if self._video is not None:
            from sightline.explain.draw import draw

            with _Keeping(self):
                self._video.add(draw(frame.image, found), frame.seconds)

    def give_up(self, error: SightlineError) -> None:
        """Go on without the annotated video."""
        self.trouble = self.trouble or error
        video, self._video = self._video, None
        if video is not None:
            video.discard()

    def __enter__(self) -> "VideoOutputs":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and not self.publish:
            if self._video is not None:
                self._video.discard()
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            for writer in self._writers:
                writer.close()
        if self._video is not None:
            with _Keeping(self):
                self._video.close()
        if kind is None and self.trouble is not None:
            raise self.trouble


class _Keeping:
    """An error of the annotated video ends it, and nothing else."""

    def __init__(self, outputs: VideoOutputs) -> None:
        self._outputs = outputs

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, SightlineError):
            self._outputs.give_up(error)
            return True
        return False


class _Lines:
    def __init__(self, file: TextIO, key: str, masks: str) -> None:
        self._file, self._key, self._masks = file, key, masks

    def add(self, frame: VideoFrame, found: Detections) -> None:
        self._file.write(line(frame_row(self._key, frame, found, self._masks)) + "\n")

    def close(self) -> None:
        """Every line is complete already."""


HEADER = ("file", "frame", "seconds", "label", "score", "x1", "y1", "x2", "y2", "track")


class _Table:
    def __init__(self, file: TextIO, key: str) -> None:
        self._key = cell(key)
        self._table = csv.writer(file, lineterminator="\n")
        self._table.writerow(HEADER)

    def add(self, frame: VideoFrame, found: Detections) -> None:
        for one in plain(self._key, found)["detections"]:
            place = (self._key, frame.index, round(frame.seconds, 6), cell(one["label"]))
            self._table.writerow([*place, one["score"], *one["box"], one.get("track_id", "")])

    def close(self) -> None:
        """The table has no end mark."""


class _Coco:
    """The id of an image is the index of its frame."""

    def __init__(self, results: CocoResults, key: str) -> None:
        self._results, self._key = results, key

    def add(self, frame: VideoFrame, found: Detections) -> None:
        seconds = round(frame.seconds, 6)
        self._results.add(frame.index, self._key, found, frame=frame.index, seconds=seconds)

    def close(self) -> None:
        self._results.close()


class _People:
    """A file a frame, named and numbered as OpenPose does it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, frame: VideoFrame, found: Detections) -> None:
        name = f"{self._folder.name}_{frame.index:012d}_keypoints.json"
        write_text(self._folder / name, line(openpose(found)) + "\n")

    def close(self) -> None:
        """Every file is complete already."""
