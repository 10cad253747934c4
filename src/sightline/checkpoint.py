"""Our own checkpoints: NAME.safetensors (the tensors) beside NAME.json (the manifest).

The manifest says what the tensors are (format, model, classes, skeleton, options, category_ids,
preparation, figures, training, licence) and holds their SHA-256: a pair that does not belong
together is refused. It holds its own, too (`manifest_sha256`, over its JSON with sorted keys, no
spaces and without that key); manifests from before there was one are read without.

A pair is replaced in one step all the same: the tensors wait under a name made from their sum, then
the manifest is renamed (from here on the new checkpoint counts), then the tensors. A reader that
finds the tensors not yet renamed takes the waiting ones, so a crash at any point leaves the old
checkpoint or the new one.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sightline import __version__, files, skeletons
from sightline.errors import WeightsError
from sightline.nets import state as states
from sightline.skeletons import Skeleton

FORMAT = 1
"""The newest format that this version reads, and the one that it writes."""

WAITING = re.compile(r"\.(.+)\.(?:safetensors|json)\.[0-9a-f]{16}\.tmp")
"""The names of tensors and manifests that are being written."""

OWN_SUM = "manifest_sha256"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, as `nn.Module.state_dict` names them, floats in float32; the manifest."""

    state: Mapping[str, Tensor]
    manifest: Mapping[str, Any]
    path: Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names that the checkpoint was trained for; () where the manifest has none."""
        return tuple(self.manifest.get("classes") or ())

    @property
    def skeleton(self) -> Skeleton | None:
        """What the keypoints mean that it finds; None where the manifest names none."""
        return skeletons.from_manifest(self.manifest, self.path)


def write(path: str | Path, state: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> None:
    """Write the checkpoint at `path` (NAME, NAME.safetensors or NAME.json) in one step.

    Tensors keep their dtype. The keys format, sightline, dtype, bytes, sha256 and
    manifest_sha256 are filled in here. Raises ResourceError (disk full, no permission; the older
    checkpoint stays and nothing is left beside it) and WeightsError weights.non_finite.
    """
    goal = _tensors(Path(path))
    states.check_finite(state, goal)
    # safetensors wants every tensor to own its memory: no views, none shared between two names
    plain = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in state.items()}
    data = safetensors.torch.save(plain)
    kinds = sorted({str(v.dtype)[6:] for v in plain.values() if v.is_floating_point()})
    total = hashlib.sha256(data).hexdigest()
    filled = {
        **manifest,
        "format": FORMAT,
        "sightline": __version__,
        "dtype": " ".join(kinds),
        "bytes": len(data),
        "sha256": total,
    }
    filled[OWN_SUM] = _own_sum(filled)
    text = json.dumps(filled, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files.make_folder(goal.parent)
    with suppress(WeightsError):
        _settle(goal)
    waiting, note = _waiting(goal, total), _waiting(goal.with_suffix(".json"), total)
    try:
        files.stage(waiting, data)
        files.stage(note, text.encode())
        files.sync_folder(goal.parent)
        note.replace(goal.with_suffix(".json"))
    except OSError as error:
        files.refuse(error, goal)
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        if _sum(goal) != total:  # not committed: the old manifest still stands
            with suppress(OSError):
                waiting.unlink(missing_ok=True)
    _commit(goal, waiting)


def read(path: str | Path) -> Checkpoint:
    """The checkpoint at `path`: NAME.safetensors, NAME.json, NAME, or a run's folder.

    Of a folder: best, else last. Floats become float32, whatever the file holds (fp16, bf16):
    widening is exact. Raises WeightsError: weights.not_found, .unsafe_format (a pickle), .format
    (not a manifest, or a newer format), .truncated, .checksum, .non_finite.
    """
    goal = find(Path(path))
    for _ in range(3):  # a writer may rename between our two readings; then the sums differ once
        manifest = _manifest(goal)
        for place in (goal, _waiting(goal, str(manifest["sha256"])), goal):
            data = _bytes(place)
            if data is not None and hashlib.sha256(data).hexdigest() == manifest["sha256"]:
                return Checkpoint(_parse(data, goal), manifest, goal)
    data = _bytes(goal)
    if data is None:
        raise WeightsError("the tensors are missing", code="weights.not_found", path=goal)
    expected = manifest.get("bytes")
    if len(data) == 0 or (isinstance(expected, int) and len(data) < expected):
        raise WeightsError(
            f"cut short: {len(data):,} of {expected:,} bytes",
            code="weights.truncated",
            path=goal,
            hint="copy or download the file again",
        )
    raise WeightsError(
        "the tensors are not those that the manifest was written for",
        code="weights.checksum",
        path=goal,
        hint=f"SHA-256 differs from {goal.stem}.json; copy both files again",
    )


def load_into(module: nn.Module, checkpoint: Checkpoint, ignore: Sequence[str] = ()) -> None:
    """Copy a checkpoint into a module; entries that start with one of `ignore` stay as they are.

    `ignore` with the head's prefix is how a detector is carried over to other classes. Raises
    WeightsError: weights.class_count with both numbers, weights.architecture.
    """
    classes = getattr(module, "classes", None)
    if not ignore and classes is not None and len(checkpoint.classes) not in (0, len(classes)):
        raise WeightsError(
            f"the checkpoint has {len(checkpoint.classes)} classes, the model {len(classes)}",
            code="weights.class_count",
            path=checkpoint.path,
            hint="build the model for the checkpoint's classes, or start with a new head",
        )
    states.load(module, checkpoint.state, ignore=ignore, path=checkpoint.path)


def tidy(folder: Path) -> None:
    """Finish or forget every write into `folder` that a killed process left half done.

    Only for whoever holds the folder alone. Raises ResourceError.
    """
    for path in list(folder.iterdir()):
        found = WAITING.fullmatch(path.name)
        if found:
            with suppress(WeightsError):
                _settle(folder / f"{found[1]}.safetensors")
    files.tidy(folder, WAITING)


def _tensors(path: Path) -> Path:
    stem = path.name.removesuffix(".safetensors").removesuffix(".json")
    return path.with_name(f"{stem}.safetensors")


def _waiting(goal: Path, total: str) -> Path:
    return goal.with_name(f".{goal.name}.{total[:16]}.tmp")


def _own_sum(manifest: Mapping[str, Any], key: str = OWN_SUM) -> str:
    """The SHA-256 of a manifest without its entry `key`."""
    rest = json.loads(json.dumps({k: v for k, v in manifest.items() if k != key}))
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_intact(manifest: Mapping[str, Any]) -> bool:
    if OWN_SUM in manifest:
        return bool(manifest[OWN_SUM] == _own_sum(manifest))
    # older than the sum; unless it is there, and its name is what was damaged
    suspects = [k for k, v in manifest.items() if isinstance(v, str) and len(v) == 64]
    return not any(manifest[key] == _own_sum(manifest, key) for key in suspects)


def _sum(goal: Path) -> str | None:
    try:
        return str(_manifest(goal)["sha256"])
    except WeightsError:
        return None


def _commit(goal: Path, waiting: Path) -> None:
    """Give the waiting tensors their name, and forget what older crashes left."""
    try:
        try:
            files.sync_folder(goal.parent)  # the manifest's rename comes first, on the disk too
        finally:
            waiting.replace(goal)
            names = f"{re.escape(goal.name)}|{re.escape(goal.with_suffix('.json').name)}"
            files.tidy(goal.parent, re.compile(rf"\.({names})\.[0-9a-f]{{16}}\.tmp"))
        files.sync_folder(goal.parent)
    except OSError as error:
        files.refuse(error, goal)


def _settle(goal: Path) -> None:
    """Finish a write that a crash cut off between its two renames."""
    waiting = _waiting(goal, str(_manifest(goal)["sha256"]))
    if waiting.exists():
        _commit(goal, waiting)


def manifest(path: str | Path) -> dict[str, Any]:
    """What is written beside the tensors at `path`, without reading these. Raises as `read`."""
    return _manifest(find(Path(path)))


def find(path: Path) -> Path:
    """The file of tensors that a path stands for; WeightsError where a folder has none."""
    if path.is_dir():
        for name in ("best", "last"):
            if (path / f"{name}.json").exists():
                return path / f"{name}.safetensors"
        raise WeightsError(
            "the folder holds no checkpoint (best.json or last.json)",
            code="weights.not_found",
            path=path,
        )
    if path.suffix.lower() in {".pt", ".pth", ".ckpt", ".bin", ".pkl"}:
        raise WeightsError(
            "pickles can run code and are no checkpoints of ours",
            code="weights.unsafe_format",
            path=path,
            hint="give NAME.safetensors with its NAME.json",
        )
    return _tensors(path)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise WeightsError(message, code="weights.not_found", path=path) from error


def _manifest(goal: Path) -> dict[str, Any]:
    path = goal.with_suffix(".json")
    data = _bytes(path)
    if data is None:
        there = goal.exists()
        raise WeightsError(
            "the manifest is missing" if there else "there is no such checkpoint",
            code="weights.not_found",
            path=path if there else goal,
            hint=f"{path.name} belongs beside {goal.name}" if there else None,
        )
    try:
        manifest = json.loads(data.decode("utf-8-sig"))
        number, total = manifest["format"], manifest["sha256"]
        sound = isinstance(number, int) and isinstance(total, str) and len(total) == 64
    except (ValueError, KeyError, TypeError, RecursionError):
        sound, manifest = False, {}
    if not sound:
        raise WeightsError("not a checkpoint's manifest", code="weights.format", path=path)
    if manifest["format"] > FORMAT:
        raise WeightsError(
            f"format {manifest['format']} is newer than the {FORMAT} that this version reads",
            code="weights.format",
            path=path,
            hint=f"needs sightline >= {manifest.get('sightline', 'a newer version')}",
        )
    if not _is_intact(manifest):
        raise WeightsError(
            "the manifest is not as it was written",
            code="weights.checksum",
            path=path,
            hint="copy both files again; to change an entry, write the checkpoint anew",
        )
    return dict(manifest)


def _parse(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        state = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"no safetensors: {error}", code="weights.format", path=path) from error
    wide = {k: v.to(torch.float32) if v.is_floating_point() else v for k, v in state.items()}
    states.check_finite(wide, path)
    return wide
