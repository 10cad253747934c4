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

if TYPE_CHECKING:
    from sightline.data.records import Dataset
    from sightline.train.loop import Run
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

LENGTHS = ("epochs", "steps", "minutes")


def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
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
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume with other settings or data.")
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
    """Train MODEL on DATA; the best weights are then OUT/best.safetensors."""
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
    given = [f"{name}={value!r}" for name, value in _plain(locals()).items() if value is not None]
    if size is not None:
        given.append(f"sizes=((1.0, {size}),)")
    if teacher is not None:
        given.append(f"teacher={str(teacher)!r}")
    if batch not in (None, "auto"):
        given.append(f"batch={batch}")
    if class_weights is not None:
        given.append(f"class_weights={class_weights}")
    dataset, validation = open_data(data, split, not no_validate, on_bad)
    name = catalogue.resolve(model)
    chosen = choose_recipe(name, recipe, dataset, [*given, *(settings or [])])

    def say(message: str) -> None:
        if processes.is_first():
            print(message, file=sys.stderr, flush=True)

    counts = f"{len(dataset)} images to train on, {len(dataset.classes)} classes"
    say(f"{counts}, {len(validation) if validation else 'no'} images to evaluate on")
    options = Run(shlex.join(sys.argv), {}, accept_changes, stop_after, say, worker_timeout)
    with processes.together(device_of(chosen).type == "cuda", worker_timeout):
        saved = resume and (out / state.NAME).exists()
        detector = (
            catalogue.build(name, dataset.classes) if saved else begin(chosen, dataset.classes, say)
        )
        if batch == "auto":
            chosen = _fitted(chosen, detector, dataset, out if resume else None, say)
        if dry_run:
            _foresee(detector, dataset, validation, chosen, as_json)
            return
        both = (dataset, validation)
        best = _run(detector, both, chosen, out, resume, options)
    if processes.is_first():
        _tell(best, as_json)


def _run(
    detector: object,
    data: tuple[Dataset, Dataset | None],
    recipe: Recipe,
    out: Path,
    resume: bool,
    options: Run,
) -> Path:
    from sightline.train.loop import train as run_training

    try:
        return run_training(detector, data[0], recipe, out, data[1], resume=resume, run=options)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _tell(best: Path, as_json: bool) -> None:
    """Print where the best checkpoint is, or that with its figures."""
    if as_json:
        figures = json.loads(best.with_suffix(".json").read_text())["figures"]
        print(json.dumps({"checkpoint": str(best), "figures": figures}))
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
