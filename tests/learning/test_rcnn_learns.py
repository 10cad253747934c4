"""R-CNN on real photos, on one core, with numbers: what its steps are worth.

The example runs smaller than its usual: SqueezeNet of ImageNet, 150 proposals, 80-pixel crops.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rcnn_ablation.py"
BACKBONE = Path("weights") / "squeezenet1_1_features.safetensors"
SMALL = ("--proposals", 150, "--crop", 80, "--size", 320, "--steps", 500)

Table = dict[tuple[str, str, str], dict[str, float]]


def ablation(shared: Path, data: str, out: Path, *more: object) -> Table:
    """(features, classifier, boxes) → AP."""
    backbone = shared / BACKBONE
    if not backbone.exists():
        pytest.skip("no backbone of ImageNet beside the project")
    words = (EXAMPLE, shared / "data" / data, "--start", backbone, "--out", out, *SMALL, *more)
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout[done.stdout.index("| features |") :])
    rows: list[Any] = [json.loads(line) for line in done.stdout.splitlines() if line[:2] == '["']
    return {(features, classifier, boxes): figures for features, classifier, boxes, figures in rows}


@pytest.mark.parametrize(
    ("data", "more", "plain", "tuned"),
    [("raccoon", (), 0.65, 0.55), ("pet_heads_yolo", ("--images", 112), 0.60, 0.55)],
)
def test_what_the_steps_are_worth(
    shared: Path, tmp_path: Path, data: str, more: tuple[object, ...], plain: float, tuned: float
) -> None:
    """Bounds on AP50 with all steps, from ImageNet's features and from fine-tuned ones.

    The regression adds to both, and fine-tuning to a softmax's regions as they were proposed beyond
    what machines make of ImageNet's.
    """
    table = ablation(shared, data, tmp_path, *more)
    assert len(table) == 6
    assert table["ImageNet", "svm", "ridge"]["AP50"] >= plain
    assert table["fine-tuned", "svm", "ridge"]["AP50"] >= tuned
    for features, classifier in (("ImageNet", "svm"), ("fine-tuned", "svm")):
        moved, proposed = table[features, classifier, "ridge"], table[features, classifier, "none"]
        assert moved["AP"] > proposed["AP"]
    softmax, machines = table["fine-tuned", "softmax", "none"], table["ImageNet", "svm", "none"]
    assert softmax["AP"] > machines["AP"]
