"""Before the first step: is all there that a run needs; and what is written down about it."""

import dataclasses
import difflib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline import checkpoint, processes
from sightline.data.records import Dataset
from sightline.devices import device
from sightline.errors import DatasetError, ResourceError, UsageError
from sightline.files import make_folder, tidy, write_bytes
from sightline.nets.blocks import freeze_norms
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton
from sightline.train import state
from sightline.train.precision import in_bf16
from sightline.train.recipes import Recipe

Say = Callable[[str], None]

FREE = ("start", "workers", "log_steps", "save_seconds", "threads", "device", "bf16")
"""Settings of a recipe that may change when a run is resumed: they change no weight, or what they
come to is compared itself.
"""


def check_data(
    detector: Any, dataset: Dataset, validation: Dataset | None, say: Say
) -> Dataset | None:
    """The validation set, None where it has no images; DatasetError for data that cannot serve."""
    if len(dataset) == 0:
        raise DatasetError("no images to train on", code="dataset.empty", path=dataset.root)
    if not any(len(example.objects) for example in dataset):
        raise DatasetError(
            f"none of the {len(dataset)} images has an object: there is nothing to learn",
            code="dataset.no_objects",
            path=dataset.root,
            hint="are the label files where they belong? `sightline check` tells",
        )
    _agree(detector.classes, dataset, "the detector")
    _check_points(skeleton_of(detector), dataset, "the detector")
    if validation is None:
        return None
    if len(validation) == 0:
        say("the validation set has no images: no evaluation")
        return None
    _agree(detector.classes, validation, "the training images")
    _check_points(skeleton_of(detector), validation, "the training images")
    return validation


def _agree(classes: tuple[str, ...], dataset: Dataset, other: str) -> None:
    if tuple(classes) == dataset.classes:
        return
    lines = [x for x in difflib.ndiff(classes, dataset.classes) if x[0] in "+-"]
    raise DatasetError(
        f"the classes are not those of {other}: {'; '.join(lines[:6]) or 'another order'}",
        code="dataset.classes",
        path=dataset.root,
        hint="give the same class names in the same order to both",
    )


def skeleton_of(detector: Any) -> Skeleton | None:
    """What the keypoints mean that a detector finds; None where it finds none."""
    found: Skeleton | None = getattr(detector, "skeleton", None)
    return found


def _check_points(skeleton: Skeleton | None, dataset: Dataset, other: str) -> None:
    """Refuse images without the keypoints that a detector finds."""
    if skeleton is None:
        return
    labelled = any(
        example.objects.keypoints is not None and (example.objects.keypoints[..., 2] > 0).any()
        for example in dataset
    )
    if dataset.skeleton is None or not labelled:
        raise DatasetError(
            "the model finds keypoints, and none is labelled here",
            code="dataset.no_keypoints",
            path=dataset.root,
            hint="give labels with keypoints, or choose another --model",
        )
    if dataset.skeleton.points != skeleton.points:
        raise DatasetError(
            f"the keypoints ({_brief(dataset.skeleton)}) are not those of {other} "
            f"({_brief(skeleton)})",
            code="dataset.keypoints",
            path=dataset.root,
            hint="give the same points in the same order to both: catalogue.build(MODEL, "
            "dataset.classes, dataset.skeleton)",
        )


def _brief(skeleton: Skeleton) -> str:
    more = ", …" if len(skeleton.points) > 5 else ""
    return f"{len(skeleton.points)}: {', '.join(skeleton.points[:5])}{more}"


def check_folder(out: Path, detector: nn.Module) -> None:
    """Make the run's folder; ResourceError if nothing can be written there, or too little."""
    make_folder(out)
    probe = out / ".probe"
    write_bytes(probe, b"0")
    probe.unlink(missing_ok=True)
    size = sum(value.numel() * value.element_size() for value in detector.state_dict().values())
    # best, last, and three states (one in the writing) of weights, average and two moments
    needed, free = 14 * size + 2**20, shutil.disk_usage(out).free
    if free < needed:
        raise ResourceError(
            f"{free / 1e6:.0f} MB are free, a run needs about {needed / 1e6:.0f} MB",
            code="resource.disk_full",
            path=out,
            hint="free some space, or choose another --out",
        )


