"""From a backbone that only knows ImageNet to a detector, by the command line, in ten minutes."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

MINUTES = 8.5
"""Of training; labels, evaluations and saving take the rest of the ten."""

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"


def trained(shared: Path, data: str, start: str, out: Path) -> tuple[dict[str, Any], float]:
    """The figures on val of the best checkpoint, and how many minutes it all took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "sightline", "train", str(shared / "data" / data)]
    options = {
        "--model": "retinanet_mobilenet_v2",
        "--start": start,
        "--minutes": str(MINUTES),
        "--out": str(out),
        "--on-bad": "fix",  # bccd has two boxes without an area
        "--set": "evaluate_every=0.2",
    }
    done = subprocess.run(
        [*command, "--json", *(word for pair in options.items() for word in pair)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)["figures"]
    return figures, (time.perf_counter() - began) / 60


@pytest.mark.slow
@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.80), ("bccd", 0.85)])
def test_a_backbone_of_imagenet_becomes_a_detector(
    shared: Path, tmp_path: Path, data: str, least: float
) -> None:
    """And the same network that starts from nothing does not."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    told, minutes = trained(shared, data, str(backbone), tmp_path / "imagenet")
    scratch, _ = trained(shared, data, "none", tmp_path / "scratch")
    for name, figures in (("ImageNet", told), ("nothing", scratch)):
        print(f"{data}, from {name}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    print(f"{minutes:.1f} minutes each")
    assert told["AP50"] >= least
    assert scratch["AP50"] < told["AP50"] - 0.1
