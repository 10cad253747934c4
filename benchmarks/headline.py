"""The course's headline: Fast R-CNN beside R-CNN on the same proposals, backbone, data and machine.

    python benchmarks/headline.py DATA --start BACKBONE [--work headline] [--train 50] [--test 25]

Both learn from the same photos and are tested on the same others, from the same weights of the
backbone; both prepare images alike, so their proposals are the same ones, searched once and kept in
the folder --work. What the search takes is never counted. Printed are R-CNN's seconds divided by
Fast R-CNN's, for learning and for testing, the AP of both, and where a ratio is less than hoped for
(100 in testing, 8 in learning), what Fast R-CNN spends its time on.

    learning  R-CNN: --rcnn-steps of fine-tuning, then features, machines and regressions (`fit`);
              Fast R-CNN: --fast-steps, end to end. Two photos a step, --size pixels, flips.
    testing   encode, classify and postprocess of every test photo, --proposals regions each.
    paper     the same three on --looks photos with the paper's 2,000 regions and 227-pixel crops.

Seconds are this process's own CPU seconds on one thread. Every part's figures lie in --work as soon
as it is done: a run that is stopped goes on with the part that it was in. The settings are part of
the names there.
"""

import argparse
import copy
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from sightline import load
from sightline.data import open_dataset
from sightline.data.records import Dataset
from sightline.detectors.proposal_store import ProposalStore
from sightline.detectors.selective_search import SelectiveSearch
from sightline.evaluate import evaluate, predict
from sightline.images import read
from sightline.pipeline import run
from sightline.preparation import Preparation
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.shown import SEARCHED
from sightline.train.start import begin
from sightline.types import Targets

MODELS = {"rcnn": "rcnn_mobilenet_v2", "fast": "fast_rcnn_mobilenet_v2"}
HOPED = {"learning": 8.0, "testing": 100.0, "paper": 100.0}
Figures = dict[str, Any]


class Shared(nn.Module):
    """One search for both methods, of which the seconds are counted apart."""

    def __init__(self, limit: int, folder: Path) -> None:
        super().__init__()
        self.inner, self.store = SelectiveSearch(limit=limit), ProposalStore(folder)
        self.seconds = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self

    @property
    def method(self) -> str:
        """The search's own."""
        return self.inner.method

    def search(self, image: Tensor) -> Tensor:
        """What is found in the image, or was before."""
        began = time.process_time()
        boxes = self.store.boxes(image, self.inner.search, self.inner.method)
        self.seconds += time.process_time() - began
        return boxes


class Clocked:
    """A detector of which the CPU seconds of every verb are counted."""

    def __init__(self, detector: Any) -> None:
        self.detector, self.classes = detector, detector.classes
        self.seconds: dict[str, float] = {}

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        call = getattr(self.detector, verb)

        def timed(*given: Any) -> Any:
            began = time.process_time()
            answer = call(*given)
            spent = time.process_time() - began
            self.seconds[verb] = self.seconds.get(verb, 0.0) + spent
            return answer

        return timed


def laid_out(detector: Any, asked: argparse.Namespace, shared: Shared, crop: int) -> Any:
    """The detector with the common proposals and preparation."""
    detector.proposer, detector.store = shared, ProposalStore(limit=0)
    detector.preparation = Preparation(shorter=None, longer=asked.size)
    if hasattr(detector.encoder, "warp"):
        detector.encoder.warp = replace(detector.encoder.warp, size=crop, context=16)
    return detector


