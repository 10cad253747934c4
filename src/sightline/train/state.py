"""The whole state of a run in one safetensors file, so that it goes on exactly where it stopped.

Tensors: weights, their average, the optimizer's moments, the generators of random numbers. What
is not a tensor (step, time, best figure, recipe …) is JSON in the file's header, with a SHA-256
over all of it. One file, replaced in one rename: never a mix of old and new. The sound one before
is kept as `state.previous.safetensors`.
"""

import hashlib
import json
import random
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sightline.errors import SightlineWarning, WeightsError
from sightline.files import refuse, stage, sync_folder

FORMAT = 1
"""The newest format that this version reads, and the one that it writes."""

NAME = "state.safetensors"
PREVIOUS = "state.previous.safetensors"
WAITING = ".state.safetensors.tmp"
"""A state that is being written; no reader looks at it."""

_sound: dict[Path, tuple[int, ...]] = {}
"""Files that this process wrote or has read, and what the system said of them then: one that is
still the same need not be read again. Whatever writes to a file changes its times.
"""

DAMAGE = (OSError, ValueError, KeyError, TypeError, SafetensorError)
"""What reading a damaged file can end in."""


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state of a run; ResourceError where the disk refuses, the older ones stay.

    The new file is whole on the disk before an older one is touched, and a damaged one never
    takes the place of the sound one before it: an older file that is not known to be sound is read.
    """
    plain = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
    text = json.dumps(facts)
    header = {"format": str(FORMAT), "facts": text, "sha256": digest(plain, text)}
    data = safetensors.torch.save(plain, metadata=header)
    goal, waiting = folder / NAME, folder / WAITING
    try:
        stage(waiting, data)
        if goal.exists() and _is_sound(goal):
            goal.replace(folder / PREVIOUS)
            sync_folder(folder)
        waiting.replace(goal)
        _sound[goal.absolute()] = _marks_of(goal)
        sync_folder(folder)
    except OSError as error:
        refuse(error, goal)
    finally:
        with suppress(OSError):
            waiting.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Remove a state that a killed process left half written; the folder must be held."""
    with suppress(OSError):
        (folder / WAITING).unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest sound state of a run, or None where there is none at all.

    A damaged file is warned about and the one before it is taken; WeightsError
    (`weights.checksum`) when every one is damaged: nothing starts from zero unsaid. One in a newer
    format is no damage: WeightsError (`weights.format`).
    """
    present = [folder / name for name in (NAME, PREVIOUS) if (folder / name).exists()]
    for path in present:
        try:
            return _read(path)
        except DAMAGE as error:
            warnings.warn(
                f"{path}: the saved state is damaged ({error}), trying the one before it",
                SightlineWarning,
                stacklevel=2,
            )
    if not present:
        return None
    raise WeightsError(
        "no saved state of this run is sound",
        code="weights.checksum",
        path=present[0],
        hint="begin anew in another folder, from best.safetensors with --start",
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    marks = _marks_of(path)  # before it is read: what is written meanwhile is then not known
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if digest(tensors, header["facts"]) != header["sha256"]:
        raise ValueError("its sum is wrong")
    if int(header.get("format", 1)) > FORMAT:
        raise WeightsError(
            f"format {header['format']} is newer than the {FORMAT} that this version reads",
            code="weights.format",
            path=path,
            hint="resume with the version of sightline that saved it, or a newer one",
        )
    facts = json.loads(header["facts"])
    _sound[path.absolute()] = marks
    return tensors, facts


def _marks_of(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_sound(path: Path) -> bool:
    try:
        if _sound.get(path.absolute()) != _marks_of(path):
            _read(path)
    except DAMAGE:
        return False
    return True


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """The SHA-256 of tensors on the CPU, by name, dtype, shape and value, and of a text."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        total.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors as `optimizer/<parameter>/<name>`."""
    return {
        f"optimizer/{index}/{key}": torch.as_tensor(value)
        for index, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer back what `pack_optimizer` took.

    Moments get their parameter's memory layout: the fused optimizers walk both side by side.
    """
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            parameter = parameters[int(number)]
            moment = value.ndim > 0 and value.shape == parameter.shape
            laid = (
                torch.empty_like(parameter, requires_grad=False).copy_(value) if moment else value
            )
            state.setdefault(int(number), {})[key] = laid
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def pack_random() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of Python's, NumPy's and PyTorch's generators, as tensors and plain data."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    assert isinstance(keys, np.ndarray)
    tensors = {
        "random/torch": torch.get_rng_state(),
        "random/numpy": torch.from_numpy(keys.astype(np.int64)),
        "random/python": torch.tensor(numbers, dtype=torch.int64),
    }
    return tensors, {"numpy": [kind, *rest], "python": [version, gauss]}


def unpack_random(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Set the generators to what `pack_random` saw."""
    torch.set_rng_state(tensors["random/torch"])
    kind, *rest = facts["numpy"]
    np.random.set_state((kind, tensors["random/numpy"].numpy().astype(np.uint32), *rest))
    version, gauss = facts["python"]
    random.setstate((version, tuple(tensors["random/python"].tolist()), gauss))
