"""Figures on the validation images, on the way."""

from typing import Any

import torch

from sightline.data.records import Dataset
from sightline.evaluate import evaluate, predict
from sightline.train.recipes import Recipe


def figures_of(model: Any, validation: Dataset, recipe: Recipe) -> dict[str, float | None]:
    """AP and its companions of `model` on the validation images, by COCO's rules.

    Runs in bf16 where the training does, and leaves every random generator as it was.
    """
    with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        results = predict(model, validation)
    report = evaluate(validation, results).to_json()
    return {
        key: value
        for key, value in report.items()
        if value is None or isinstance(value, int | float)
    }
