"""Gradients and linear machines really learn, by the command line, with numbers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


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


def trained(data: Path, run: Path, *words: object) -> dict[str, Any]:
    """The figures of a run with one thread and seed 0."""
    common = ("--model", "hog_svm", "--threads", 1, "--seed", 0, "--out", run)
    figures: dict[str, Any] = command("train", data, *common, *words)["figures"]
    print(f"{data.name}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    return figures


@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.20), ("pet_heads_yolo", 0.40)])
def test_hog_svm(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    assert trained(shared / "data" / data, tmp_path / "run")["AP50"] >= least
