"""Figures on the validation images, on the way."""

import copy
import json
from typing import Any

import torch

from sightline import processes
from sightline.data.records import Dataset
from sightline.detectors.top_down import TopDown
from sightline.evaluate import evaluate
from sightline.evaluate.sharded import predict_shared
from sightline.fitting import device_of
from sightline.nets.blocks import fold
from sightline.progress import bar
from sightline.train.precision import computing
from sightline.train.recipes import Recipe


def figures_of(model: Any, validation: Dataset, recipe: Recipe) -> dict[str, float | None]:
    """AP and its companions of `model` on the validation images, by COCO's rules.

    Several processes share the images, and all get the same figures. Runs in bf16 where the
    training does, and leaves every random generator as it was. A top-down machine, which is
    learnt without a person detector, poses the labelled people.
    """
    folded = fold(copy.deepcopy(model))
    device = device_of(folded)
    with (
        torch.random.fork_rng(),
        computing(recipe, device),
        bar(len(validation), "evaluate") as shown,
    ):
        results = predict_shared(
            folded,  # type: ignore[arg-type]
            validation,
            device=device,
            progress=lambda done, _: shown.to(done),
            labelled=isinstance(model, TopDown),
        )

    def figures() -> bytes:
        report = evaluate(validation, results).to_json()
        plain = {k: v for k, v in report.items() if v is None or isinstance(v, int | float)}
        return json.dumps(plain).encode()

    told: dict[str, float | None] = json.loads(processes.from_first(figures))
    return told
