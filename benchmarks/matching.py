"""Matching a region proposal network's anchors: the definition's tables of pairs against one pass.

    python benchmarks/matching.py [--threads 2] [--rounds 7] [--cpu-time]

260,000 anchors of five levels (800 × 1,088 pixels) with 1, 10 and 50 objects of 16 … 400 pixels,
thresholds 0.7 and 0.3, each object's best anchors included. A row is the medians of interleaved
rounds and the definition's time divided by ours; that both give the same rows is asserted first.
`--cpu-time` counts the process's own seconds, for a machine that others use.
"""

import argparse

import torch
from torch import Tensor
from turns import clock, medians

from sightline.anchors import AnchorGrid
from sightline.memory import keep_freed_memory
from sightline.ops.iou_match import match_by_iou

SIZE = (800, 1088)


def anchors(count: int = 260_000) -> Tensor:
    """As the published network has them, over five levels; some of the first come twice."""
    sizes = tuple((32.0 * 2**level,) for level in range(5))
    grids = [(-(-SIZE[0] // stride), -(-SIZE[1] // stride)) for stride in (4, 8, 16, 32, 64)]
    boxes = AnchorGrid(sizes, offset=0.0, rounded=True).boxes(grids, SIZE)[0]
    return boxes.repeat(-(-count // len(boxes)), 1)[:count]


def objects(count: int) -> Tensor:
    draw = torch.Generator().manual_seed(count)
    half = torch.exp(torch.rand(count, 2, generator=draw) * 3.2 + 2.08)
    centre = torch.rand(count, 2, generator=draw) * torch.tensor([SIZE[1], SIZE[0]])
    return torch.cat([centre - half, centre + half], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="matching anchors, definition against kernel")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    regions = anchors()
    for count in (1, 10, 50):
        given = (regions, objects(count), 0.7, 0.3, True)
        assert torch.equal(match_by_iou(*given), match_by_iou.reference(*given))
        sides = {"definition": match_by_iou.reference, "ours": match_by_iou}
        calls = {name: lambda side=side, given=given: side(*given) for name, side in sides.items()}
        found = medians(calls, options.rounds, clock(options.cpu_time))
        ratio = found["definition"] / found["ours"]
        print(
            f"{len(regions):,} anchors × {count:2} objects"
            f"  definition {found['definition']:8.1f} ms  ours {found['ours']:6.2f} ms"
            f"  {ratio:6.1f}×",
            flush=True,
        )


if __name__ == "__main__":
    main()
