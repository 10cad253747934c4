"""SSD really learns, by the command line, on one core, with numbers.

The backbone knows ImageNet, all else begins at random; pictures are zoomed out and cut to patches,
as the model's usual recipe has it.
"""

from pathlib import Path

import pytest
from command_line import command

pytestmark = pytest.mark.slow

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"
CHANGES = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")


@pytest.mark.parametrize(("data", "steps", "least"), [("raccoon", 300, 0.70)])
def test_the_light_one(shared: Path, tmp_path: Path, data: str, steps: int, least: float) -> None:
    """A few minutes: AP50 on photos it never saw."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    words = [
        "--model",
        "ssd",
        "--start",
        backbone,
        "--steps",
        steps,
        "--threads",
        1,
        "--on-bad",
        "fix",
    ]
    for change in CHANGES:
        words += ["--set", change]
    run = command("train", shared / "data" / data, *words, "--out", tmp_path / "run")
    figures = run["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