def recipe_of(method: str, asked: argparse.Namespace) -> Recipe:
    steps = asked.fast_steps if method == "fast" else asked.rcnn_steps
    return Recipe(
        model=MODELS[method],
        start=str(asked.start),
        steps=steps,
        learning_rate=asked.rate,
        warmup_steps=max(1, min(30, steps // 5)),
        ema=0.98,
        freeze=2,
        evaluate_every=1.0,
        threads=1,
        **{**SEARCHED, "sizes": ((1.0, asked.size),)},
    )


def learn(method: str, photos: Dataset, asked: argparse.Namespace, shared: Shared) -> Figures:
    """Train in a folder of its own; seconds by part, without the search."""
    out = asked.work / f"{method}-{key(method, asked)}"
    shutil.rmtree(out, ignore_errors=True)
    recipe = recipe_of(method, asked)
    detector = laid_out(begin(recipe, photos.classes, print), asked, shared, asked.crop)
    warm_step(copy.deepcopy(detector), photos)
    kind, parts = type(detector), {"fit": 0.0}

    def timed(self: Any, *given: Any) -> None:
        began = time.process_time() - shared.seconds
        own(self, *given)
        parts["fit"] += time.process_time() - shared.seconds - began

    own = getattr(kind, "fit", None)
    before = time.process_time() - shared.seconds
    with mock.patch.object(kind, "fit", timed) if own else mock.patch.dict(parts):
        best = train(detector, photos, recipe, out, run=Run(say=print))
    total = time.process_time() - shared.seconds - before
    return {"best": str(best), "steps": total - parts["fit"], "fit": parts["fit"]}


def warm_step(detector: Any, photos: Dataset) -> None:
    """A step of a copy, so that nothing is compiled or allocated for the first time later."""
    picture, example = read(photos[0].path), photos[0]
    batch = detector.train().prepare([picture])
    boxes = batch.frames[0].to_prepared(torch.from_numpy(example.objects.boxes))
    labels, crowd = (torch.from_numpy(x) for x in (example.objects.labels, example.objects.crowd))
    losses = detector.loss(batch, [Targets(boxes.float(), labels, crowd)])
    torch.stack(list(losses.values())).sum().backward()


def test(
    method: str, best: str, photos: Dataset, asked: argparse.Namespace, shared: Shared
) -> Figures:
    """Seconds by verb for all photos, and how good the answers are."""
    detector = Clocked(laid_out(load(best, score=None).detector, asked, shared, asked.crop))
    warm_up(detector, photos)
    report = evaluate(photos, predict(detector, photos))
    return {"AP": report.AP, "AP50": report.AP50, "photos": len(photos), **detector.seconds}


def paper(
    method: str, best: str, photos: Dataset, asked: argparse.Namespace, shared: Shared
) -> Figures:
    """Seconds by verb with the paper's numbers."""
    detector = Clocked(laid_out(load(best, score=None).detector, asked, shared, 227))
    detector.detector.preparation = Preparation(shorter=None, longer=500)
    warm_up(detector, photos)
    looks = photos.subset(range(asked.looks))
    for example in looks:
        run(detector, [read(example.path)])
    return {"photos": len(looks), **detector.seconds}


def warm_up(detector: Clocked, photos: Dataset) -> None:
    """What is compiled or allocated once: a photo of its own, and nothing of it is counted."""
    run(detector, [read(photos[len(photos) - 1].path)[:, ::8, ::8].contiguous()])
    detector.seconds.clear()


def key(method: str, asked: argparse.Namespace) -> str:
    """What the figures of a method depend on, as a name."""
    free = ("work", "rcnn_steps" if method == "fast" else "fast_steps")
    plain = {name: str(value) for name, value in sorted(vars(asked).items()) if name not in free}
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:10]


def part(kind: str, method: str, asked: argparse.Namespace, work: Callable[[], Figures]) -> Figures:
    """The figures of a part: those on the disk, or new ones."""
    name = f"{kind}-{method}"
    path = asked.work / f"{name}-{key(method, asked)}.json"
    if path.exists():
        print(f"{name}: done before, {path}", flush=True)
        return dict(json.loads(path.read_text()))
    print(f"{name} …", flush=True)
    found = work()
    path.write_text(json.dumps(found))
    return found


def total(figures: Figures, names: Sequence[str]) -> float:
    return sum(figures.get(name, 0.0) for name in names)


def compare(kind: str, found: dict[str, Figures], names: Sequence[str]) -> None:
    """One ratio, and what holds it where it falls short."""
    slow, fast = (total(found[method], names) for method in ("rcnn", "fast"))
    each = found["fast"].get("photos", 1)
    what = f"{slow / each:.2f} s against {fast / each:.3f} s"
    print(f"{kind:9} {slow / fast:6.1f}× faster (hoped for {HOPED[kind]:.0f}×): {what}")
    for method in ("rcnn", "fast"):
        whole = total(found[method], names)
        shares = [f"{n} {found[method][n] / whole:.0%}" for n in names if found[method].get(n)]
        print(f"          {MODELS[method]}: {', '.join(shares)}")
    if slow / fast < HOPED[kind]:
        most = max(names, key=lambda name: found["fast"].get(name, 0.0))
        spent = found["fast"][most]
        print(f"          held by Fast R-CNN's {most}: {spent / each:.3f} s of it")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fast R-CNN against R-CNN")
    parser.add_argument("data", type=Path, help="a folder with train and val")
    parser.add_argument("--start", type=Path, required=True, help="weights of MobileNetV2")
    parser.add_argument("--work", type=Path, default=Path("headline"))
    for name, value, what in (
        ("train", 50, "photos to learn from"),
        ("test", 25, "photos to test on"),
        ("size", 320, "pixels of a photo's longer side"),
        ("proposals", 500, "regions of a photo at most"),
        ("crop", 224, "pixels of a side of R-CNN's warped regions"),
        ("rcnn-steps", 40, "of fine-tuning"),
        ("fast-steps", 220, "of Fast R-CNN"),
        ("looks", 2, "photos for the paper's numbers, 0 for none"),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{what} ({value})")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    photos, others = open_dataset(asked.data, "train"), open_dataset(asked.data, "val")
    photos = photos.subset(range(min(asked.train, len(photos))))
    others = others.subset(range(min(asked.test, len(others))))
    shared = Shared(asked.proposals, asked.work / "proposals")
    many = Shared(2000, asked.work / "proposals")
    learnt, tested, looked = {}, {}, {}
    for method in ("fast", "rcnn"):
        learnt[method] = part(
            "learn", method, asked, lambda m=method: learn(m, photos, asked, shared)
        )
        best = learnt[method]["best"]
        if asked.looks:
            looked[method] = part(
                "paper", method, asked, lambda m=method, b=best: paper(m, b, others, asked, many)
            )
        tested[method] = part(
            "test", method, asked, lambda m=method, b=best: test(m, b, others, asked, shared)
        )
    print(f"{len(photos)} photos to learn from, {len(others)} to test on, {asked.data.name}")
    compare("learning", learnt, ("steps", "fit"))
    compare("testing", tested, ("encode", "classify", "postprocess"))
    if looked:
        compare("paper", looked, ("encode", "classify", "postprocess"))
    for method, name in MODELS.items():
        print(f"{name:24} AP {tested[method]['AP']:.3f}, AP50 {tested[method]['AP50']:.3f}")


if __name__ == "__main__":
    main()
