"""R-CNN in a run: fine-tuned by steps, then fitted; its checkpoint finds what it found."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from training_world import brief

from sightline import catalogue
from sightline.data.records import Dataset
from sightline.detectors.linear_machine import NEVER
from sightline.detectors.rcnn import RCNN
from sightline.images import read
from sightline.predict import load
from sightline.train.loop import train
from sightline.train.recipes import default_for
from sightline.train.shown import SEARCHED


class Corners(torch.nn.Module):
    """A stand-in for the search: a grid of boxes of one size, and the whole image."""

    method = "corners"

    def search(self, image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        boxes = [
            [x, y, min(x + 24, width), min(y + 18, height)]
            for y in range(0, max(1, height - 9), 9)
            for x in range(0, max(1, width - 12), 12)
        ]
        return torch.tensor([*boxes, [0, 0, width, height]], dtype=torch.float32)


def test_its_usual_recipe_is_of_searched_pictures(drawn: Dataset) -> None:
    recipe = default_for("rcnn", drawn, None)
    assert (recipe.batch, recipe.sizes) == (SEARCHED["batch"], SEARCHED["sizes"])


def test_steps_then_machines_then_a_checkpoint(drawn: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = catalogue.build("rcnn_squeezenet", drawn.classes)
    assert isinstance(detector, RCNN)
    detector.proposer = Corners()
    detector.encoder.warp = replace(detector.encoder.warp, size=32, context=2)
    detector.criterion = replace(detector.criterion, count=8)
    before = detector.class_logits.weight.detach().clone()
    recipe = brief(model="rcnn_squeezenet", steps=2, evaluate_every=1.0, **SEARCHED)
    recipe = replace(recipe, sizes=((1.0, 64),))
    train(detector, drawn, recipe, tmp_path / "run")
    assert not torch.equal(detector.class_logits.weight, before)
    assert (detector.svm_bias > NEVER).all() and (detector.svm_weight != 0).any()
    assert not (tmp_path / "run" / "work").exists()
    saved = load(tmp_path / "run", score=None)
    assert isinstance(saved.detector, RCNN)
    for name in ("svm_weight", "svm_bias", "ridge_weight", "ridge_bias"):
        assert torch.equal(getattr(saved.detector, name), getattr(detector, name)), name
    saved.detector.proposer = Corners()
    saved.detector.encoder.warp = detector.encoder.warp
    trace = saved.trace(read(drawn[0].path))
    assert len(trace.regions) > 10
    assert trace.scored.boxes.shape == (len(trace.regions), 2, 4)
    assert torch.isfinite(trace.scored.scores).all() and trace.scored.scores.std() > 0
