"""YOLO v2 and v3 really learn, by the command line, on one core, with numbers."""

from pathlib import Path

import pytest
from command_line import from_imagenet

pytestmark = pytest.mark.slow

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
    figures = from_imagenet(shared, model, data, steps, tmp_path / "run", *words)
    assert figures["AP50"] >= least
