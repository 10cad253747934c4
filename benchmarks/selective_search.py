"""Selective Search against OpenCV's: how well it covers objects, and how fast.

    python benchmarks/selective_search.py ../shared/data/voc2012_100 ../shared/data/coco

Needs OpenCV with its contributed modules (opencv-contrib-python). On the first images of each data
set that hold an object, both look at the same pixels, image by image in turn, each with two
threads, in the modes fast and quality. Printed are recall and MABO at 1,000, 2,000 and all
proposals, the peer's, ours, and ours divided by the peer's; then the medians of the time that an
image takes, wall and CPU, and the peer's divided by ours.
"""

import argparse
import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from contributed import require
from numpy import ndarray

from sightline.data import default_split, open_dataset
from sightline.data.records import Dataset
from sightline.detectors.selective_search import SelectiveSearch
from sightline.detectors.strategies import MODES
from sightline.evaluate.proposals import ProposalReport, evaluate_proposals
from sightline.images import read

LIMITS = (1000, 2000)
Clocks = dict[str, list[tuple[float, float]]]
Search = Callable[[torch.Tensor, int], ndarray]
"""The boxes of an image, best first, in the order of a seed."""


def with_objects(folder: Path, count: int) -> Dataset:
    """The first images of a data set (of its split val, where there is one) to find things in."""
    dataset = open_dataset(folder, default_split(folder, "val", None))
    sought = [~(example.objects.crowd | example.objects.difficult) for example in dataset]
    return dataset.subset([i for i, wanted in enumerate(sought) if wanted.any()][:count])


def opencv(mode: str) -> Search:
    def search(image: torch.Tensor, seed: int) -> ndarray:
        ctypes.CDLL(None).srand(seed)  # it draws by the C library's rand()
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


def ours(mode: str) -> Search:
    def search(image: torch.Tensor, seed: int) -> ndarray:
        return SelectiveSearch(strategies=MODES[mode], seed=seed).search(image).numpy()

    return search


def both(dataset: Dataset, mode: str, seeds: int) -> tuple[dict[str, list[ProposalReport]], Clocks]:
    """Reports of both sides for each seed, and (wall, CPU) seconds of every image."""
    calls = {"peer": opencv(mode), "ours": ours(mode)}
    found: dict[str, list[list[ndarray]]] = {side: [[] for _ in range(seeds)] for side in calls}
    clocks: Clocks = {side: [] for side in calls}
    calls["ours"](read(dataset[0].path), 0)  # compiles, where that was not done before
    for example in dataset:
        image = read(example.path)
        for seed in range(seeds):
            for side, call in calls.items():
                wall, cpu = time.perf_counter(), time.process_time()
                found[side][seed].append(call(image, seed))
                clocks[side].append((time.perf_counter() - wall, time.process_time() - cpu))
    reports = {
        side: [evaluate_proposals(dataset, boxes, LIMITS) for boxes in drawn]
        for side, drawn in found.items()
    }
    return reports, clocks


def measures(reports: list[ProposalReport], limit: int | None) -> dict[str, list[float]]:
    """Each figure of the first `limit` boxes, seed by seed."""
    figures = [report.figures(limit) for report in reports]
    answer = {"boxes an image": [one.count for one in figures]}
    answer["MABO"] = [one.mabo for one in figures]
    for iou in figures[0].recall:
        answer[f"recall at IoU {iou}"] = [one.recall[iou] for one in figures]
    return answer


def tell(title: str, reports: dict[str, list[ProposalReport]], clocks: Clocks) -> None:
    """Print a table, and where ours is behind by more than chance."""
    peer, mine = reports["peer"], reports["ours"]
    print(f"{title}: {len(mine[0].counts)} images, {len(mine[0].labels)} objects")
    print(f"{'':26s}{'peer':>9s}{'ours':>9s}{'ratio':>8s}{'may be off by':>24s}")
    behind = []
    for limit in (*LIMITS, None):
        theirs = measures(peer, limit)
        for name, own in measures(mine, limit).items():
            line = f"{'all' if limit is None else f'{limit:,}'}: {name}"
            a, b = float(np.mean(theirs[name])), float(np.mean(own))
            digits = 0 if name.startswith("boxes") else 4
            row = f"  {line:24s}{a:9.{digits}f}{b:9.{digits}f}{b / max(a, 1e-9):8.3f}"
            off = [np.std(one, ddof=1) / len(one) ** 0.5 for one in (theirs[name], own) if one[1:]]
            print(row + (f"{off[0]:16.4f}{off[1]:8.4f}" if off else ""))
            if digits and b < a - 2 * float(np.hypot(*off) if off else 0):
                behind.append(line)
    for column, name in enumerate(("wall", "CPU")):
        a, b = (float(np.median([t[column] for t in clocks[side]])) for side in ("peer", "ours"))
        print(f"  {name + ' seconds an image':24s}{a:9.3f}{b:9.3f}{a / b:7.1f}×")
    print(f"  behind: {', '.join(behind) or 'nowhere'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--modes", nargs="+", default=["fast", "quality"], choices=MODES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    require(parser, "ximgproc")
    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(asked.threads)
    for mode in asked.modes:
        for folder in asked.data:
            dataset = with_objects(folder, asked.images)
            tell(f"{folder.name}, {mode}", *both(dataset, mode, asked.seeds))


if __name__ == "__main__":
    main()
