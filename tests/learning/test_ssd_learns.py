"""SSD really learns, by the command line, on one core, with numbers.

Pictures are zoomed out and cut to patches, as the model's usual recipe has it.
"""

from pathlib import Path

import pytest
from command_line import from_imagenet

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("data", "steps", "least"), [("raccoon", 300, 0.70)])
def test_the_light_one(shared: Path, tmp_path: Path, data: str, steps: int, least: float) -> None:
    """A few minutes: AP50 on photos it never saw."""
    figures = from_imagenet(shared, "ssd", data, steps, tmp_path / "run", "--on-bad", "fix")
    assert figures["AP50"] >= least
