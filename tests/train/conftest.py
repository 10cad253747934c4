"""Fixtures of a small world to train in."""

from pathlib import Path

import pytest
import torch
from training_world import Tiny, draw_dataset

from sightline.data.records import Dataset


@pytest.fixture
def drawn(tmp_path: Path) -> Dataset:
    return draw_dataset(tmp_path / "images")


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny()
