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


def from_imagenet(
    shared: Path, model: str, data: str, steps: int, out: Path, *words: object
) -> dict[str, Any]:
    """The figures, on photos it never saw, of a short run of `model` on one thread.

    The backbone knows ImageNet, all else begins at random.
    """
    backbone = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    changes = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")
    found = command(
        *("train", shared / "data" / data, "--model", model, "--start", backbone),
        *("--steps", steps, "--threads", 1, "--out", out),
        *(word for change in changes for word in ("--set", change)),
        *words,
    )
    figures: dict[str, Any] = found["figures"]
    print(f"{model} on {data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    return figures
