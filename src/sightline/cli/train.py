"""`sightline train`: teach a model on a folder of labelled images."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline import processes
from sightline.cli.labelled import ON_BAD, SOURCE, From, MoreLabels
from sightline.cli.task import asked, recorded

if TYPE_CHECKING:
    from sightline.data.records import Dataset
    from sightline.train.loop import Run
    from sightline.train.recipes import Recipe

RecipeName = Annotated[
    str | None, typer.Option(help="Recipe of the package; without it, fine-tuning.")
]
Model = Annotated[
    str | None,
    typer.Option(help="Model of the catalogue.", show_default="that of the recipe, else retinanet"),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Start = Annotated[
    str | None, typer.Option(help="Weights to start from: a file, embedded, or none.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or auto: a GPU if there is one.")]
Threads = Annotated[int | None, typer.Option(help="Threads of the network.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any other setting: KEY=VALUE.")]
Split = Annotated[str | None, typer.Option(help="Split to train on.")]
OnBad = Annotated[str, typer.Option(help=ON_BAD)]
Data = Annotated[Path, typer.Argument(help=SOURCE)]
DataOrNone = Annotated[Path | None, typer.Argument(help=SOURCE)]


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: DataOrNone = None,
    source_format: From = None,
    more_labels: MoreLabels = None,
    model: Model = None,
    recipe: RecipeName = None,
    epochs: Annotated[float | None, typer.Option(help="Length: passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length: batches.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length: minutes of training.")] = None,
    batch: Annotated[
        str | None, typer.Option(help="Images a step; auto for as many as fit into memory.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, all along.")] = None,
    seed: Seed = None,
    start: Start = None,
    device: Device = None,
    threads: Threads = None,
    workers: Annotated[int | None, typer.Option(help="Threads that prepare images.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="ONNX network to learn from too.")] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="auto: rare classes count more; or {'NAME': WEIGHT, …}.")
    ] = None,
    settings: Settings = None,
    split: Split = None,
    on_bad: OnBad = "error",
    no_validate: Annotated[bool, typer.Option("--no-validate", help="No evaluation.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")] = False,
    repro: Annotated[
        Path | None, typer.Option(help="Train again what a run's repro.json records.")
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume or repeat with what has changed.")
    ] = False,
    stop_after: Annotated[
        float | None, typer.Option(help="Pause after so many minutes; --resume goes on.")
    ] = None,
    worker_timeout: Annotated[
        float, typer.Option(help="Seconds that a process of torchrun waits for another.")
    ] = processes.TIMEOUT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, and train nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Train MODEL on DATA; the best weights are then OUT/best.safetensors.

    With --repro alone, train once more what the record of a run says: the same weights come out.
    """
    options = dict(locals())
    from sightline import catalogue
    from sightline.memory import keep_freed_memory
    from sightline.train import state
    from sightline.train.loop import Run
    from sightline.train.setup import device_of
    from sightline.train.start import begin

    keep_freed_memory()
    if dry_run:
        processes.check_alone("--dry-run")
    resume = resume or processes.restarts() > 0
    before = None if repro is None else recorded(context, repro)
    dataset, validation, chosen, notes = asked(options, before)

    def say(message: str) -> None:
        if processes.is_first():
            print(message, file=sys.stderr, flush=True)

    counts = f"{len(dataset)} images to train on, {len(dataset.classes)} classes"
    say(f"{counts}, {len(validation) if validation else 'no'} images to evaluate on")
    command = shlex.join(["sightline", *sys.argv[1:]])
    run = Run(command, {}, accept_changes, stop_after, say, notes, before, worker_timeout)
    with processes.together(device_of(chosen).type == "cuda", worker_timeout):
        saved = resume and any((out / one).exists() for one in (state.NAME, state.PREVIOUS))
        detector = (
            catalogue.build(chosen.model, dataset.classes, dataset.skeleton, dict(chosen.options))
            if saved
            else begin(chosen, dataset.classes, say, dataset.skeleton)
        )
        if batch == "auto":
            chosen = _fitted(chosen, detector, dataset, out if resume else None, say)
        if dry_run:
            _foresee(detector, dataset, validation, chosen, as_json)
            return
        both = (dataset, validation)
        best = _run(detector, both, chosen, out, resume, run)
    if processes.is_first():
        _tell(best, run, as_json)


def _run(
    detector: object,
    data: tuple[Dataset, Dataset | None],
    recipe: Recipe,
    out: Path,
    resume: bool,
    run: Run,
) -> Path:
    from sightline.train.loop import train as run_training

    try:
        return run_training(detector, data[0], recipe, out, data[1], resume=resume, run=run)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _tell(best: Path, run: Run, as_json: bool) -> None:
    """Print where the best checkpoint is, or that with its figures, and whether a repeated run
    came out the same.
    """
    from sightline.train import record

    if not best.exists():  # paused before there was one
        print(json.dumps({"checkpoint": None, "figures": {}}) if as_json else "no checkpoint yet")
        return
    before = run.repeats
    same = None
    if before is not None:
        same = record.agreement(before, record.read(best.parent), run.say)
    if as_json:
        figures = json.loads(best.with_suffix(".json").read_text())["figures"]
        repeated = {} if before is None else {"repeated": same}
        print(json.dumps({"checkpoint": str(best), "figures": figures, **repeated}))
    else:
        print(best)


def _fitted(
    recipe: Recipe, detector: object, dataset: Dataset, out: Path | None, say: Callable[[str], None]
) -> Recipe:
    """The recipe with as many images a step as fit, or as the run in `out` has."""
    from sightline.train import autobatch

    before = None if out is None else autobatch.recorded(out)
    if before is not None:
        return replace(recipe, batch=before)
    return autobatch.fitted(detector, dataset, recipe, say)


def _foresee(
    detector: object,
    dataset: Dataset,
    validation: Dataset | None,
    recipe: Recipe,
    as_json: bool,
) -> None:
    """Print what a run would take."""
    from sightline.train.estimate import measure
    from sightline.train.setup import check_data

    validation = check_data(detector, dataset, validation, lambda line: None)
    found = measure(detector, dataset, recipe, validation)
    print(json.dumps({**found.to_json(), "batch": recipe.batch}) if as_json else found)
