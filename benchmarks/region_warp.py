"""Warping R-CNN's regions: the kernel against RoIAlign, grid_sample and the definition.

    python benchmarks/region_warp.py [--threads 1] [--regions 2000] [--size 227]

Regions of a 375 × 500 image with sides of 20 … 300 pixels, 16 pixels of context, in chunks of 64 as
the detector takes them. Prints milliseconds a region of this process's own CPU time (medians of
interleaved rounds; the definition on few regions), and each one's time by the kernel's. grid_sample
takes one sample a pixel, where the kernel averages large regions; RoIAlign takes as many as needed.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.region_warp import grown, region_warp
from sightline.ops.roi_align import roi_align

CHUNK, CONTEXT = 64, 16


def regions(count: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    side = np.exp(rng.uniform(np.log(20), np.log(300), (count, 2)))
    centre = rng.uniform(0, [500, 375], (count, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    return torch.from_numpy(boxes.clip(0, [500, 375, 500, 375])).float()


def sampled(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """One bilinear sample a warped pixel, all regions in one call."""
    around = grown(boxes, size, CONTEXT)
    along = (torch.arange(size) + 0.5) / size
    x = around[:, :1] + along * (around[:, 2:3] - around[:, :1])
    y = around[:, 1:2] + along * (around[:, 3:] - around[:, 1:2])
    x, y = 2 * x / image.shape[3] - 1, 2 * y / image.shape[2] - 1
    grid = torch.stack(
        [x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
    )
    every = image.expand(len(boxes), -1, -1, -1)
    return F.grid_sample(every, grid, align_corners=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("threads", 1), ("regions", 2000), ("size", 227), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    image, boxes = torch.randn(1, 3, 375, 500), regions(given.regions)
    owner = torch.zeros(CHUNK, dtype=torch.int64)
    size = given.size
    ways: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
        "kernel": (given.regions, lambda b: region_warp(image, b, owner[: len(b)], size, CONTEXT)),
        "RoIAlign": (
            given.regions // 10,
            lambda b: roi_align(
                image, grown(b, size, CONTEXT), owner[: len(b)], (size, size), 1.0, 0, True
            ),
        ),
        "grid_sample": (given.regions // 10, lambda b: sampled(image, b, size)),
        "definition": (
            CHUNK,
            lambda b: region_warp.reference(image, b, owner[: len(b)], size, CONTEXT),
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(given.rounds + 1):
        for name, (count, warp) in ways.items():
            began = time.process_time()
            for part in boxes[:count].split(CHUNK):
                warp(part)
            if turn:  # the first one compiles
                took[name].append((time.process_time() - began) / count * 1e3)
    for name, times in took.items():
        ratio = median(times) / median(took["kernel"])
        print(f"{name:<12} {median(times):7.3f} ms a region   {ratio:5.1f} ×")


if __name__ == "__main__":
    main()
