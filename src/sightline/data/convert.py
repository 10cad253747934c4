"""Data sets from one format into another: nothing is lost without a word, nothing overwritten."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from sightline.data.formats import FORMATS, Losses, count
from sightline.data.formats.names import check_readable
from sightline.data.formats.output import check_output, staged
from sightline.data.formats.plan import ImageMode, as_yolo_calls_them, place_image, plan
from sightline.data.records import Dataset
from sightline.errors import DatasetError, UsageError


def convert(
    datasets: Sequence[Dataset],
    out: Path,
    to: str,
    images: ImageMode = "copy",
    strict: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    overwrite: bool = False,
) -> Losses:
    """Write data sets, one a split, into the new or empty folder `out` in the format `to`.

    The answer counts what the format cannot hold. `images` are copied byte for byte, hard-linked,
    or left where they are; `progress` hears how many are done. The sources never change. `out` is
    there whole or not at all; `overwrite` lets it replace an earlier conversion, and nothing else.

    UsageError `usage.format`, `usage.images`; DatasetError `convert.not_empty`, `convert.source`,
    `convert.foreign` (see `check_output`), `convert.classes` (the splits must agree),
    `convert.name` (a name that the format cannot write), `convert.loss` with `strict`;
    ResourceError where the disk refuses.
    """
    if to not in FORMATS:
        raise UsageError(
            f"there is no format {to!r}", code="usage.format", hint=f"known: {', '.join(FORMATS)}"
        )
    check_images(images)
    goal = FORMATS[to]
    places = [dataset.root for dataset in datasets]
    places += [example.path for dataset in datasets for example in dataset]
    check_output(out, places, overwrite)
    _check(datasets)
    apart = _apart(datasets)
    losses = count(apart, goal.holds - goal.lacks(apart))
    losses.counts["splits"] += len(datasets) - len(apart)
    if strict and losses:
        told = ", ".join(f"{number} × {kind}" for kind, number in losses.rows())
        raise DatasetError(
            f"{to} cannot hold everything: {told}",
            code="convert.loss",
            path=out,
            hint="leave --strict away, or choose a format that holds more",
        )
    parts = plan(apart)
    if to == "yolo":
        parts = as_yolo_calls_them(parts)
    check_readable(parts)
    goal.check(parts)
    done = 0
    with staged(out) as stage:
        for part in parts:
            folder = stage / goal.images.format(split=part.split or "")
            for name, example in part.pairs():
                place_image(example.path, folder / name, images)
                done += 1
                progress(done)
        goal.write(parts, stage)
    return losses


def _apart(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The splits without those that only repeat images of earlier ones, as VOC's trainval does.

    DatasetError `convert.overlap` where two splits share some of their images.
    """
    seen: set[Path] = set()
    answer: list[Dataset] = []
    for dataset in datasets:
        paths = {example.path for example in dataset}
        if answer and paths <= seen:
            continue
        if paths & seen:
            raise DatasetError(
                f"the split {dataset.split} shares images with another",
                code="convert.overlap",
                path=dataset.root,
                hint="convert one split at a time with --split",
            )
        seen |= paths
        answer.append(dataset)
    return answer


def check_images(mode: str) -> None:
    """UsageError `usage.images` where it is no `ImageMode`."""
    if mode not in get_args(ImageMode):
        raise UsageError(
            f"{mode!r} is none of {', '.join(get_args(ImageMode))}",
            code="usage.images",
            hint="see --help",
        )


def _check(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    for dataset in datasets[1:]:
        same = (dataset.classes, dataset.category_ids) == (first.classes, first.category_ids)
        if not same:
            raise DatasetError(
                f"the splits {first.split} and {dataset.split} have different classes",
                code="convert.classes",
                path=dataset.root,
                hint="convert one split at a time with --split",
            )
