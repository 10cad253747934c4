"""`sightline detect` on videos: one after the other, each to its end or to an interruption."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.telling import Tally, count, shown

if TYPE_CHECKING:
    from sightline.batch.journal import Journal
    from sightline.batch.sources import Source
    from sightline.batch.video_outputs import VideoOutputs
    from sightline.cli.detect import Options
    from sightline.predict import Model
    from sightline.progress import Bar
    from sightline.types import Detections
    from sightline.video.reading import Frames, Report, VideoFrame

Place = tuple[Path | None, Sequence[str]]
"""The folder for results, and what to write there."""


@dataclass(frozen=True)
class Wishes:
    """What of a video is looked at, and how."""

    track: bool = True
    every: int = 1
    start: float = 0.0
    end: float | None = None
    live: str = "latest"
    fps: float | None = None

    def __post_init__(self) -> None:
        from sightline.errors import UsageError

        if self.live not in ("latest", "block"):
            raise UsageError(f"--live is latest or block, not {self.live!r}", code="usage.live")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"--fps is {self.fps:g}, not more than 0", code="usage.out_of_range")


def over_videos(
    model: Model, videos: Sequence[Source], place: Place, options: Options, wishes: Wishes
) -> Tally:
    """Look at all videos; one that cannot be read does not stop the others."""
    from sightline.batch.outputs import stems
    from sightline.batch.video_outputs import check_kinds
    from sightline.errors import VideoError

    tally = Tally()
    if videos and place[0] is not None:
        check_kinds(place[1], options.masks)
    names = stems([source.key for source in videos])
    for source in videos:
        try:
            _one(model, source, (place[0], place[1], names[source.key]), options, wishes)
            tally.done += 1
        except VideoError as error:
            tally.failed += 1
            _tell_error(source, error, options)
    return tally


def _one(
    model: Model,
    source: Source,
    place: tuple[Path | None, Sequence[str], str],
    options: Options,
    wishes: Wishes,
) -> None:
    from sightline.batch.video_outputs import VideoOutputs
    from sightline.batch.videos import VideoRun
    from sightline.tracking import Tracker
    from sightline.video.reading import Limits, frames

    folder, kinds, stem = place
    clip = frames(
        source.place,
        every=wishes.every,
        start=wishes.start,
        end=wishes.end,
        live=wishes.live,  # type: ignore[arg-type]
        rate=25.0 if wishes.fps is None else wishes.fps,
        limits=Limits(max_pixels=options.max_pixels),
    )
    with clip:
        outputs: VideoOutputs | None = None
        journal = None
        if folder is not None:
            outputs = VideoOutputs(folder, kinds, stem, source.key, options.masks)
            journal = _journal(model, source, folder / "videos" / stem, options, wishes)
        watch = Watch(source, clip, options, wishes)
        run = VideoRun(
            lambda frame: _find(model, frame, options),
            outputs,
            journal,
            Tracker() if wishes.track else None,
            watch.tell,
        )
        with watch.bar:
            try:
                run.over(clip)
            except (KeyboardInterrupt, SystemExit):
                if journal is not None:
                    _say("interrupted: the same command goes on after the last frame")
                raise
    if not options.as_json:
        head = f"{source.key}  {count(clip.report.frames, 'frame')}  {count(run.objects, 'object')}"
        followed = f"  {count(run.tracks, 'track')}" if wishes.track else ""
        again = f"  ({journal.resumed:,} frames from before)" if journal and journal.resumed else ""
        print(shown(f"{head}{followed}  {watch.pace()}{again}"))
    for remark in remarks(clip.report):
        _say(f"{source.key}: {remark}")


def _find(model: Model, frame: VideoFrame, options: Options) -> Detections:
    found = model(frame.image, tile=options.tile)
    return found if options.limit is None else found[: options.limit]


def _journal(
    model: Model, source: Source, place: Path, options: Options, wishes: Wishes
) -> Journal | None:
    """Where a file's answers are kept until all are there; what is live is never gone on with."""
    from torch import nn

    import sightline
    from sightline.batch.journal import Journal, fingerprint

    if source.path is None or not isinstance(model.detector, nn.Module):
        return None
    said = {**asdict(wishes), "track": None, "tile": options.tile, "limit": options.limit}
    said |= {"score": model.score, "model": model.name, "version": sightline.__version__}
    said |= {"max_pixels": options.max_pixels}
    mark = fingerprint(source.path, model.detector, said)
    return Journal(place.with_name(f".{place.name}.journal"), mark, model.classes)


class Watch:
    """Tells of a video while it is looked at: a bar for people, lines of JSON for programs.

    The bar shows the time left where the video says how long it is, and frames a second always.
    """

    def __init__(self, source: Source, clip: Frames, options: Options, wishes: Wishes) -> None:
        from sightline.progress import bar

        self._key, self._options = source.key, options
        self._began, self._frames = time.perf_counter(), 0
        whole = None if clip.live else clip.info["seconds"]
        if whole is not None and wishes.end is not None:
            whole = min(whole, wishes.end)
        self._seconds = whole is not None
        self.bar: Bar = bar(whole, source.key, wishes.start if self._seconds else 0.0)

    def pace(self) -> str:
        """Frames a second so far."""
        return f"{self._frames / max(1e-9, time.perf_counter() - self._began):.1f} frames/s"

    def tell(self, frame: VideoFrame, found: Detections) -> None:
        """One frame is done."""
        self._frames += 1
        self.bar.to(frame.seconds if self._seconds else self._frames, self.pace())
        if self._options.as_json:
            from sightline.batch.rows import line
            from sightline.batch.video_outputs import frame_row

            print(line(frame_row(self._key, frame, found, self._options.masks)), flush=True)


def remarks(report: Report) -> list[str]:
    """What a user should know of a video's frames, nothing where all is well."""
    told = []
    if report.truncated:
        told.append(f"the file is cut short: {report.truncated} frames")
    if report.corrupt_frames:
        told.append(
            f"{count(report.corrupt_frames, 'frame')} could not be decoded, and were skipped"
        )
    if report.repaired_times:
        told.append(f"{count(report.repaired_times, 'time stamp')} could not be, and were repaired")
    if report.dropped:
        told.append(f"{count(report.dropped, 'frame')} were dropped, as newer ones had come")
    for gap in report.gaps:
        told.append(f"nothing came for {gap.seconds:.1f} s after frame {gap.after}")
    if len(report.sizes) > 1:
        told.append(f"its frames have {len(report.sizes)} sizes; the annotated video has the first")
    return told


def _say(text: str) -> None:
    print(shown(text), file=sys.stderr)


def _tell_error(source: Source, error: Any, options: Options) -> None:
    from sightline.batch.outputs import error_row
    from sightline.batch.rows import line

    error.path = source.key
    _say(f"error: {error}")
    if options.as_json:
        print(line(error_row(source.key, error)), flush=True)
