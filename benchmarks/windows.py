"""Windows a second of a network that looks through them: one by one, in batches, all at once.

    python benchmarks/windows.py [--each 8] [--at-once 8] [--threads 1] [--model RUN] [--cpu-time]

An image of 1024 × 768 pixels has 12,288 windows of one shape at every eighth pixel, 184,320 of 5
sizes × 3 ratios. The fully convolutional pass answers all of them, from pixels to scores. Window by
window is measured on `--each` windows of every shape, evenly drawn, and told for all by proportion.
Prints windows a second, the ratios, and the largest difference between the scores of the three
ways. `--smallest` takes the first size alone, whose crops are the smallest. Without `--model` the
weights are random, with norms that keep them loud. `--cpu-time` counts the process's own seconds,
for a machine that others use.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from turns import clock, turns

from sightline import catalogue
from sightline.memory import keep_freed_memory
from sightline.nets.blocks import optimise
from sightline.predict import load
from sightline.types import Batch, Scored


def detector(model: str | None) -> Any:
    """The network that is asked, ready to detect, for images of 1024 pixels."""
    if model is not None:
        found: Any = load(model, score=None).detector
    else:
        torch.manual_seed(0)
        found = catalogue.build("window_cnn", ["cat head", "dog head"])
        for module in found.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_var is not None
                module.running_var.uniform_(0.05, 0.3)
                nn.init.uniform_(module.bias, 0, 0.3)
        optimise(found)
    found.preparation = replace(found.preparation, longer=1024)
    return found


def scene(height: int = 768, width: int = 1024) -> Tensor:
    """A picture with something in it: soft blobs of colour and noise."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 32, generator=draw)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    noise = torch.rand(3, height, width, generator=draw) * 0.3
    return ((smooth + noise).clamp(0, 1) * 255).to(torch.uint8)


def dense(model: Any, batch: Batch) -> Scored:
    """All windows in one pass."""
    features = model.encode(batch)
    scored: Scored = model.classify(batch, features, model.propose(batch, features))
    return scored


def seconds(call: Callable[[], Any], clock: Callable[[], float], rounds: int) -> tuple[float, Any]:
    """The median time of a call, and its last answer."""
    times, answer = [], None
    for _, took, last in turns({"": call}, rounds, clock, warm=0):
        times.append(took)
        answer = last
    return sorted(times)[len(times) // 2], answer


@torch.inference_mode()
def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model")
    parser.add_argument("--smallest", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    model = detector(given.model)
    batch = model.prepare([scene()])
    dense(model, batch)
    counted = clock(given.cpu_time)
    taken, all_of_them = seconds(lambda: dense(model, batch), counted, 5)
    regions = all_of_them.regions
    total = len(regions)
    shapes = model.windows.shapes
    print(f"{total:,} windows, {total // len(shapes):,} of each shape; margin {model.margin} px")
    side = model.windows.stride
    pixels = sum(h * w * side**2 for h, w in shapes) * total / len(shapes)
    print(f"the windows alone, without margin, are {pixels / (768 * 1024):,.0f} images of pixels")
    each = total // len(shapes)
    one = (torch.arange(given.each) + 0.5).mul(each / given.each).long()
    starts = torch.arange(3 if given.smallest else len(shapes)) * each
    rows = (starts[:, None] + one).flatten()
    ways = {"crop by crop": 1, f"batches of {given.at_once}": given.at_once}
    speeds, differences = {}, []
    for name, at_once in ways.items():
        model.classify_windows(batch, regions[rows[:1]], at_once)
        call = partial(model.classify_windows, batch, regions[rows], at_once)
        spent, scored = seconds(call, counted, 1)
        speeds[name] = len(rows) / spent
        differences.append((scored.scores - all_of_them.scores[rows]).abs().max().item())
    speeds["all at once"] = total / taken
    for name, speed in speeds.items():
        told = "" if name == "all at once" else f" (from {len(rows)} windows)"
        print(f"{name:14} {speed:12,.1f} windows/s {total / speed:12,.2f} s an image{told}")
    for name in ways:
        print(f"all at once is {speeds['all at once'] / speeds[name]:,.0f} × {name}")
    spread = all_of_them.scores.std().item()
    print(f"largest difference of scores {max(differences):.1e} (their deviation: {spread:.2f})")


if __name__ == "__main__":
    main()
