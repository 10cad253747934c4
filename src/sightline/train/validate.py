"""Figures on the validation images, on the way."""

import copy
from typing import Any

import torch

from sightline.data.records import Dataset
from sightline.evaluate import evaluate, predict
from sightline.nets.blocks import fold
from sightline.progress import bar
from sightline.train.precision import in_bf16
from sightline.train.recipes import Recipe


def figures_of(model: Any, validation: Dataset, recipe: Recipe) -> dict[str, float | None]:
    """AP and its companions of `model` on the validation images, by COCO's rules.

    Runs in bf16 where the training does, and leaves every random generator as it was.
    """
    folded = fold(copy.deepcopy(model))
    device = next(folded.parameters()).device
    with (
        torch.random.fork_rng(),
        torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(recipe, device)),
        bar(len(validation), "evaluate") as shown,
    ):
        results = predict(
            folded,  # type: ignore[arg-type]
            validation,
            device=device,
            progress=lambda done, _: shown.to(done),
        )
    report = evaluate(validation, results).to_json()
    return {
        key: value
        for key, value in report.items()
        if value is None or isinstance(value, int | float)
    }
