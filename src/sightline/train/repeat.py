"""From the record of a run back to what it was made of: its recipe and its data."""

import dataclasses
from pathlib import Path
from typing import Any

from sightline.data import open_dataset
from sightline.data.checks import mode
from sightline.data.more_labels import with_more
from sightline.data.records import Dataset
from sightline.errors import DatasetError, UsageError
from sightline.nets import weights
from sightline.train.recipes import Recipe
from sightline.train.record import Record
from sightline.train.settings import from_json


def recipe_of(before: Record, device: str | None = None, workers: int | None = None) -> Recipe:
    """The recipe of a recorded run, with what it left to the machine (device, threads, bfloat16) as
    it was there; `device` and `workers` may be others. UsageError for what is no recipe.
    """
    recipe = from_json(before["recipe"])
    named = recipe.start in (None, "embedded", *weights.PUBLISHED)
    changes: dict[str, Any] = {
        "start": recipe.start if named else _path(before, "start", recipe.start),
        "teacher": None if recipe.teacher is None else _path(before, "teacher", recipe.teacher),
        "device": device or str(before["device"]),
        "workers": recipe.workers if workers is None else workers,
        "threads": before["threads"],
        "bf16": before["numbers"] == "bf16",
    }
    if not isinstance(changes["threads"], int) or changes["threads"] < 1:
        raise UsageError(
            f"threads cannot be {changes['threads']!r}",
            code="train.record",
            hint="the record was changed by hand",
        )
    return dataclasses.replace(recipe, **changes)


def _path(before: Record, key: str, otherwise: str | None) -> str | None:
    """Where a file lay, in full: the recipe's own path may be relative to another folder."""
    found = before.get(key)
    return str(found["path"]) if isinstance(found, dict) and "path" in found else otherwise


def open_data(before: Record, folder: Path | None = None) -> tuple[Dataset, Dataset | None]:
    """The data sets of a recorded run, from where they were or from the `folder` they are in now.

    DatasetError where they are not to be found, and all that `open_dataset` raises.
    """
    part, second = before["data"], before["validation"]
    both = (_open(part, folder), None if second is None else _open(second, folder))
    more = [_moved(Path(file), Path(part["path"]), folder) for file in part.get("more") or ()]
    first, other = with_more(both, more, mode(str(part.get("on_bad"))))
    assert first is not None
    return first, other


def _moved(file: Path, home: Path, folder: Path | None) -> Path:
    """Where a file of the data set lies now that the data set lies in `folder`."""
    if folder is None:
        return file
    old, new = (home.parent, folder.parent) if folder.is_file() else (home, folder)
    return new / file.relative_to(old) if file.is_relative_to(old) else file


def _open(part: Record, folder: Path | None) -> Dataset:
    place = folder or Path(part["path"])
    if not place.exists():
        raise DatasetError(
            "the images of the recorded run are not there",
            code="dataset.missing",
            path=place,
            hint="give the folder that they are in now: sightline train DATA --repro …",
        )
    how = mode(str(part.get("on_bad")))
    return open_dataset(place, part.get("split"), on_bad=how, format=part.get("from"))
