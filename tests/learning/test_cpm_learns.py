"""Convolutional Pose Machines really learn, by the command line, on one core, with numbers."""

from pathlib import Path

import pytest
from command_line import command, people_posed

from drawn_stars import stars

pytestmark = pytest.mark.slow


def test_a_skeleton_of_ones_own(tmp_path: Path) -> None:
    """Five points of drawn stars: 32 pictures, 150 steps from the embedded RetinaNet's backbone."""
    data = stars(tmp_path / "stars", counts=(32, 8))
    found = command(
        *("train", data, "--model", "cpm", "--start", "retinanet", "--size", 256),
        *("--steps", 150, "--batch", 4, "--threads", 1),
        *("--set", "warmup_steps=20", "--set", "ema=0.9"),
        *("--set", "evaluate_every=1.0", "--out", tmp_path / "run"),
    )["figures"]
    print(f"stars: OKS AP {found['keypoints_AP']:.3f}, PCK {found['keypoints_PCK']:.3f}")
    assert found["keypoints_AP"] >= 0.90
    told = command("evaluate", data, "--model", tmp_path / "run", "--people", "truth")
    assert told["keypoints_AP"] == pytest.approx(found["keypoints_AP"], abs=1e-3)


def test_people(shared: Path, tmp_path: Path) -> None:
    """COCO's people in their labelled boxes: 400 steps from the embedded Mask R-CNN's backbone."""
    figures = people_posed(shared, "cpm_mobilenet_v2", 400, tmp_path / "run", "--people", "truth")
    assert figures["keypoints_AP"] >= 0.05
