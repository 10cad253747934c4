"""Fast R-CNN really learns, by the command line, on one core, with numbers.

The backbone knows ImageNet, all else begins at random; the proposals are Selective Search's.
"""

from pathlib import Path

import pytest
from command_line import command

pytestmark = pytest.mark.slow

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"
CHANGES = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")


@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.75), ("pet_heads_yolo", 0.80)])
def test_fast_rcnn(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    """A few minutes: AP50 on photos it never saw."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    found = command(
        *("train", shared / "data" / data, "--model", "fast_rcnn", "--start", backbone),
        *("--steps", 400, "--threads", 1, "--out", tmp_path / "run"),
        *(word for change in CHANGES for word in ("--set", change)),
    )
    figures = found["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
