"""`sightline train`: teach a model on a folder of labelled images."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sightline.data.records import Dataset
    from sightline.train.recipes import Recipe

RecipeName = Annotated[
    str | None, typer.Option(help="Recipe of the package; without it, fine-tuning.")
]
Model = Annotated[str, typer.Option(help="Model of the catalogue.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Start = Annotated[
    str | None, typer.Option(help="Weights to start from: a file, embedded, or none.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or auto: a GPU if there is one.")]
Threads = Annotated[int | None, typer.Option(help="Threads of the network.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any other setting: KEY=VALUE.")]
Split = Annotated[str | None, typer.Option(help="Split to train on.")]
OnBad = Annotated[str, typer.Option(help="Faulty labels: error, skip or fix.")]
Data = Annotated[Path, typer.Argument(help="Folder of images and labels: COCO, VOC, YOLO or CSV.")]
DataOrNone = Annotated[
    Path | None, typer.Argument(help="Folder of images and labels: COCO, VOC, YOLO or CSV.")
]

LENGTHS = ("epochs", "steps", "minutes")


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: DataOrNone = None,
    model: Model = "retinanet",
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
    from sightline.train import record, state
    from sightline.train.loop import Run
    from sightline.train.loop import train as run_training
    from sightline.train.start import begin

    keep_freed_memory()
    before = None if repro is None else _recorded(context, repro)
    dataset, validation, chosen, notes = _task(options, before)

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    counts = f"{len(dataset)} images to train on, {len(dataset.classes)} classes"
    say(f"{counts}, {len(validation) if validation else 'no'} images to evaluate on")
    saved = resume and any((out / one).exists() for one in (state.NAME, state.PREVIOUS))
    detector = (
        catalogue.build(chosen.model, dataset.classes)
        if saved
        else begin(chosen, dataset.classes, say)
    )
    if batch == "auto":
        chosen = _fitted(chosen, detector, dataset, out if saved else None, say)
    if dry_run:
        _foresee(detector, dataset, validation, chosen, as_json)
        return
    run = Run(
        shlex.join(["sightline", *sys.argv[1:]]), {}, accept_changes, stop_after, say, notes, before
    )
    try:
        best = run_training(detector, dataset, chosen, out, validation, resume=resume, run=run)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    same = None if before is None else record.agreement(before, record.read(out), say)
    if as_json:
        figures = json.loads(best.with_suffix(".json").read_text())["figures"]
        repeated = {} if before is None else {"repeated": same}
        print(json.dumps({"checkpoint": str(best), "figures": figures, **repeated}))
    else:
        print(best)


Task = tuple["Dataset", "Dataset | None", "Recipe", dict[str, str]]
"""What to train on, what to evaluate on, how, and what the record says of the data set."""

BESIDE = (
    *("repro", "data", "out", "device", "workers", "resume", "accept_changes", "stop_after"),
    *("dry_run", "as_json"),
)
"""Options that go with --repro: they choose no other run."""


def _recorded(context: typer.Context, repro: Path) -> dict[str, Any]:
    """The record to repeat; UsageError where options given beside it say something of their own."""
    from sightline.errors import UsageError
    from sightline.train import record

    wrong = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in BESIDE
        and getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    ]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} cannot be given with --repro: the record says what they say",
            code="usage.repro",
            hint="leave them out, or train anew without --repro",
        )
    return record.read(repro)


def _task(options: dict[str, Any], before: dict[str, Any] | None) -> Task:
    """What the options, or a record to repeat, ask for."""
    from sightline import catalogue
    from sightline.errors import UsageError
    from sightline.train import repeat

    data = options["data"]
    if before is not None:
        dataset, validation = repeat.open_data(before, data)
        recipe = repeat.recipe_of(before, options["device"], options["workers"])
        place = data or before["data"]["path"]
        notes = {"path": str(place), "on_bad": before["data"]["on_bad"]}
        return dataset, validation, recipe, notes
    if data is None:
        raise UsageError("which images to train on?", code="usage.data", hint="give DATA, a folder")
    given = [f"{name}={value!r}" for name, value in _plain(options).items() if value is not None]
    if options["size"] is not None:
        given.append(f"sizes=((1.0, {options['size']}),)")
    if options["teacher"] is not None:
        given.append(f"teacher={str(options['teacher'])!r}")
    if options["batch"] not in (None, "auto"):
        given.append(f"batch={options['batch']}")
    if options["class_weights"] is not None:
        given.append(f"class_weights={options['class_weights']}")
    on_bad = options["on_bad"]
    dataset, validation = open_data(data, options["split"], not options["no_validate"], on_bad)
    settings = [*given, *(options["settings"] or [])]
    recipe = choose_recipe(
        catalogue.resolve(options["model"]), options["recipe"], dataset, settings
    )
    return dataset, validation, recipe, {"path": str(data), "on_bad": on_bad}


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


def _plain(values: dict[str, object]) -> dict[str, object]:
    """Those options that are settings of a recipe under the same name."""
    names = (*LENGTHS, "seed", "start", "device", "threads", "workers")
    plain = {name: values[name] for name in names}
    if plain["start"] == "none":
        plain["start"] = None
        return plain | {"start": _NONE}
    return plain


class _None:
    """Prints as None, but is not: the setting `start=None` was asked for."""

    def __repr__(self) -> str:
        return "None"


_NONE = _None()


def choose_recipe(model: str, name: str | None, dataset: Dataset, settings: list[str]) -> Recipe:
    """The recipe named, or the default for these data, with the settings given."""
    from sightline.predict import embedded
    from sightline.train import recipes

    if name is not None:
        return recipes.changed(recipes.named(name), [f"model={model!r}", *settings])
    origin = "embedded" if embedded(model) is not None else None
    return recipes.changed(recipes.default_for(model, dataset, origin), settings)


def open_data(
    folder: Path, split: str | None, validate: bool, on_bad: str
) -> tuple[Dataset, Dataset | None]:
    """The images to train on and, where the folder has them, others to evaluate on."""
    from sightline.data import default_split, open_dataset, splits
    from sightline.data.checks import mode as checked
    from sightline.errors import DatasetError

    mode = checked(on_bad, "--on-bad")
    name = split or default_split(folder, "train")
    dataset = open_dataset(folder, name, on_bad=mode)
    if not validate or not splits(folder):
        return dataset, None
    try:
        other = default_split(folder, "val")
    except DatasetError:
        return dataset, None
    if other == name:
        return dataset, None
    return dataset, open_dataset(folder, other, on_bad=mode)
