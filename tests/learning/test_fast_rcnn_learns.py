"""Fast R-CNN really learns, by the command line, on one core, with numbers.

The backbone knows ImageNet, all else begins at random; the proposals are Selective Search's.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"


@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.75), ("pet_heads_yolo", 0.60)])
def test_fast_rcnn(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    """A few minutes: AP50 on photos it never saw."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    words = {
        "--model": "fast_rcnn",
        "--start": backbone,
        "--steps": 400,
        "--threads": 1,
        "--out": tmp_path / "run",
    }
    command = [sys.executable, "-m", "sightline", "train", str(shared / "data" / data), "--json"]
    changes = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")
    for pair in (*words.items(), *(("--set", change) for change in changes)):
        command += map(str, pair)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
