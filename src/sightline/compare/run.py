"""The course of a comparison: train, judge, measure; what is done stays done.

Every model has its folder in that of the comparison, with its run and with `measured.json`, what
was found out about it. An interrupted comparison, begun again, takes up what is there: finished
rows are read, a run that was stopped goes on to the bit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline import checkpoint, predict
from sightline.compare import times
from sightline.compare.look import Wish, look
from sightline.compare.plan import Contender
from sightline.compare.rows import Row, Times
from sightline.data.records import Dataset
from sightline.errors import DatasetError, TrainingDiverged, UsageError, WeightsError
from sightline.files import file_sum, make_folder, write_json
from sightline.progress import bar
from sightline.train.compare import Variant, trained
from sightline.train.setup import Say

VERSION = 1
"""Of what `measured.json` holds: an older one is measured again."""

MEASURED = "measured.json"
NO_FIT = ("weights.architecture", "train.start")
"""Codes of weights that a model cannot begin with: it then begins at random, and says so."""


@dataclass(frozen=True)
class Comparison:
    """All that was found out: rows in the order of the models, times and views by their names."""

    rows: tuple[Row, ...]
    times: Mapping[str, Times]
    shown: Mapping[str, Any]


class Unfinished(Exception):
    """A run was paused: the same comparison, begun again, goes on with it."""


def compare(
    contenders: Sequence[Contender],
    data: tuple[Dataset, Dataset],
    out: Path,
    wish: Wish,
    looks: int,
    say: Say,
) -> Comparison:
    """Carry every contender through; `data` are the images to learn from and those to judge on.

    A model that cannot learn from these data, or diverges, is a row that says so. Raises
    UsageError (`usage.empty` without test images, `train.changed` where another run is in the
    folder), ResourceError, `Unfinished`, and what a signal raises.
    """
    learn, test = data
    if not len(test):
        raise UsageError("there are no images to measure on", code="usage.empty", path=test.root)
    make_folder(out)
    rows: list[Row] = []
    shown, paths = {}, {}
    for one in contenders:
        try:
            path = _trained(one, learn, out, say)
        except (TrainingDiverged, DatasetError) as error:
            say(f"{one.name}: {error}")
            model = one.name if one.recipe is None else one.recipe.model
            rows.append(Row(one.name, model, failed=error.message))
            continue
        row, views = _judged(one, path, test, out, wish, say)
        rows.append(row)
        shown[one.name], paths[one.name] = views, path
    taken = _times(paths, test, out, looks, say) if paths else {}
    return Comparison(tuple(rows), taken, shown)


def _trained(one: Contender, learn: Dataset, out: Path, say: Say) -> Path:
    """The checkpoint of a contender; of weights that do not fit, it goes on without."""
    if one.recipe is None:
        assert one.path is not None
        return checkpoint.find(one.path) if one.path.is_dir() else one.path
    say(f"{one.name}: learning")
    try:
        path = trained(Variant(one.name, one.recipe), learn, out, say)
    except (UsageError, WeightsError) as error:
        if error.code not in NO_FIT or one.recipe.start is None:
            raise
        say(f"{one.name}: begins at random: {error.message}")
        recipe = replace(one.recipe, start=None)
        path = trained(Variant(one.name, recipe), learn, out, say)
    if path.stem != "best":
        raise Unfinished(one.name)
    return path


def _judged(
    one: Contender, path: Path, test: Dataset, out: Path, wish: Wish, say: Say
) -> tuple[Row, dict[str, Any]]:
    """The row of a checkpoint: read where it was judged before in just this way."""
    place = make_folder(out / one.name) / MEASURED
    key = {
        "version": VERSION,
        "weights": (file_sum(path.with_suffix(".safetensors")) or {}).get("sha256"),
        "data": test.fingerprint(),
        "resamples": wish.resamples,
        "seed": wish.seed,
        "views": [*wish.views],
        "candidates": wish.candidates,
    }
    before = _read(place)
    if before is not None and before.get("key") == key:
        say(f"{one.name}: judged already")
        return Row.of(before["row"]), before["shown"]
    model = predict.load(path, score=None)
    with bar(len(test), f"judge {one.name}") as heard:
        row, shown = look(model, one.name, test, wish, lambda done, _: heard.to(done))
    training = model.manifest.get("training") or {}
    row = replace(row, **_history(model.manifest, training))
    write_json(place, {"key": key, "row": row.to_json(), "shown": shown})
    ap = row.figures["AP"]
    say(f"{one.name}: AP {'–' if ap is None else format(ap, '.3f')}")
    return row, json.loads(json.dumps(shown))  # as it is read: keys are text


def _history(manifest: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint tells of how it came to be."""
    recipe = training.get("recipe") or {}
    start = recipe.get("start") if recipe else "the package"
    steps = training.get("step")
    return {"start": Path(start).name if start else "random", "steps": steps or None}


def _read(place: Path) -> dict[str, Any] | None:
    """What was written before; None where there is nothing that can be read."""
    try:
        value = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _times(
    paths: Mapping[str, Path], test: Dataset, out: Path, looks: int, say: Say
) -> dict[str, Times]:
    """The times of all, taken together; read where the same models were measured before."""
    sums = {
        name: (file_sum(path.with_suffix(".safetensors")) or {}).get("sha256")
        for name, path in paths.items()
    }
    key = {"version": VERSION, "weights": sums, "data": test.fingerprint(), "looks": looks}
    place = out / "times.json"
    before = _read(place)
    if before is not None and before.get("key") == key:
        say("times: measured already")
        return {name: Times(**value) for name, value in before["rows"].items()}
    say("times: measuring")
    models = {name: predict.load(path, score=None) for name, path in paths.items()}
    training = {name: _seconds(model.manifest) for name, model in models.items()}
    found = times.measure(models, paths, test, looks, training)
    write_json(place, {"key": key, "rows": {name: one.to_json() for name, one in found.items()}})
    return found


def _seconds(manifest: Mapping[str, Any]) -> float | None:
    seconds = (manifest.get("training") or {}).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None
