"""A run whose regions are searched: it measures first, keeps its boxes, and can be stopped."""

import hashlib
from pathlib import Path

import pytest
import torch
from training_world import CLASSES, brief

from sightline import catalogue
from sightline.data.records import Dataset
from sightline.train import loop, signals
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.shown import SEARCHED
from sightline.train.teach import FOLDER

RECIPE: Recipe = brief(
    model="fast_rcnn_mobilenet_v2",
    steps=4,
    **{**SEARCHED, "sizes": ((1.0, 64),)},
)


def trained(data: Dataset, out: Path, said: list[str], resume: bool = False) -> str:
    """SHA-256 of the last checkpoint's tensors."""
    torch.manual_seed(0)
    detector = catalogue.build(RECIPE.model, CLASSES)
    train(detector, data, RECIPE, out, resume=resume, run=Run(say=said.append))
    return hashlib.sha256((out / "last.safetensors").read_bytes()).hexdigest()


def test_stopped_and_resumed_is_the_same_to_the_bit(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    whole = trained(drawn, tmp_path / "whole", said)
    assert any("proposals in 8 images" in line for line in said), said
    assert not list(tmp_path.glob(f"whole/{FOLDER}/**/*.boxes")), "the desk is still there"
    original, stop = loop.Trainer._advance, signals.Stop()
    monkeypatch.setattr(loop, "Stop", lambda limit: stop)

    def advance(self: loop.Trainer, *given: object) -> bool:
        answer = original(self, *given)  # type: ignore[arg-type]
        stop._paused = self.progress.step == 2
        return answer

    monkeypatch.setattr(loop.Trainer, "_advance", advance)
    half = trained(drawn, tmp_path / "pieces", said)
    assert half != whole
    kept = {path.name for path in tmp_path.glob(f"pieces/{FOLDER}/proposals/*/*.boxes")}
    assert len(kept) > 8, "8 to measure, and those of two steps"
    stop._paused = False
    assert trained(drawn, tmp_path / "pieces", said, resume=True) == whole
