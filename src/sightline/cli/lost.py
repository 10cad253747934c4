"""`sightline lost`: where does a model lose the objects of a data set?"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.detect import PEOPLE
from sightline.cli.evaluate import opened
from sightline.cli.labelled import ON_BAD, DataOrNone, From, ImageFolder, Judged, LabelFile
from sightline.cli.machine import Threads

if TYPE_CHECKING:
    from sightline.explain.losses import Losses
    from sightline.predict import Model

MODELS = "Names of `sightline models`, or checkpoints, with commas: a column each."


def lost(
    data: DataOrNone = None,
    source_format: From = None,
    split: Judged = None,
    annotations: LabelFile = None,
    images: ImageFolder = None,
    models: Annotated[str, typer.Option(help=MODELS)] = "retinanet",
    iou: Annotated[
        float, typer.Option(min=0.1, max=0.95, help="From which overlap on an object is found.")
    ] = 0.5,
    people: Annotated[str | None, typer.Option(help=PEOPLE, show_default=False)] = None,
    first: Annotated[
        int | None, typer.Option(min=1, help="Look at the first N images only.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table (JSON, CSV, Markdown) and a chart.")
    ] = None,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    threads: Threads = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Where objects are lost, and what each stage could give: a column a model.

    Every object is counted at the furthest stage that it reached, every candidate by what became of
    it; then AP as it is, and if one stage after the other were perfect. See `sightline explain` for
    one image.
    """
    names = [name.strip() for name in models.split(",") if name.strip()]
    _check(names)
    if people is not None:
        _check_people(names, threads, people)
    dataset = opened(data, split, (annotations, images), on_bad, source_format)
    if first is not None:
        dataset = dataset.subset(range(min(first, len(dataset))))
    from sightline.explain.losses import losses, markdown, rows, write
    from sightline.explain.words import Stage
    from sightline.progress import bar

    found: dict[str, tuple[str, Losses]] = {}
    for number, name in enumerate(names, start=1):
        began, (ready, _) = time.monotonic(), _ready(name, threads, people)
        turn = f"{number} of {len(names)}, {ready.name}"
        with bar(len(dataset), turn) as shown:
            counted = losses(
                ready.detector, dataset, iou=iou, progress=lambda done, _: shown.to(done)
            )
        found[name] = ready.name, counted
        matched = f"{100 * counted.share(Stage.MATCHED):.1f} % of {counted.objects:,} objects"
        spent = f"{time.monotonic() - began:.0f} s"
        print(f"{turn}: {matched} matched, in {spent}", file=sys.stderr, flush=True)
    told = _short(found)
    if out is not None:
        from sightline.files import make_folder

        write(make_folder(out), told)
    if as_json:
        print(json.dumps({k: v.to_json() for k, v in told.items()}, allow_nan=False))
        return
    print(markdown(rows(told)), end="")
    if out is not None:
        print(f"tables and chart: {out}")


def _ready(name: str, threads: int | None, people: str | None) -> tuple[Model, bool]:
    """The model, after the detector `people` if it is a top-down one; and whether it is."""
    from sightline.cli.detect import prepare
    from sightline.errors import UsageError

    try:
        return prepare(name, None, False, threads, people=people), people is not None
    except UsageError as error:
        if error.code != "usage.people":
            raise
        return prepare(name, None, False, threads), False  # it finds the people itself


def _check_people(names: list[str], threads: int | None, people: str) -> None:
    """UsageError where no model poses the people that another one finds."""
    from sightline.errors import UsageError

    if not any(_ready(name, threads, people)[1] for name in names):
        message = (
            "all these models find their objects themselves: --people goes before top-down poses"
        )
        raise UsageError(message, code="usage.people", hint="such as cpm")


def _check(names: list[str]) -> None:
    """UsageError without a model, or for one named twice."""
    from sightline.errors import UsageError

    if not names:
        raise UsageError("which models?", code="usage.models", hint="--models retinanet,yolo_v3")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"named twice: {', '.join(twice)}", code="usage.models")


def _short(found: dict[str, tuple[str, Losses]]) -> dict[str, Losses]:
    """The columns under the models' names, where these tell them apart, else as they were given."""
    names = [model for model, _ in found.values()]
    plain = len(set(names)) == len(names)
    return {model if plain else given: counted for given, (model, counted) in found.items()}
