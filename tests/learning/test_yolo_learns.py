"""YOLO v2 and v3 really learn, by the command line, on one core, with numbers.

The backbone knows ImageNet, all else begins at random.
"""

from pathlib import Path

import pytest
from command_line import command

pytestmark = pytest.mark.slow

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"
CHANGES = ("freeze=2", "warmup_steps=50", "ema=0.99", "balance=0.0", "evaluate_every=1.0")
LEAST = [
    ("yolo_v2", "raccoon", (), 400, 0.60),
    ("yolo_v2", "bccd", ("--on-bad", "fix"), 600, 0.60),
    ("yolo_v3", "raccoon", (), 400, 0.60),
    ("yolo_v3", "bccd", ("--on-bad", "fix"), 600, 0.60),
]


@pytest.mark.parametrize(("model", "data", "words", "steps", "least"), LEAST)
def test_yolo(
    shared: Path,
    tmp_path: Path,
    model: str,
    data: str,
    words: tuple[str, ...],
    steps: int,
    least: float,
) -> None:
    """AP50 on photos it never saw."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    found = command(
        *("train", shared / "data" / data, *words, "--model", model, "--start", backbone),
        *("--steps", steps, "--threads", 1, "--out", tmp_path / "run"),
        *(word for change in CHANGES for word in ("--set", change)),
    )
    figures = found["figures"]
    print(f"{model} on {data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
