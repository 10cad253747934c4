"""What a training verb is asked to do: the data, the recipe, or the record of a run to repeat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sightline.data.checks import OnBad
    from sightline.data.records import Dataset
    from sightline.train.recipes import Recipe

LENGTHS = ("epochs", "steps", "minutes")

Task = tuple["Dataset", "Dataset | None", "Recipe", dict[str, Any]]
"""What to train on, what to evaluate on, how, and what the record says of the data set."""

BESIDE = (
    *("repro", "data", "out", "device", "workers", "resume", "accept_changes", "stop_after"),
    *("dry_run", "as_json", "worker_timeout"),
)
"""Options that go with --repro: they choose no other run."""


def recorded(context: typer.Context, repro: Path) -> dict[str, Any]:
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


def asked(options: dict[str, Any], before: dict[str, Any] | None) -> Task:
    """What the options, or a record to repeat, ask for."""
    from sightline.errors import UsageError
    from sightline.train import repeat

    data = options["data"]
    if before is not None:
        dataset, validation = repeat.open_data(before, data)
        recipe = repeat.recipe_of(before, options["device"], options["workers"])
        place = data or before["data"]["path"]
        said = {key: before["data"].get(key) for key in ("on_bad", "from", "more")}
        notes = {"path": str(place), **said}
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
    more = options["more_labels"] or []
    said = {"on_bad": options["on_bad"], "from": options["source_format"]}
    dataset, validation = open_data(
        data, options["split"], not options["no_validate"], said["on_bad"], said["from"], more
    )
    said["more"] = [str(file.absolute()) for file in more]
    settings = [*given, *(options["settings"] or [])]
    recipe = choose_recipe(options["model"], options["recipe"], dataset, settings)
    return dataset, validation, recipe, {"path": str(data), **said}


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


def choose_recipe(
    model: str | None, name: str | None, dataset: Dataset, settings: list[str]
) -> Recipe:
    """The recipe named, or the default for these data, with the settings given."""
    from sightline import catalogue
    from sightline.predict import embedded
    from sightline.train import recipes
    from sightline.train.settings import changed

    if name is not None:
        own = [] if model is None else [f"model={catalogue.resolve(model)!r}"]
        return changed(recipes.named(name), [*own, *settings])
    model = catalogue.resolve(model or "retinanet")
    origin = "embedded" if embedded(model) is not None else None
    asked = changed(recipes.default_for(model, dataset, origin), settings)
    return changed(recipes.default_for(model, dataset, asked.start), settings)


def open_data(
    folder: Path,
    split: str | None,
    validate: bool,
    on_bad: str,
    source_format: str | None = None,
    more: Sequence[Path] = (),
) -> tuple[Dataset, Dataset | None]:
    """The images to train on and, where the folder has them, others to evaluate on.

    `more` are label files that know masks or keypoints of the same objects.
    """
    from sightline.data.checks import mode as checked
    from sightline.data.more_labels import with_more

    mode = checked(on_bad, "--on-bad")
    both = _open(folder, split, validate, mode, source_format)
    dataset, validation = with_more(both, more, mode)
    assert dataset is not None
    return dataset, validation


def _open(
    folder: Path, split: str | None, validate: bool, mode: OnBad, source_format: str | None
) -> tuple[Dataset, Dataset | None]:
    from sightline.data import default_split, open_dataset, splits
    from sightline.data.kept import kept
    from sightline.errors import DatasetError

    with kept():
        name = split or default_split(folder, "train", source_format)
        dataset = open_dataset(folder, name, on_bad=mode, format=source_format)
        if not validate or not splits(folder, source_format):
            return dataset, None
        try:
            other = default_split(folder, "val", source_format)
        except DatasetError:
            return dataset, None
        if other == name:
            return dataset, None
        return dataset, open_dataset(folder, other, on_bad=mode, format=source_format)
