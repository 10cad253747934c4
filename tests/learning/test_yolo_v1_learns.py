"""YOLO v1 really learns, by the command line, on one core, with a number.

The backbone knows ImageNet, all else begins at random; what is measured are photos it never saw.
"""

from pathlib import Path

import pytest
from command_line import command

pytestmark = pytest.mark.slow

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"

CHANGES = ("freeze=2", "warmup_steps=30", "ema=0.99", "balance=0.0", "evaluate_every=1.0")


@pytest.mark.parametrize(("data", "steps", "least"), [("raccoon", 300, 0.5)])
def test_yolo_v1(shared: Path, tmp_path: Path, data: str, steps: int, least: float) -> None:
    """Minutes: AP50 after `steps` steps of eight pictures of 224 pixels."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    words: list[object] = [shared / "data" / data, "--model", "yolo_v1", "--start", backbone]
    words += ["--steps", steps, "--threads", 1, "--out", tmp_path / "run"]
    for change in CHANGES:
        words += ["--set", change]
    figures = command("train", *words)["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
