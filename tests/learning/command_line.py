"""Runs of the command line, for tests of what is learnt."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def command(verb: str, *words: object) -> dict[str, Any]:
    """What a verb prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "sightline", verb, *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _run(
    shared: Path, model: str, data: Path, steps: int, out: Path, *words: object
) -> dict[str, Any]:
    """A short run on one thread whose backbone knows ImageNet; all else begins at random."""
    backbone = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    changes = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")
    return command(
        *("train", data, "--model", model, "--start", backbone),
        *("--steps", steps, "--threads", 1, "--out", out),
        *(word for change in changes for word in ("--set", change)),
        *words,
    )


def from_imagenet(
    shared: Path, model: str, data: str, steps: int, out: Path, *words: object
) -> dict[str, Any]:
    """The figures of such a run on photos it never saw."""
    found = _run(shared, model, shared / "data" / data, steps, out, *words)
    figures: dict[str, Any] = found["figures"]
    print(f"{model} on {data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    return figures


def people_from_imagenet(
    shared: Path, model: str, steps: int, out: Path, *words: object
) -> dict[str, Any]:
    """The figures of such a run on COCO's people."""
    labels = shared / "data" / "coco" / "annotations"
    train = labels / "person_keypoints_train.json"
    _run(shared, model, train, steps, out, "--no-validate", *words)
    test = labels / "person_keypoints_val.json"
    figures = command("evaluate", labels.parent, "--annotations", test, "--model", out)
    print(f"{model} on people: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    return figures


def people_posed(shared: Path, model: str, steps: int, out: Path, *words: object) -> dict[str, Any]:
    """The figures of a model's own recipe of poses on COCO's people, cut to so many steps; `words`
    are for the evaluation.
    """
    labels = shared / "data" / "coco" / "annotations"
    command(
        *("train", labels / "person_keypoints_train.json", "--recipe", model),
        *("--set", "minutes=None", "--steps", steps, "--threads", 1, "--no-validate"),
        *("--out", out),
    )
    test = labels / "person_keypoints_val.json"
    figures = command("evaluate", labels.parent, "--annotations", test, "--model", out, *words)
    told = (f"{key} {figures[f'keypoints_{key}']:.3f}" for key in ("AP", "AP50", "PCK"))
    print(f"{model} on people: {', '.join(told)}")
    return figures
