"""repro.json: all that is needed to train a run again, and what came out.

Written when the run begins, complete with the results when it is over. `check` holds what a run
begins with against the record of another: other data or weights make another run, other versions or
hardware may change the last bits.
"""

import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sightline import __version__
from sightline.data.records import Dataset
from sightline.errors import SightlineError, UsageError
from sightline.files import file_sum, write_json
from sightline.train import pace, start, state
from sightline.train.course import Progress
from sightline.train.recipes import Recipe
from sightline.train.setup import Say, device_of

NAME = "repro.json"
FORMAT = 1
PACKAGES = ("torch", "numpy", "numba", "Pillow")
"""Those whose version may change a bit of the weights."""

RESULTS = ("best", "last")

SAME = ("classes", "data", "validation", "start", "teacher", "weights")
"""What must be the same for the same run; the rest may change its last bits."""

Record = dict[str, Any]

_PLACE = {
    **{"path": str, "split": (str, None), "on_bad": str, "from": (str, None), "fingerprint": str},
    "more": (list, None),
}
_FILE = (dict, None)
SHAPE = {
    "recipe": {"augmentation": dict},
    **{"classes": list, "data": _PLACE, "validation": (_PLACE, None)},
    **{"start": _FILE, "teacher": _FILE, "weights": _FILE},
    **{"threads": int, "device": str, "numbers": str, "machine": dict, "versions": dict},
    "changes": (list, None),
}
"""What a record must hold to be read: keys to types, tuples where there is a choice."""

CHANGE = {"step": int, "settings": list}


@dataclass(frozen=True)
class Beginning:
    """What a run begins with. `known` is what `setup.facts` says; `notes` what the caller alone
    knows: command, and of the data set `path`, `on_bad` and `from`, its format.
    """

    recipe: Recipe
    detector: Any
    data: tuple[Dataset, Dataset | None]
    known: Mapping[str, Any]
    notes: Mapping[str, Any]

    def to_json(self) -> Record:
        """The record of the run, without its results."""
        dataset, validation = self.data
        sound = [one for one in self.data if one is not None]
        value = {
            "format": FORMAT,
            "recipe": self.recipe.to_json(),
            "classes": list(dataset.classes),
            "data": self._data(dataset, "data"),
            "validation": None if validation is None else self._data(validation, "validation"),
            "labels": {
                what: dict(Counter(fault.code for one in sound for fault in getattr(one, what)))
                for what in ("skipped", "repaired")
            },
            "start": start.origin(self.recipe),
            "teacher": file_sum(self.recipe.teacher),
            "weights": weights_sum(self.detector),
            "numbers": self.known["numbers"],
            "threads": self.known["threads"],
            "processes": self.known.get("processes", 1),
            "device": device_of(self.recipe).type,
            "machine": machine(device_of(self.recipe)),
            "versions": versions(),
            "command": self.notes.get("command", ""),
        }
        plain: Record = json.loads(json.dumps(value))
        return plain

    def _data(self, dataset: Dataset, key: str) -> Record:
        return {
            "path": str(Path(self.notes.get("path") or dataset.root).absolute()),
            "split": dataset.split,
            "on_bad": self.notes.get("on_bad", "error"),
            **{"from": self.notes.get("from"), "more": self.notes.get("more") or []},
            "images": len(dataset),
            "bytes": sum(_sizes(dataset)),
            "fingerprint": self.known[key],
        }


def _sizes(dataset: Dataset) -> Iterator[int]:
    """The bytes of each image file: the fingerprint knows the labels alone."""
    for example in dataset:
        with suppress(OSError):
            yield example.path.stat().st_size


def versions() -> dict[str, str]:
    """Of this package, of those that compute with it, and of Python."""
    found = {name.lower(): metadata.version(name) for name in PACKAGES}
    found["torch"] = torch.__version__  # with its build, as in 2.9.0+cpu
    return {"sightline": __version__, **found, "python": platform.python_version()}


