"""`sightline detect`: find things in images and videos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sightline.cli.machine import Device, Threads
from sightline.cli.telling import Tally, count, shown, table

if TYPE_CHECKING:
    from sightline.batch.outputs import Outputs
    from sightline.batch.sources import Source
    from sightline.errors import SightlineError
    from sightline.predict import Model
    from sightline.types import Detections

SOURCES = (
    "Images, folders, patterns such as 'photos/*.jpg', or - for an image on standard input; "
    "videos, animated images, cameras (/dev/video0), streams (rtsp://, rtsps://, tcp://)."
)
MODEL = (
    "A name of `sightline models`, or a checkpoint: NAME.safetensors, or a run's folder; "
    "or Darknet's NAME.cfg, with NAME.weights and perhaps NAME.names beside it."
)
PEOPLE = (
    "Before a top-down pose such as cpm: the model that finds the people; none for the whole image "
    "as one.  [default: retinanet]"
)
WEIGHTS = (
    "Darknet's .weights file, where it does not lie beside the .cfg; or your own copy of published "
    "weights."
)
OUT = "Folder for the results.  [default: sightline-out, or none with --json]"
SAVE = (
    "What to write there, with commas: pictures (of a video: a video), coco, yolo, csv, jsonl, "
    "openpose.  [default: pictures]"
)
TRACK = "Videos: follow objects, and give each an id."
EVERY = "Videos: look at every so many frames."
START, END = "Videos: begin at this second.", "Videos: end at this second."
LIVE = "Cameras and streams: latest drops frames that nobody has time for, block lets them wait."
FPS = "Take each folder and pattern as one video, of so many images a second."

MASKS = (
    "How masks come out of a model that finds them. rle: COCO's run lengths, polygons: outlines, "
    "both in --json, coco and jsonl; bitmaps: a black and white PNG of each object in OUT/masks/, "
    "and its path in --json and jsonl.  [default: rle]"
)


@dataclass(frozen=True)
class Options:
    """How to look at images and how to tell of it."""

    tile: int | None = None
    limit: int | None = None
    max_pixels: int = 50_000_000
    as_json: bool = False
    masks: str = "rle"


def detect(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help=SOURCES)],
    model: Annotated[str, typer.Option(help=MODEL)] = "retinanet",
    people: Annotated[str | None, typer.Option(help=PEOPLE, show_default=False)] = None,
    weights: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT, show_default=False)] = None,
    save: Annotated[str | None, typer.Option(help=SAVE, show_default=False)] = None,
    masks: Annotated[str | None, typer.Option(help=MASKS, show_default=False)] = None,
    score: Annotated[
        float, typer.Option(help="Show what scores above this, 0 to 1 (margins: any).")
    ] = 0.3,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many an image.")] = None,
    tile: Annotated[
        int | None, typer.Option(help="Look at large images in tiles of this many pixels too.")
    ] = None,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Compute in bfloat16: faster on CPUs that know it.")
    ] = False,
    threads: Threads = None,
    device: Device = "auto",
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger images, before decoding them.")
    ] = 50_000_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON an image or frame, and no more.")
    ] = False,
    track: Annotated[bool, typer.Option(help=TRACK)] = True,
    every: Annotated[int, typer.Option(min=1, help=EVERY)] = 1,
    start: Annotated[float, typer.Option(min=0, help=START)] = 0.0,
    end: Annotated[float | None, typer.Option(min=0, help=END, show_default=False)] = None,
    live: Annotated[str, typer.Option(help=LIVE)] = "latest",
    fps: Annotated[float | None, typer.Option(help=FPS, show_default=False)] = None,
) -> None:
    """Find things in images and videos: prints tables, draws pictures and annotated videos.

    A file that cannot be read never stops the others: the exit status is then 3, or 4 if none
    could be read. Of a video that was interrupted the same command looks at the rest.
    """
    from sightline.batch.sources import expand
    from sightline.cli.detect_needs import need_keypoints, need_masks, need_place
    from sightline.cli.detect_video import Wishes, over_videos

    kinds = [kind.strip() for kind in save.split(",")] if save else ["pictures"]
    folder = out if out or (as_json and not save) else Path("sightline-out")
    options = Options(tile, limit, max_pixels, as_json, masks or "rle")
    wishes = Wishes(track, every, start, end, live, fps)
    if masks is not None:
        need_place(options.masks, as_json, folder, kinds)
    ready = prepare(model, score, bf16, threads, weights, people, device)
    if masks is not None:
        need_masks(ready)
    if folder is not None and "openpose" in kinds:
        need_keypoints(ready)
    given = expand(sources, series=fps is not None)
    images = [source for source in given if not source.video]
    tally = Tally()
    with ExitStack() as stack:
        outputs = None
        if folder is not None and (images or len(given) == 0):
            outputs = stack.enter_context(_outputs(folder, kinds, images, options.masks))
        if images:
            tally = run(ready, images, outputs, options)
    if images and not as_json:
        tally.close(folder)
    videos = [source for source in given if source.video]
    tally += over_videos(ready, videos, (folder, kinds), options, wishes)
    if tally.failed:
        raise typer.Exit(3 if tally.done else 4)


def prepare(
    model: str,
    score: float | None,
    bf16: bool,
    threads: int | None,
    weights: Path | None = None,
    people: str | None = None,
    device: str = "cpu",
) -> Model:
    """The model, ready; `threads` holds for the whole process."""
    import torch

    from sightline.memory import keep_freed_memory
    from sightline.predict import load

    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    dtype: Literal["fp32", "bf16"] = "bf16" if bf16 else "fp32"
    return load(model, score=score, dtype=dtype, device=device, weights=weights, people=people)


def _outputs(folder: Path, kinds: Sequence[str], images: Sequence[Source], masks: str) -> Outputs:
    from sightline.batch.outputs import Outputs

    return Outputs(folder, kinds, [source.key for source in images], masks)


def run(model: Model, images: Sequence[Source], outputs: Outputs | None, options: Options) -> Tally:
    """Detect on all images, telling and writing of each as it is done."""
    import time

    from sightline.progress import track

    tally = Tally()
    for source in track(images, "images") if len(images) > 1 else images:
        start = time.perf_counter()
        try:
            pixels, found = _look(model, source, options)
        except _image_errors() as error:
            tally.failed += 1
            _tell_error(source, error, options)
            continue
        tally.seconds.append(time.perf_counter() - start)
        tally.done += 1
        tally.objects += len(found)
        if outputs is not None:
            outputs.add(source.key, pixels, found)
        _tell(source, found, options, outputs.names[source.key] if outputs else "")
    return tally


def _image_errors() -> type[SightlineError]:
    from sightline.errors import ImageError

    return ImageError


def _look(model: Model, source: Source, options: Options) -> tuple[Any, Detections]:
    from sightline.images import Limits, read

    if source.error is not None:
        raise source.error
    given = source.data if source.data is not None else source.path
    pixels = read(given, Limits(max_pixels=options.max_pixels))
    found = model(pixels, tile=options.tile)
    return pixels, found if options.limit is None else found[: options.limit]


def _tell(source: Source, found: Detections, options: Options, stem: str) -> None:
    from sightline.batch.rows import line, row

    if options.as_json:
        print(line(row(source.key, found, options.masks, stem)), flush=True)
        return
    height, width = found.size
    print(shown(f"{source.key}  {width}×{height}  {count(len(found), 'object')}"))
    for text in table(found):
        print(shown(text))


def _tell_error(source: Source, error: SightlineError, options: Options) -> None:
    from sightline.batch.outputs import error_row
    from sightline.batch.rows import line

    error.path = error.path or source.key
    print(shown(f"error: {error}"), file=sys.stderr)
    if options.as_json:
        print(line(error_row(source.key, error)), flush=True)
