"""`sightline lr-find`: which learning rate to train with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.labelled import MoreLabels
from sightline.cli.task import choose_recipe, open_data
from sightline.cli.train import (
    Data,
    Device,
    Model,
    OnBad,
    RecipeName,
    Seed,
    Settings,
    Split,
    Start,
    Threads,
)


def lr_find(
    data: Data,
    more_labels: MoreLabels = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the plot, the table and the figures.")
    ] = Path("lr-find"),
    model: Model = None,
    recipe: RecipeName = None,
    lowest: Annotated[float, typer.Option("--from", help="Rate to begin with.")] = 1e-6,
    highest: Annotated[float, typer.Option("--to", help="Rate to end with.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Batches of the sweep.")] = 100,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images.")] = None,
    seed: Seed = None,
    start: Start = None,
    device: Device = None,
    threads: Threads = None,
    settings: Settings = None,
    split: Split = None,
    on_bad: OnBad = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Sweep the learning rate over a short training that is thrown away, and suggest one.

    Give the same options as to `sightline train`; the answer goes into --set learning_rate=….
    """
    from sightline import processes
    from sightline.memory import keep_freed_memory
    from sightline.progress import bar
    from sightline.train.rate_finder import find_rate, write
    from sightline.train.start import begin

    keep_freed_memory()
    processes.check_alone("lr-find")
    dataset, _ = open_data(data, split, False, on_bad, more=more_labels or [])
    plain = {"batch": batch, "seed": seed, "device": device, "threads": threads}
    given = [f"{key}={value!r}" for key, value in plain.items() if value is not None]
    if start is not None:
        given.append(f"start={None if start == 'none' else start!r}")
    if size is not None:
        given.append(f"sizes=((1.0, {size}),)")
    chosen = choose_recipe(model, recipe, dataset, [*given, *(settings or [])])
    detector = begin(
        chosen, dataset.classes, lambda line: print(line, file=sys.stderr), dataset.skeleton
    )
    with bar(steps, "lr-find") as shown:
        sweep = find_rate(detector, dataset, chosen, (lowest, highest), steps, shown.to)
    picture = write(sweep, out)
    if as_json:
        print(json.dumps({**sweep.to_json(), "plot": str(picture)}, allow_nan=False))
        return
    blown = "never" if sweep.blow_up is None else f"at {sweep.blow_up:.2g}"
    print(f"the loss falls fastest at {sweep.steepest:.2g} and blows up {blown}; see {picture}")
    print(f"--set learning_rate={sweep.suggestion:g}")