def machine(device: torch.device) -> dict[str, str]:
    """What of the hardware chooses between kernels that add in another order."""
    name = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    found = {
        "platform": platform.platform(),
        "cpu": name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def weights_sum(detector: Any) -> dict[str, str]:
    """The SHA-256 of all that a detector is before its first step."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in detector.state_dict().items()}
    return {"sha256": state.digest(tensors)}


def read(path: str | Path) -> Record:
    """The record at `path`, a file or a run's folder.

    Raises UsageError: train.record_missing, train.record (no record of a run), train.record_newer.
    """
    place = Path(path) / NAME if Path(path).is_dir() else Path(path)
    try:
        found = json.loads(place.read_bytes())
        number = found["format"]
        if isinstance(number, int) and number > FORMAT:
            raise _newer(number, place)
        sound = isinstance(number, int) and _fits(found, SHAPE)
        sound = sound and all(_fits(c, CHANGE) for c in found.get("changes") or ())
    except OSError as error:
        raise UsageError(
            f"the record of a run cannot be read: {error.strerror}",
            code="train.record_missing",
            path=place,
            hint=f"give a run's folder, or its {NAME}",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UsageError(
            "not the record of a run",
            code="train.record",
            path=place,
            hint=f"give a run's folder, or its {NAME}",
        )
    return dict(found)


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(_fits(value.get(k), w) for k, w in wanted.items())
    if isinstance(wanted, tuple):
        return any(_fits(value, one) for one in wanted)
    return value is None if wanted is None else isinstance(value, wanted)


def _newer(number: int, place: Path) -> UsageError:
    return UsageError(
        f"format {number} is newer than the {FORMAT} that this version reads",
        code="train.record_newer",
        path=place,
        hint="use the version of sightline that wrote it, or a newer one",
    )


def check(before: Record, now: Record, accept: bool, say: Say) -> None:
    """Refuse to repeat a run from other data or weights, or one whose settings were changed on its
    way, unless that is wanted (`train.changed`); say what else differs.
    """
    if before["recipe"].get("minutes") is not None and "pace" not in before:
        raise UsageError(
            "a run by the clock is repeated at the pace it had, and this one is not through",
            code="train.unfinished",
            hint="finish it with --resume, or train anew with --steps",
        )
    grave = [line for key in SAME for line in _differences(key, before[key], now[key])]
    for change in before.get("changes") or ():
        grave += [f"from step {change['step']} on {line}" for line in change["settings"]]
    slight = ("threads", "processes", "device", "numbers", "machine", "versions")
    other = [line for key in slight for line in _differences(key, before.get(key), now[key])]
    if other:
        say(f"not as it was, so the last bits may differ: {'; '.join(other)}")
    if not grave:
        return
    if not accept:
        raise UsageError(
            f"this is not what the recorded run began with: {'; '.join(grave)}",
            code="train.changed",
            hint="bring back what it was, or say --accept-changes (another run, other weights)",
        )
    say(f"repeating with changes, so other weights will come out: {'; '.join(grave)}")


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """What differs between two entries, in words; where files lie does not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in now if key not in ("path", "on_bad", "from", "more")]
        return [x for key in keys for x in _differences(f"{name} {key}", before.get(key), now[key])]
    return [] if before == now else [f"{name}: {_short(before)} → {_short(now)}"]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("sha256") or value.get("fingerprint")
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def begin(out: Path, record: Record) -> None:
    """Write the record of a run that begins."""
    _write(out, record)


def go_on(out: Path, now: Record, step: int, changes: Sequence[str]) -> None:
    """Note what is not as it was in a run that is resumed at `step`; the rest of its record stays.

    A record that is lost is begun anew, and says so: where the run started is no longer known.
    """
    try:
        record = read(out)
    except UsageError:
        record = {**now, "start": None, "weights": None}
        changes = [*changes, "the record of its beginning was lost"]
    lines = [x for key in ("machine", "versions") for x in _differences(key, record[key], now[key])]
    kept = {key: record[key] for key in ("start", "weights", "machine", "versions")}
    origin = record["recipe"].get("start")
    record |= {**now, **kept}
    record["recipe"] = {**now["recipe"], "start": origin}
    if changes or lines:
        change = {"step": step, "settings": list(changes), "machine": lines}
        record["changes"] = [*record.get("changes", []), change]
    record.pop("results", None)
    _write(out, record)


def add(out: Path, **entries: Any) -> None:
    """Add entries to a run's record; what cannot be written does not end the run."""
    with suppress(SightlineError, ValueError):
        _write(out, {**read(out), **entries})


def _write(out: Path, record: Record) -> None:
    write_json(out / NAME, record, indent=1)


def conclude(out: Path, at: Progress) -> None:
    """Add what came of a run that is over: the SHA-256 of its weights, and the pace it had."""
    found = {name: file_sum(out / f"{name}.safetensors") for name in RESULTS}
    sums = {name: one["sha256"] for name, one in found.items() if one is not None}
    marks = {"pace": pace.realised(at)} if at.marks else {}
    add(out, results={"steps": at.step, **sums}, **marks)


def agreement(before: Record, now: Record, say: Say) -> dict[str, bool] | None:
    """Say whether the weights of two runs are the same, and tell it file by file; None where one of
    them is not through.
    """
    old, new = before.get("results"), now.get("results")
    if not isinstance(new, dict):
        return None
    if not isinstance(old, dict):
        say("the recorded run was not through: there are no weights to compare with")
        return None
    same = {name: old.get(name) == new.get(name) for name in RESULTS}
    if all(same.values()):
        say(f"the weights are those of the recorded run, SHA-256 {_short(new.get('best'))}")
    else:
        lines = [x for name in RESULTS for x in _differences(name, old.get(name), new.get(name))]
        say(f"the weights are not those of the recorded run: {'; '.join(lines)}")
    return same
