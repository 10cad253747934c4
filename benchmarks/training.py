"""What a training step costs on the CPU in bfloat16 against float32.

    python benchmarks/training.py [--model retinanet_mobilenet_v2] [--batch 8] [--side 320]

The same network with the same weights, the same made-up pictures and boxes, as the training loop
steps: forward, backward, clipping, optimizer, average. Both precisions take turns, step by step; a
row is the median in milliseconds and float32's time divided by it. Only a CPU that multiplies in
bfloat16 gains; on others `train` stays with float32 by itself. `--cpu-time` counts the process's
own seconds, for a machine that others use.
"""

import argparse
import copy

import torch
from turns import clock, medians

from sightline import catalogue
from sightline.memory import keep_freed_memory
from sightline.nets.categories import COCO
from sightline.train import setup
from sightline.train.recipes import Recipe
from sightline.train.step import Stepper
from sightline.types import Targets

OBJECTS = 7
"""Boxes of each picture: COCO's mean."""


def pictures(batch: int, side: int) -> tuple[torch.Tensor, list[Targets]]:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, side, side), generator=draw, dtype=torch.uint8)
    targets = []
    for _ in range(batch):
        corner = torch.rand(OBJECTS, 2, generator=draw) * side * 0.6
        extent = side * (0.05 + 0.35 * torch.rand(OBJECTS, 2, generator=draw))
        boxes = torch.cat([corner, corner + extent], dim=1)
        labels = torch.randint(0, len(COCO), (OBJECTS,), generator=draw)
        targets.append(Targets(boxes, labels, torch.zeros(OBJECTS, dtype=torch.bool)))
    return pixels, targets


def steppers(model: str) -> dict[str, Stepper]:
    """One network in both precisions, its stem and norms as a run from known weights has them."""
    torch.manual_seed(0)
    base = catalogue.build(model, list(COCO.values()))
    answer = {}
    for name, bf16 in (("float32", False), ("bfloat16", True)):
        recipe = Recipe(model=model, start="a backbone", steps=1, freeze=2, bf16=bf16)
        detector = copy.deepcopy(base)
        setup.freeze(detector, recipe)
        answer[name] = Stepper(detector, recipe)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="retinanet_mobilenet_v2")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    pixels, targets = pictures(asked.batch, asked.side)
    calls = {
        name: lambda stepper=stepper: stepper.step(pixels, targets, 1e-4)
        for name, stepper in steppers(asked.model).items()
    }
    found = medians(calls, asked.rounds, clock(asked.cpu_time), warm=2)
    kind = "CPU" if asked.cpu_time else "wall"
    print(
        f"{asked.model}: {asked.batch} pictures of {asked.side}×{asked.side}, "
        f"{asked.threads} threads, {kind} time of a step"
    )
    for name, median in found.items():
        print(f"{name:12} {median:8.0f} ms  {found['float32'] / median:5.2f}×")


if __name__ == "__main__":
    main()
