"""Selective Search against OpenCV's: how well it covers objects, and how fast.

    python benchmarks/selective_search.py ../shared/data/voc2012_100 ../shared/data/coco

Needs OpenCV with its contributed modules (opencv-contrib-python). On the first images of each data
set that hold an object, both look at the same pixels, image by image in turn, each with two
threads, in the modes fast and quality. Printed are recall and MABO at 1,000, 2,000 and all
proposals, the peer's, ours, and ours divided by the peer's; then the medians of the time that an
image takes, wall and CPU, and the peer's divided by ours.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy import ndarray

from sightline.data import default_split, open_dataset
from sightline.data.records import Dataset
from sightline.detectors.selective_search import SelectiveSearch
from sightline.detectors.strategies import MODES
from sightline.evaluate.proposals import ProposalReport, evaluate_proposals
from sightline.images import read

LIMITS = (1000, 2000)


def with_objects(folder: Path, count: int) -> Dataset:
    """The first images of a data set (of its split val, where there is one) to find things in."""
    dataset = open_dataset(folder, default_split(folder, "val", None))
    sought = [~(example.objects.crowd | example.objects.difficult) for example in dataset]
    return dataset.subset([i for i, wanted in enumerate(sought) if wanted.any()][:count])


def opencv(mode: str) -> Callable[[torch.Tensor], ndarray]:
    def search(image: torch.Tensor) -> ndarray:
        finder = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        finder.setBaseImage(np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1]))
        if mode == "fast":
            finder.switchToSelectiveSearchFast()
        else:
            finder.switchToSelectiveSearchQuality()
        boxes = np.asarray(finder.process(), np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes

    return search


def ours(mode: str) -> Callable[[torch.Tensor], ndarray]:
    finder = SelectiveSearch(strategies=MODES[mode])
    return lambda image: finder.search(image).numpy()


Clocks = dict[str, list[tuple[float, float]]]


def both(dataset: Dataset, mode: str) -> tuple[dict[str, ProposalReport], Clocks]:
    """Reports of both sides, and (wall, CPU) seconds of every image."""
    calls = {"peer": opencv(mode), "ours": ours(mode)}
    found: dict[str, list[ndarray]] = {side: [] for side in calls}
    clocks: Clocks = {side: [] for side in calls}
    calls["ours"](read(dataset[0].path))  # compiles, where that was not done before
    for example in dataset:
        image = read(example.path)
        for side, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            found[side].append(call(image))
            clocks[side].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {s: evaluate_proposals(dataset, boxes, LIMITS) for s, boxes in found.items()}, clocks


def tell(title: str, reports: dict[str, ProposalReport], clocks: Clocks) -> bool:
    """Print a table; whether ours is nowhere behind."""
    peer, mine = reports["peer"], reports["ours"]
    print(f"{title}: {len(mine.counts)} images, {len(mine.labels)} objects")
    print(f"{'':26s}{'peer':>9s}{'ours':>9s}{'ratio':>8s}")
    held = True

    def row(name: str, a: float, b: float, digits: int = 4) -> None:
        print(f"  {name:24s}{a:9.{digits}f}{b:9.{digits}f}{b / max(a, 1e-9):8.3f}")

    for limit in (*LIMITS, None):
        a, b = peer.figures(limit), mine.figures(limit)
        name = "all" if limit is None else f"{limit:,}"
        row(f"{name}: boxes an image", a.count, b.count, 0)
        measures: list[tuple[str, Any, Any]] = [("MABO", a.mabo, b.mabo)]
        measures += [(f"recall at IoU {iou}", a.recall[iou], b.recall[iou]) for iou in a.recall]
        for measure, theirs, own in measures:
            row(f"{name}: {measure}", theirs, own)
            held &= own >= theirs
    for column, name in enumerate(("wall", "CPU")):
        a, b = (float(np.median([t[column] for t in clocks[side]])) for side in ("peer", "ours"))
        print(f"  {name + ' seconds an image':24s}{a:9.3f}{b:9.3f}{a / b:7.1f}×")
    print(f"  {'equal or better everywhere' if held else 'behind somewhere'}", flush=True)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--modes", nargs="+", default=["fast", "quality"], choices=MODES)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    if not hasattr(cv2, "ximgproc"):
        parser.exit(2, "this OpenCV has no ximgproc: install opencv-contrib-python\n")
    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(asked.threads)
    for mode in asked.modes:
        for folder in asked.data:
            tell(f"{folder.name}, {mode}", *both(with_objects(folder, asked.images), mode))


if __name__ == "__main__":
    main()
