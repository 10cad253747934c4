"""A network that looks through windows learns, by the command line, on one core, with numbers.

The course's task, cat heads, and raccoons: a few minutes from a backbone that only knows ImageNet.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"
SETTINGS = ("--set", "freeze=2", "--set", "evaluate_every=1.0")


def trained(data: Path, backbone: Path, out: Path) -> dict[str, Any]:
    """The figures on val of a run of five minutes on one quiet core."""
    options = {
        "--model": "window_cnn",
        "--start": str(backbone),
        "--steps": "220",
        "--size": "320",
        "--threads": "1",
        "--seed": "0",
        "--out": str(out),
    }
    words = [word for pair in options.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "-m", "sightline", "train", str(data), *words, *SETTINGS, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)["figures"]
    return figures


@pytest.mark.slow
@pytest.mark.parametrize(("data", "least"), [("pet_heads_yolo", 0.5), ("raccoon", 0.5)])
def test_it_finds_what_it_learnt(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    folder, backbone = shared / "data" / data, shared / BACKBONE
    if not folder.exists() or not backbone.exists():
        pytest.skip("no real data, or no backbone of ImageNet, beside the project")
    figures = trained(folder, backbone, tmp_path / "run")
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