def check_sizes(detector: Any, recipe: Recipe) -> None:
    """UsageError (`train.recipe`) for sizes of training pictures that the network cannot take."""
    preparation: Preparation | None = getattr(detector, "preparation", None)
    sizes = [pixels for _, pixels in recipe.sizes]
    if preparation is not None and preparation.fixed:
        only = preparation.longer
        wrong = any(pixels != only for pixels in sizes) or recipe.size_jitter > 0
        rule = f"{recipe.model} takes pictures of {only} pixels alone"
        hint = f"sizes=((1.0, {only}),) and size_jitter=0"
    else:
        wrong = any(pixels % 32 for pixels in sizes)
        rule, hint = "sizes must be multiples of 32 pixels", "such as sizes=((1.0, 416),)"
    if wrong:
        raise UsageError(f"{rule}, not {sizes}", code="train.recipe", hint=hint)


def claim(out: Path, resume: bool) -> None:
    """Refuse to write over another run (`train.exists`) unless it is to be resumed.

    What killed processes left half written in the folder, which must be held, is finished or
    removed.
    """
    if not resume and any((out / name).exists() for name in (state.NAME, state.PREVIOUS)):
        raise UsageError(
            "a run is in this folder already",
            code="train.exists",
            path=out,
            hint="go on with --resume, or choose another --out",
        )
    tidy(out)
    checkpoint.tidy(out)
    state.tidy(out)


@contextmanager
def machine(recipe: Recipe) -> Iterator[None]:
    """Set the threads, treat denormal numbers as zero (slow on CPUs), seed every generator.

    Threads and denormals are as before afterwards: a run leaves its process as it found it.
    Several processes on one machine share its cores, and draw different numbers.
    """
    threads, (_, here) = torch.get_num_threads(), processes.local()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    elif here > 1:
        torch.set_num_threads(max(1, _cores() // here))
    torch.set_flush_denormal(True)
    seed = recipe.seed + processes.rank()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_of(recipe: Recipe) -> torch.device:
    """Where the recipe trains; UsageError (`usage.device`) where that is not to be had."""
    return device(recipe.device)


def freeze(detector: Any, recipe: Recipe) -> None:
    """Freeze stages and batch norms of the backbone as the recipe says.

    Norms of a backbone that starts from nothing have nothing to keep, and are trained.
    """
    backbone = getattr(getattr(detector, "encoder", None), "backbone", None)
    if backbone is None or recipe.start is None:
        return
    if recipe.frozen_norms:
        freeze_norms(backbone)
    if recipe.freeze:
        backbone.freeze(recipe.freeze)


def manifest(detector: Any, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint's manifest says about the network and its training."""
    preparation: Preparation = detector.preparation
    bones = skeleton_of(detector)
    return {
        "model": recipe.model,
        "classes": list(detector.classes),
        **({} if bones is None else {"skeleton": bones.to_json()}),
        **({"options": dict(recipe.options)} if recipe.options else {}),
        "category_ids": list(dataset.category_ids),
        "preparation": dataclasses.asdict(preparation),
        "training": {
            "recipe": recipe.to_json(),
            "data": {"name": dataset.name, "images": len(dataset)},
            "fingerprint": dataset.fingerprint(),
        },
    }


def facts(recipe: Recipe, dataset: Dataset, validation: Dataset | None) -> dict[str, Any]:
    """What makes a run this run: recipe, data, threads; as plain data."""
    plain = {k: v for k, v in recipe.to_json().items() if k not in FREE}
    value = {
        **plain,
        "data": dataset.fingerprint(),
        "validation": None if validation is None else validation.fingerprint(),
        "threads": torch.get_num_threads(),
        "processes": processes.world_size() if processes.joined() else 1,
        "hardware": device_of(recipe).type,
        "numbers": "bf16" if in_bf16(recipe, device_of(recipe)) else "fp32",
    }
    back: dict[str, Any] = json.loads(json.dumps(value))
    return back


def compare(before: Mapping[str, Any], now: Mapping[str, Any], accept: bool, say: Say) -> list[str]:
    """Refuse to resume another run (`train.changed`), or say what changed where that is wanted.

    The answer is what changed, in words.
    """
    before, now = _flat(before), _flat(now)
    # a setting that did not exist yet when the run was saved has not changed
    keys = [key for key in now if key in before and before[key] != now[key]]
    if not keys:
        return []
    found = [f"{key}: {before[key]} → {now[key]}" for key in keys]
    changes = "; ".join(found)
    if not accept:
        raise UsageError(
            f"this is not the run that was saved: {changes}",
            code="train.changed",
            hint="resume with the same settings, or say --accept-changes (no longer bit-exact)",
        )
    say(f"resuming with changes, so no longer bit-exact: {changes}")
    return found


def _flat(known: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the augmentation beside the others, as `augmentation.KEY`."""
    inner = known.get("augmentation") or {}
    return {**known, "augmentation": None, **{f"augmentation.{k}": v for k, v in inner.items()}}
