"""RoIAlign and RoIPool against torchvision where it is installed, and against grid_sample.

    python benchmarks/roi.py [--threads 2] [--regions 1000] [--cpu-time]

1,000 regions of a 256 × 50 × 68 map (stride 16, 800 × 1,088 pixels), 7 × 7 bins of 2 × 2
points. Each row interleaves the peers with ours and prints medians of the wall time (`--cpu-time`:
of the process's own seconds, for a machine that others use) and the peer's time divided by ours.
The published times of torchvision's op for these shapes on a two-core AVX-512 machine are 205 ms
forward and 660 ms backward, 136 ms for RoIPool.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from turns import Clock, as_the_command_line, clock, medians

from sightline.memory import keep_freed_memory
from sightline.ops.roi_align import roi_align
from sightline.ops.roi_pool import roi_pool

try:
    import torchvision
except ImportError:
    torchvision = None

SIZE, SCALE = (7, 7), 1 / 16

Timing = tuple[int, Clock]
"""How many rounds, and by which clock."""


def regions(count: int, seed: int = 0) -> Tensor:
    """Boxes with sides of 32 … 500 pixels, cut at the edges of 800 × 1,088."""
    rng = np.random.default_rng(seed)
    side = np.exp(rng.uniform(np.log(32), np.log(500), (count, 2)))
    centre = rng.uniform(0, [1088, 800], (count, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    return torch.from_numpy(boxes.clip(0, [1088, 800, 1088, 800])).float()


def sampled(features: Tensor, boxes: Tensor) -> Tensor:
    """RoIAlign of one map by torch's own bilinear reading of the same points."""
    height, width = features.shape[-2:]
    start, length = boxes[:, :2] * SCALE, (boxes[:, 2:] - boxes[:, :2]).mul(SCALE).clamp(min=1)
    along = (torch.arange(2 * SIZE[1]) + 0.5) / (2 * SIZE[1])
    x = start[:, :1] + along * length[:, :1]
    y = start[:, 1:] + along * length[:, 1:]
    x, y = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, y.shape[1], -1), y[:, :, None].expand(-1, -1, x.shape[1])], -1
    )
    rows = grid.flatten(0, 1)[None]
    read = F.grid_sample(features, rows, padding_mode="border", align_corners=False)
    read = read.view(features.shape[1], len(boxes), 2 * SIZE[0], 2 * SIZE[1])
    return F.avg_pool2d(read, 2).transpose(0, 1)


def row(title: str, calls: dict[str, Callable[[], object]], timing: Timing) -> None:
    found = medians(calls, *timing)
    ours = found.pop("ours")
    peers = "".join(f"  {name} {ms:7.1f} ms {ms / ours:5.1f}×" for name, ms in found.items())
    print(f"{title:34s} ours {ours:6.1f} ms{peers}", flush=True)


def pooling(
    pools: dict[str, Callable[[Tensor], Tensor]], maps: dict[str, Tensor], timing: Timing
) -> None:
    """RoIPool to detect, to learn (where each maximum lay is kept), and backward."""
    learnt = {name: maps[name].clone().requires_grad_() for name in pools}
    row("RoIPool", {k: lambda f=f, x=maps[k]: f(x) for k, f in pools.items()}, timing)
    row("RoIPool, to learn", {k: lambda f=f, x=learnt[k]: f(x) for k, f in pools.items()}, timing)
    back = {}
    for name, pool in pools.items():
        y = pool(learnt[name])
        g = torch.ones_like(y)
        back[name] = lambda y=y, x=learnt[name], g=g: torch.autograd.grad(
            y, x, g, retain_graph=True
        )
    row("RoIPool, backward", back, timing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--regions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--cpu-time", action="store_true")
    asked = parser.parse_args()
    as_the_command_line()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    timing = asked.rounds, clock(asked.cpu_time)
    boxes, image = regions(asked.regions), torch.zeros(asked.regions, dtype=torch.int64)
    packed = torch.cat([image[:, None].float(), boxes], dim=1)
    plain = torch.randn(1, 256, 50, 68, generator=torch.Generator().manual_seed(0))
    last = plain.contiguous(memory_format=torch.channels_last)
    both = {"channels first": plain, "channels last": last}
    for layout, features in both.items():
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda x=features: roi_align(x, boxes, image, SIZE, SCALE),
            "grid_sample": lambda x=features: sampled(x, boxes),
        }
        if torchvision is not None:
            calls["torchvision"] = lambda x=features: torchvision.ops.roi_align(
                x, packed, SIZE, SCALE, 2, False
            )
        row(f"RoIAlign, {layout}", calls, timing)
    outer = torch.randn(asked.regions, 256, *SIZE)
    nets: dict[str, Callable[[Tensor], Tensor]] = {
        "ours": lambda x: roi_align(x, boxes, image, SIZE, SCALE),
        "grid_sample": lambda x: sampled(x, boxes),
    }
    if torchvision is not None:
        nets["torchvision"] = lambda x: torchvision.ops.roi_align(x, packed, SIZE, SCALE, 2, False)
    back = {}
    for name, net in nets.items():
        x = last.clone().requires_grad_()
        y = net(x)
        g = outer.contiguous(memory_format=torch.channels_last) if name == "ours" else outer
        back[name] = lambda y=y, x=x, g=g: torch.autograd.grad(y, x, g, retain_graph=True)
    row("RoIAlign, backward", back, timing)
    pools: dict[str, Callable[[Tensor], Tensor]] = {
        "ours": lambda x: roi_pool(x, boxes, image, SIZE, SCALE)
    }
    if torchvision is not None:
        pools["torchvision"] = lambda x: torchvision.ops.roi_pool(x, packed, SIZE, SCALE)
    pooling(pools, {"ours": last, "torchvision": plain}, timing)


if __name__ == "__main__":
    main()
