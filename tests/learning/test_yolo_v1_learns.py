"""YOLO v1 really learns, by the command line, on one core, with a number."""

from pathlib import Path

import pytest
from command_line import from_imagenet

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("data", "steps", "least"), [("raccoon", 300, 0.75)])
def test_yolo_v1(shared: Path, tmp_path: Path, data: str, steps: int, least: float) -> None:
    """Minutes: AP50 after `steps` steps of eight pictures of 224 pixels."""
    words = ("--set", "warmup_steps=30")
    figures = from_imagenet(shared, "yolo_v1", data, steps, tmp_path / "run", *words)
    assert figures["AP50"] >= least
