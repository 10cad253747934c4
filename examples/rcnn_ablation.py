"""R-CNN step by step: what fine-tuning, the machines and the box regression each add.

    python examples/rcnn_ablation.py DATA --start BACKBONE [--model rcnn_squeezenet] [--steps 500]

DATA is any labelled folder with a training and a validation part, BACKBONE a file of ImageNet
weights in torchvision's layout. One network is used as ImageNet left it, another is fine-tuned to
warped regions; each describes the regions of all training images once, and both kinds of machines
learn from that. The regions of the validation images are described once a network, too, and then
judged and moved in every way. Prints a table of AP, and CPU seconds of this process by part.

--proposals, --crop and --size make it smaller or larger; --images takes so many training images, at
even steps. What lies in --out already is not done again; a run that is stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sightline import checkpoint, images
from sightline.data import Dataset, open_dataset
from sightline.data.samples import LabelledImages
from sightline.detectors.proposal_store import ProposalStore
from sightline.detectors.rcnn import MARGINS, PROBABILITIES, RCNN
from sightline.evaluate import evaluate
from sightline.fitting import Desk
from sightline.nets.blocks import optimise
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.shown import SEARCHED
from sightline.train.start import begin
from sightline.types import Batch, Detections, Regions

SHOWN = ("AP", "AP50", "AP75")
Seen = list[tuple[Batch, Regions, torch.Tensor, torch.Tensor]]
"""Of every validation image its regions, their features and their cells."""

SPENT: dict[str, float] = {}


@contextmanager
def clocked(part: str) -> Iterator[None]:
    began = time.process_time()
    yield
    SPENT[part] = SPENT.get(part, 0.0) + time.process_time() - began


def recipe(given: argparse.Namespace) -> Recipe:
    """Fine-tuning alone: a softmax of the regions as they were proposed has nothing to fit.

    At the paper's rate, low enough not to spoil what ImageNet taught (section 2.3).
    """
    return Recipe(
        model=given.model,
        options=(("classifier", "softmax"), ("regression", "none")),
        start=str(given.start),
        steps=given.steps,
        optimizer="sgd",
        learning_rate=1e-3,
        backbone_factor=1.0,
        weight_decay=5e-4,
        warmup_steps=max(1, given.steps // 10),
        ema=0.98,
        freeze=1,
        evaluate_every=1.0,
        threads=1,
        **{**SEARCHED, "sizes": ((1.0, given.size),)},
    )


def detector(given: argparse.Namespace, classes: tuple[str, ...]) -> RCNN:
    """The network as ImageNet left it, with all steps."""
    model = begin(recipe(given), classes, print)
    assert isinstance(model, RCNN)
    model.proposer.limit = given.proposals  # type: ignore[attr-defined]
    model.preparation = replace(model.preparation, longer=given.size)
    model.store = ProposalStore(given.out / "work" / "proposals")
    context = max(1, round(given.crop * 16 / 227))
    model.encoder.warp = replace(model.encoder.warp, size=given.crop, context=context)
    return model


def fitted(kind: str, given: argparse.Namespace, learn: Dataset) -> RCNN:
    """The `plain` or the `tuned` network with machines and regressions; from --out where it is."""
    model, done = detector(given, learn.classes), given.out / f"{kind}.safetensors"
    if done.exists():
        checkpoint.load_into(model, checkpoint.read(done))
        return model
    if kind == "tuned":
        tuned = given.out / "fine-tuning"
        if not (tuned / "best.safetensors").exists():
            with clocked("fine-tuning"):
                started = (tuned / "state.safetensors").exists()
                train(model, learn, recipe(given), tuned, resume=started, run=Run(say=print))
        checkpoint.load_into(model, checkpoint.read(tuned / "best.safetensors"))
    model.steps = replace(model.steps, classifier="svm", regression="ridge")
    with clocked(f"{kind}: features, machines, regressions"):
        model.eval().fit(LabelledImages(learn), Desk(given.out / "work", say=print))
    manifest = {"model": given.model, "classes": list(learn.classes)}
    checkpoint.write(given.out / kind, model.state_dict(), manifest)
    return model


def describe(model: RCNN, test: Dataset) -> Seen:
    """What the network says of the regions of all images."""
    seen = []
    with torch.inference_mode():
        for example in test:
            batch = model.prepare([images.read(example.path)])
            regions = model.propose(batch, ())
            seen.append((batch, regions, *model.encoder.describe(batch, regions)))
    return seen


def figures(model: RCNN, seen: Seen, test: Dataset, steps: tuple[str, str]) -> dict[str, Any]:
    """AP of regions judged by steps[0] and moved by steps[1]."""
    classifier, regression = steps
    model.steps = replace(model.steps, classifier=classifier, regression=regression)
    model.selection = MARGINS if classifier == "svm" else PROBABILITIES
    found: list[Detections] = []
    with torch.inference_mode():
        for batch, regions, features, cells in seen:
            found += model.postprocess(batch, (), model.judge(regions, features, cells))
    return evaluate(test, found).to_json()


def main() -> None:
    """Train, describe, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--model", default="rcnn_squeezenet")
    parser.add_argument("--out", type=Path, default=Path("rcnn-ablation"))
    for name, usual in (("steps", 500), ("proposals", 300), ("crop", 112), ("size", 384)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--images", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    learn, test = (open_dataset(given.data, split=one) for one in ("train", "val"))
    if given.images is not None:
        count = min(given.images, len(learn))
        learn = learn.subset([row * len(learn) // count for row in range(count)])
    print(f"{len(learn)} images to learn from, {len(test)} to be tested on")
    rows = []
    for kind, features in (("plain", "ImageNet"), ("tuned", "fine-tuned")):
        model = fitted(kind, given, learn)
        optimise(model)
        with clocked(f"{kind}: validation"):
            seen = describe(model, test)
        for classifier in ("svm",) if kind == "plain" else ("softmax", "svm"):
            for regression in ("none", "ridge"):
                found = figures(model, seen, test, (classifier, regression))
                rows.append((features, classifier, regression, {k: found[k] for k in SHOWN}))
                print(json.dumps(rows[-1]), flush=True)
    print(f"| features | classifier | boxes | {' | '.join(SHOWN)} |\n|---|---|---|{'---|' * 3}")
    for features, classifier, regression, found in rows:
        numbers = " | ".join(f"{found[key]:.3f}" for key in SHOWN)
        print(f"| {features} | {classifier} | {regression} | {numbers} |")
    print(", ".join(f"{part} {seconds:.0f} s" for part, seconds in SPENT.items()))


if __name__ == "__main__":
    main()
