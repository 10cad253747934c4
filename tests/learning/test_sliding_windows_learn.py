"""Gradients and linear machines really learn, by the command line, with numbers."""

from pathlib import Path
from typing import Any

import pytest
from command_line import command

pytestmark = pytest.mark.slow


def trained(data: Path, run: Path, *words: object) -> dict[str, Any]:
    """The figures of a run with one thread and seed 0."""
    common = ("--model", "hog_svm", "--threads", 1, "--seed", 0, "--out", run)
    figures: dict[str, Any] = command("train", data, *common, *words)["figures"]
    print(f"{data.name}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    return figures


@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.20), ("pet_heads_yolo", 0.40)])
def test_hog_svm(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    assert trained(shared / "data" / data, tmp_path / "run")["AP50"] >= least
