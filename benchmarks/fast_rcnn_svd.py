"""Truncated SVD of Fast R-CNN's fc6 and fc7 (Girshick 2015, section 3.1): its speed, and its cost.

    python benchmarks/fast_rcnn_svd.py RUN DATA [--split val] [--photos 0] [--out FILE]

RUN is a trained Fast R-CNN (a run's folder or a checkpoint). It is truncated, written to --out (a
temporary file), loaded again by `sightline.load`, and both are tested on the photos of DATA:
seconds of every verb but propose, of fc6 and fc7 alone, and AP. At the end fc6 and fc7 of VGG-16,
with random weights, on 2,000 regions, as the paper has them: 4,096 units through 1,024 and 256.

Seconds are this process's own CPU seconds on one thread; both networks take turns photo by photo.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline import catalogue, checkpoint, load
from sightline.data import open_dataset
from sightline.detectors.fast_rcnn import Truncated, compress, ranks
from sightline.evaluate import evaluate
from sightline.images import read
from sightline.nets.vgg import VGG16Layers
from sightline.types import Detections

VERBS = ("encode", "classify", "postprocess")


def seconds(call: Callable[[], object], rounds: int = 1) -> float:
    """The least CPU seconds of a call."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)


class Watched(nn.Module):
    """Layers of which the seconds are counted."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.spent = layers, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """What the layers give."""
        began = time.process_time()
        answer: Tensor = self.layers(x)
        self.spent += time.process_time() - began
        return answer


def truncated(path: Path, out: Path) -> Any:
    """The truncated network, as it comes back from its checkpoint."""
    saved = checkpoint.read(path)
    options = dict(saved.manifest.get("options") or {})
    full: Any = catalogue.build(saved.manifest["model"], saved.classes, None, options)
    checkpoint.load_into(full, saved)
    manifest = {**saved.manifest, "options": {**options, "layers": "svd"}}
    checkpoint.write(out, compress(full).state_dict(), manifest)
    return load(out, score=None)


def look(detector: Any, image: Tensor, spent: dict[str, float]) -> Detections:
    """The answers for one photo; the seconds of each verb but the search are added up."""
    batch = detector.prepare([image])

    def timed(verb: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = call()
        spent[verb] = spent.get(verb, 0.0) + time.process_time() - began
        return found

    features = timed("encode", lambda: detector.encode(batch))
    regions = detector.propose(batch, features)
    scored = timed("classify", lambda: detector.classify(batch, features, regions))
    found: list[Detections] = timed(
        "postprocess", lambda: detector.postprocess(batch, features, scored)
    )
    return found[0]


def layers_of_the_paper() -> None:
    """fc6 and fc7 of VGG-16 on 2,000 regions, before and after."""
    torch.manual_seed(0)
    full = VGG16Layers().eval()
    small = copy.deepcopy(full)
    for name, rank in ranks(4096).items():  # random weights: any of that shape are as fast
        layer = getattr(small, name)
        setattr(small, name, Truncated(layer.in_features, layer.out_features, rank))
    regions = torch.rand(2000, 512, 7, 7)
    one, other = (seconds(lambda n=n: n(regions), 2) for n in (full, small))
    print(f"VGG-16's fc6 and fc7, 2,000 regions: {one:.2f} s → {other:.2f} s, {one / other:.1f}×")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fast R-CNN, full against truncated")
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--photos", type=int, default=0, help="so many at most (0: all)")
    parser.add_argument("--out", type=Path, help="where the truncated checkpoint is written")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    asked = arguments()
    torch.set_num_threads(1)
    photos = open_dataset(asked.data, asked.split)
    photos = photos.subset(range(min(asked.photos or len(photos), len(photos))))
    full = load(asked.run, score=None)
    with tempfile.TemporaryDirectory() as folder:
        small = truncated(asked.run, asked.out or Path(folder) / "svd.safetensors")
    detectors = {"full": full.detector, "svd": small.detector}
    detectors["svd"].store = detectors["full"].store  # both judge the same regions
    for detector in detectors.values():
        look(detector, read(photos[0].path), {})
        detector.head.layers = Watched(detector.head.layers)
    spent: dict[str, dict[str, float]] = {name: {} for name in detectors}
    found: dict[str, list[Detections]] = {name: [] for name in detectors}
    for example in photos:
        image = read(example.path)
        for name, detector in detectors.items():
            found[name].append(look(detector, image, spent[name]))
    print(f"{len(photos)} photos of {asked.data.name}, one thread, CPU seconds a photo")
    whole = {}
    for name, detector in detectors.items():
        report, own = evaluate(photos, found[name]), detector.head.layers.spent / len(photos)
        whole[name] = sum(spent[name].values()) / len(photos)
        each = ", ".join(f"{verb} {spent[name][verb] / len(photos):.3f}" for verb in VERBS)
        print(
            f"{name:5} {whole[name]:.3f} s ({each}; fc6 and fc7 {own:.3f})"
            f"  AP {report.AP:.4f}, AP50 {report.AP50:.4f}"
        )
    print(f"truncated: {1 - whole['svd'] / whole['full']:.0%} less time")
    layers_of_the_paper()


if __name__ == "__main__":
    main()
