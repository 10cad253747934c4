"""Fast R-CNN really learns, by the command line, on one core, with numbers.

The proposals are Selective Search's.
"""

from pathlib import Path

import pytest
from command_line import from_imagenet

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("data", "least"), [("raccoon", 0.75), ("pet_heads_yolo", 0.80)])
def test_fast_rcnn(shared: Path, tmp_path: Path, data: str, least: float) -> None:
    """A few minutes: AP50 on photos it never saw."""
    figures = from_imagenet(shared, "fast_rcnn", data, 400, tmp_path / "run")
    assert figures["AP50"] >= least
