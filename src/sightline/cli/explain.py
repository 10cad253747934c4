"""`sightline explain`: every stage of one answer, and why things were lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.detect import MODEL, PEOPLE, WEIGHTS, prepare
from sightline.cli.labelled import ON_BAD, From
from sightline.cli.machine import Threads
from sightline.cli.telling import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sightline.data.records import Dataset, Example
    from sightline.explain.view import View
    from sightline.predict import Model

TRUTH = "Labelled images, this one among them: tells of every object how far it came."
SPLIT = "Split of --truth."
OUT = "Folder for pictures, stages.md and stages.json.  [default: sightline-explain]"


def explain(
    sources: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Images, folders, or patterns of them.")
    ],
    model: Annotated[str, typer.Option(help=MODEL)] = "retinanet",
    people: Annotated[str | None, typer.Option(help=PEOPLE, show_default=False)] = None,
    weights: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    truth: Annotated[Path | None, typer.Option(help=TRUTH, show_default=False)] = None,
    source_format: From = None,
    split: Annotated[str | None, typer.Option(help=SPLIT, show_default="all")] = None,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    score: Annotated[
        float, typer.Option(help="Show what scores above this, 0 to 1 (margins: any).")
    ] = 0.3,
    best: Annotated[int, typer.Option(min=1, help="Tell of so many regions a stage.")] = 20,
    out: Annotated[Path | None, typer.Option(help=OUT, show_default=False)] = None,
    threads: Threads = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON an image; write only where --out is."),
    ] = False,
) -> None:
    """Every stage of an answer, drawn and in numbers, and why things were lost.

    Each image gets a folder of pictures and a page. See `sightline lost` for whole data sets.
    """
    from sightline.batch.sources import expand
    from sightline.errors import ImageError
    from sightline.progress import track

    dataset = None if truth is None else _labelled(truth, source_format, split, on_bad)
    ready = prepare(model, score, False, threads, weights, people)
    images = expand(sources)
    place = out if out is not None or as_json else Path("sightline-explain")
    names, failed, warm = _folders([source.key for source in images]), 0, False
    for source in track(images, "images") if len(images) > 1 else images:
        try:
            if source.error is not None:
                raise source.error
            given = source.data if source.data is not None else source.path
            example = None if dataset is None else _example(dataset, Path(source.key))
            folder = None if place is None else place / names[source.key]
            if not warm:  # what is made once would be counted as a stage's time
                ready.trace(given)
                warm = True
            _one(ready, (source.key, given), (dataset, example), folder, (best, as_json))
        except ImageError as error:
            failed += 1
            error.path = error.path or source.key
            print(shown(f"error: {error}"), file=sys.stderr)
    if failed:
        raise typer.Exit(3 if failed < len(images) else 4)


def _labelled(truth: Path, source_format: str | None, split: str | None, on_bad: str) -> Dataset:
    from sightline.data import open_dataset
    from sightline.data.checks import mode

    return open_dataset(truth, split, on_bad=mode(on_bad, "--on-bad"), format=source_format)


def _folders(keys: list[str]) -> dict[str, str]:
    """A folder's name for each image; those of one name are numbered."""
    names: dict[str, str] = {}
    for key in keys:
        stem = Path(key).stem or "image"
        name, number = stem, 2
        while name in names.values():
            name, number = f"{stem}-{number}", number + 1
        names[key] = name
    return names


def _example(dataset: Dataset, path: Path) -> Example:
    """The labelled image that an image is; by its place, else by its name.

    UsageError where there is none, or where two have that name.
    """
    from sightline.errors import UsageError

    same = [one for one in dataset if one.path.exists() and one.path.resolve() == path.resolve()]
    found = same or [one for one in dataset if one.path.name == path.name]
    if len(found) != 1:
        many = "several labelled images are" if found else "no labelled image is"
        raise UsageError(
            f"{many} called {path.name}",
            code="usage.truth",
            hint=f"--truth has {len(dataset)} images; give one of them, by its own path",
        )
    return found[0]


def _one(
    model: Model,
    image: tuple[str, Any],
    labelled: tuple[Dataset | None, Example | None],
    folder: Path | None,
    asked: tuple[int, bool],
) -> None:
    """Tell of one image."""
    from sightline.explain.stages import stages
    from sightline.explain.view import write

    key, given = image
    dataset, example = labelled
    objects = None if example is None else example.objects
    classes = None if dataset is None else dataset.classes
    best, as_json = asked
    trace = model.trace(given, memory=True)
    views = stages(trace, model.detector, objects, classes, best=best)
    if folder is not None:
        write(folder, f"{key}, by {model.name}", views)
    if as_json:
        row = {"image": key, "model": model.name, "stages": [view.to_json() for view in views]}
        print(json.dumps(row, allow_nan=False), flush=True)
        return
    _tell(key, views)
    if folder is not None:
        print(shown(f"pictures, stages.md, stages.json: {folder}"))


def _tell(key: str, views: Sequence[View]) -> None:
    """Numbers of every stage, and the first rows of its table."""
    print(shown(key))
    for view in views:
        limit = 40 if view.name in ("objects", "reasons", "cost") else 5
        for line in view.text(limit).splitlines():
            print(shown(line))
