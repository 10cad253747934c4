"""The two-stage family really learns, by the command line, on one core, with numbers.

Boxes and masks begin with the encoder of the embedded RetinaNet, both stages and the branch at
random; keypoints begin with both stages of the embedded Mask R-CNN.
"""

from pathlib import Path
from typing import Any

import pytest
from command_line import command

pytestmark = pytest.mark.slow

COCO = Path("data") / "coco"


def trained(
    data: Path, model: str, steps: int, out: Path, *words: object, start: str = "retinanet"
) -> dict[str, Any]:
    """The run's checkpoint and figures."""
    common = ("--model", model, "--start", start, "--threads", 1, "--seed", 0, "--size", 320)
    more = ("--steps", steps, "--out", out, "--set", "freeze=2", "--set", "evaluate_every=1.0")
    return command("train", data, *common, *more, *words)


@pytest.mark.parametrize(("data", "steps", "least"), [("raccoon", 400, 0.80), ("bccd", 600, 0.80)])
def test_faster_rcnn(shared: Path, tmp_path: Path, data: str, steps: int, least: float) -> None:
    found = trained(
        shared / "data" / data, "faster_rcnn", steps, tmp_path / "run", "--on-bad", "fix"
    )
    figures = found["figures"]
    print(f"{data}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert figures["AP50"] >= least


def test_mask_rcnn(shared: Path, tmp_path: Path) -> None:
    """People's masks."""
    labels = shared / COCO / "annotations"
    run = tmp_path / "run"
    trained(labels / "person_masks_train.json", "mask_rcnn", 1000, run, "--no-validate")
    figures = command(
        "evaluate", shared / COCO, "--annotations", labels / "person_masks_val.json", "--model", run
    )
    print(f"people: mask AP {figures['segm_AP']:.3f}, AP50 {figures['segm_AP50']:.3f}")
    assert figures["segm_AP50"] >= 0.40


def test_keypoint_rcnn(shared: Path, tmp_path: Path) -> None:
    """People's poses."""
    labels = shared / COCO / "annotations"
    run = tmp_path / "run"
    trained(
        labels / "person_keypoints_train.json",
        "keypoint_rcnn",
        1000,
        run,
        "--no-validate",
        start="mask_rcnn",
    )
    figures = command(
        *("evaluate", shared / COCO, "--model", run),
        *("--annotations", labels / "person_keypoints_val.json"),
    )
    print(f"people: OKS AP {figures['keypoints_AP']:.3f}, AP50 {figures['keypoints_AP50']:.3f}")
    assert figures["keypoints_AP"] >= 0.10
