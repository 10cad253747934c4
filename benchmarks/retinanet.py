"""RetinaNet R50 on the CPU at 480×640: plain eager fp32 against what detection runs.

    python benchmarks/retinanet.py [--rounds 7] [--threads 2] [--cpu-time]

All variants are the same network with the same weights on the same prepared image, interleaved
round by round; a row is the median in milliseconds and plain's time divided by it. `--cpu-time`
counts the process's own seconds, for a machine that others use.

plain: batch norm as trained, NCHW, as torchvision ships it; folded: batch norm in the
convolutions, channels last; bf16: that, with the convolutions in bfloat16. The encoder and the
towers are timed, and with them the anchors, decoding and NMS.
"""

import argparse
import copy
from collections.abc import Callable

import torch
from torch import Tensor
from turns import clock, medians

from sightline.detectors.retinanet import RetinaNet, retinanet_resnet50_fpn
from sightline.nets.blocks import optimise
from sightline.types import Batch, Frame

SIZE = (480, 640)


def answer(detector: RetinaNet, batch: Batch, features: tuple[Tensor, ...]) -> float:
    """The verbs after `encode`; the best score, so that nothing can be left out."""
    regions = detector.propose(batch, features)
    scored = detector.classify(batch, features, regions)
    found = detector.postprocess(batch, features, scored)[0]
    return float(scored.scores.amax()) + len(found)


def plain(detector: RetinaNet, batch: Batch) -> float:
    """NCHW all the way: past the encoder's own choice of memory format."""
    encoder = detector.encoder
    return answer(detector, batch, encoder.pyramid(encoder.backbone(batch.pixels)))


def as_detected(detector: RetinaNet, batch: Batch) -> float:
    """The five verbs as `pipeline.run` calls them."""
    return answer(detector, batch, detector.encode(batch))


def variants() -> dict[str, tuple[Callable[[RetinaNet, Batch], float], RetinaNet]]:
    torch.manual_seed(0)
    base = retinanet_resnet50_fpn([f"class {number}" for number in range(80)]).eval()
    return {
        "plain fp32": (plain, base),
        "folded, channels last, fp32": (as_detected, _ready(base, None)),
        "folded, channels last, bf16": (as_detected, _ready(base, torch.bfloat16)),
    }


def _ready(base: RetinaNet, dtype: torch.dtype | None) -> RetinaNet:
    ready = optimise(copy.deepcopy(base), dtype)
    assert isinstance(ready, RetinaNet)
    return ready


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="RetinaNet R50, plain against optimised")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    draw = torch.Generator().manual_seed(1)
    batch = Batch(torch.randn(1, 3, *SIZE, generator=draw), (Frame(SIZE, SIZE),))
    calls = {
        name: lambda run=run, detector=detector: run(detector, batch)
        for name, (run, detector) in variants().items()
    }
    found = medians(calls, options.rounds, clock(options.cpu_time))
    kind = "CPU" if options.cpu_time else "wall"
    print(f"{SIZE[0]}×{SIZE[1]}, {torch.get_num_threads()} threads, {kind} time")
    for name, median in found.items():
        print(f"{name:32} {median:8.0f} ms  {found['plain fp32'] / median:5.2f}×")


if __name__ == "__main__":
    main()
