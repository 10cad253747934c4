"""Suppression, RoIAlign and RoIPool on a GPU against torchvision's own kernels.

    python benchmarks/cuda_ops.py [--rounds 30]

Each row interleaves torchvision with ours and prints medians of the time by CUDA's events, the
host's share included, the peer's time divided by ours, and the greatest difference of the answers.
Ours checks its arguments first, which torchvision's does not.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sightline.ops.nms import nms, nms_classwise
from sightline.ops.roi_align import roi_align
from sightline.ops.roi_pool import roi_pool

try:
    import torchvision
except ImportError:
    torchvision = None

SIZE = (7, 7)


def clustered(count: int, objects: int = 100, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Boxes with sides of 20 … 200 jittered around objects on 1000 × 1333 pixels, and scores."""
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0, [1333, 1000], (objects, 2)), rng.uniform(20, 200, (objects, 2))
    which = rng.integers(0, objects, count)
    middle = centre[which] + rng.normal(0, 0.1, (count, 2)) * side[which]
    sides = side[which] * np.exp(rng.normal(0, 0.15, (count, 2)))
    boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1)
    scores = rng.permutation(count) / count  # none equal: torchvision promises no order of those
    return torch.from_numpy(boxes).float().cuda(), torch.from_numpy(scores).float().cuda()


def regions(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Boxes with sides of 32 … 500 pixels, cut at the edges."""
    rng = np.random.default_rng(seed)
    side = np.exp(rng.uniform(np.log(32), np.log(500), (count, 2)))
    centre = rng.uniform(0, [width, height], (count, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    return torch.from_numpy(boxes.clip(0, [width, height] * 2)).float().cuda()


def median_ms(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Of each call, interleaved; three unmeasured rounds before."""
    times: list[list[float]] = [[] for _ in calls]
    for i in range(rounds + 3):
        for call, its in zip(calls, times, strict=True):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            call()
            end.record()
            torch.cuda.synchronize()
            if i >= 3:
                its.append(start.elapsed_time(end))
    return [float(np.median(its)) for its in times]


def row(title: str, peer: Callable[[], Tensor], ours: Callable[[], Tensor], rounds: int) -> None:
    a, b = peer(), ours()
    off = f"{(a - b).abs().max().item():.1e}" if a.shape == b.shape and a.numel() else "shapes!"
    theirs, own = median_ms([peer, ours], rounds)
    print(
        f"{title:52s} torchvision {theirs:8.3f} ms  ours {own:8.3f} ms  {theirs / own:5.2f}×  "
        f"off by {off}",
        flush=True,
    )


def suppression(rounds: int) -> None:
    for count in (1000, 4000):
        boxes, scores = clustered(count)
        row(
            f"NMS, {count:,} boxes",
            lambda b=boxes, s=scores: torchvision.ops.nms(b, s, 0.5),
            lambda b=boxes, s=scores: nms(b, s, 0.5),
            rounds,
        )
    boxes, scores = clustered(8000)
    groups = torch.from_numpy(np.random.default_rng(1).integers(0, 80, 8000)).cuda()
    row(
        "NMS class-wise, 8,000 boxes, 80 classes",
        lambda: torchvision.ops.batched_nms(boxes, scores, groups, 0.5),
        lambda: nms_classwise(boxes, scores, groups, 0.5),
        rounds,
    )


def both_ways(
    title: str,
    maps: Tensor,
    peer: Callable[[Tensor], Tensor],
    ours: Callable[[Tensor], Tensor],
    rounds: int,
) -> None:
    """Forward without and backward alone; each with maps as it likes them best."""
    first = maps.clone().requires_grad_()
    last = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    still, ours_still = first.detach(), last.detach()
    row(title, lambda: peer(still), lambda: ours(ours_still), rounds)
    a, b = peer(first), ours(last)
    g = torch.randn(a.shape, device=a.device)
    h = g.contiguous(memory_format=torch.channels_last)
    row(
        f"{title}, backward",
        lambda: torch.autograd.grad(a, first, g, retain_graph=True)[0],
        lambda: torch.autograd.grad(b, last, h, retain_graph=True)[0],
        rounds,
    )


def pooling(shape: tuple[int, int, int, int], count: int, scale: float, rounds: int) -> None:
    maps = torch.randn(shape, device="cuda")
    boxes = regions(count, int(shape[2] / scale), int(shape[3] / scale))
    image = torch.arange(count, device="cuda") % shape[0]
    packed = torch.cat([image[:, None].float(), boxes], dim=1)
    title = f"{count:,} regions of {' × '.join(map(str, shape))}"
    both_ways(
        f"RoIAlign, {title}",
        maps,
        lambda x: torchvision.ops.roi_align(x, packed, SIZE, scale, 2, False),
        lambda x: roi_align(x, boxes, image, SIZE, scale),
        rounds,
    )
    both_ways(
        f"RoIPool, {title}",
        maps,
        lambda x: torchvision.ops.roi_pool(x, packed, SIZE, scale),
        lambda x: roi_pool(x, boxes, image, SIZE, scale),
        rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available() or torchvision is None:
        print("this benchmark wants a GPU and torchvision")
        return
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    suppression(rounds)
    pooling((1, 256, 50, 68), 1000, 1 / 16, rounds)
    pooling((8, 256, 100, 136), 512, 1 / 8, rounds)


if __name__ == "__main__":
    main()
