"""A network that looks through windows learns, by the command line, on one core, with numbers.

The course's task, cat heads, and raccoons: a few minutes from a backbone that only knows ImageNet.
"""

from pathlib import Path

import pytest
from command_line import command

BACKBONE = Path("weights") / "mobilenet_v2_imagenet.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize(("data", "least"), [("pet_heads_yolo", 0.8), ("raccoon", 0.7)])
def test_it_finds_what_it_learnt(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    folder, backbone = shared / "data" / data, shared / BACKBONE
    if not folder.exists() or not backbone.exists():
        pytest.skip("no real data, or no backbone of ImageNet, beside the project")
    found = command(
        *("train", folder, "--model", "window_cnn", "--start", backbone, "--steps", 180),
        *("--size", 320, "--threads", 1, "--seed", 0, "--out", tmp_path / "run"),
        *("--set", "freeze=2", "--set", "evaluate_every=1.0"),
    )
    figures = found["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least
