"""OpenPose really learns, by the command line, on one core, with numbers."""

from pathlib import Path

import pytest
from command_line import command, people_posed

from drawn_stars import stars

pytestmark = pytest.mark.slow


def test_a_skeleton_of_ones_own(tmp_path: Path) -> None:
    """Five points of drawn stars: 32 pictures, 400 steps from the embedded RetinaNet's backbone."""
    data = stars(tmp_path / "stars", counts=(32, 8))
    found = command(
        *("train", data, "--model", "openpose", "--start", "retinanet", "--size", 256),
        *("--steps", 400, "--batch", 4, "--threads", 1),
        *("--set", "warmup_steps=20", "--set", "ema=0.9"),
        *("--set", "evaluate_every=1.0", "--out", tmp_path / "run"),
    )
    print(f"stars: OKS AP {found['figures']['keypoints_AP']:.3f}")
    assert found["figures"]["keypoints_AP"] >= 0.90


def test_people(shared: Path, tmp_path: Path) -> None:
    """COCO's people, from the embedded Mask R-CNN's backbone: as many steps as the recipe takes in
    its 100 minutes of a core. Fields come late: 800 steps find the parts, and nobody whole.
    """
    figures = people_posed(shared, "openpose_mobilenet_v2", 5300, tmp_path / "run")
    assert figures["keypoints_AP"] >= 0.12
