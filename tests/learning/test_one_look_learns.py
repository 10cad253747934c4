"""YOLO v1, v2, v3 and SSD really learn, by the command line, on one core, with numbers.

The light ones, from ImageNet's backbone, each by its own usual recipe and for minutes: raccoons,
blood cells, and COCO's people.
"""

from pathlib import Path

import pytest
from command_line import from_imagenet, people_from_imagenet

pytestmark = pytest.mark.slow

BY_DATA = [
    ("yolo_v1", "raccoon", 300, 0.75),
    ("yolo_v1", "bccd", 600, 0.55),
    ("yolo_v2", "raccoon", 400, 0.80),
    ("yolo_v2", "bccd", 600, 0.68),
    ("yolo_v3", "raccoon", 400, 0.80),
    ("yolo_v3", "bccd", 600, 0.75),
    ("ssd", "raccoon", 300, 0.75),
    ("ssd", "bccd", 600, 0.75),
]
"""Model, data, steps, and the AP50 on photos it never saw that it reaches at least. Blood cells
touch each other: YOLO v1 has one answer for all that lie in a cell.
"""

PEOPLE = [("yolo_v1", 0.15), ("yolo_v2", 0.30), ("yolo_v3", 0.20), ("ssd", 0.20)]
"""The same for people, after 800 steps."""


@pytest.mark.parametrize(("model", "data", "steps", "least"), BY_DATA)
def test_one_look(
    shared: Path, tmp_path: Path, model: str, data: str, steps: int, least: float
) -> None:
    figures = from_imagenet(shared, model, data, steps, tmp_path / "run", "--on-bad", "fix")
    assert figures["AP50"] >= least


@pytest.mark.parametrize(("model", "least"), PEOPLE)
def test_one_look_at_people(shared: Path, tmp_path: Path, model: str, least: float) -> None:
    figures = people_from_imagenet(shared, model, 800, tmp_path / "run")
    assert figures["AP50"] >= least
