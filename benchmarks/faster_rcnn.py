"""Faster R-CNN R50-FPN, one image of 480×640 from pixels to boxes, stage by stage.

    python benchmarks/faster_rcnn.py [--rounds 5] [--threads 2] [--cpu-time] [--shorter 800]
        [--device cuda]

All variants are the same network with the same weights on the same image (its shorter side resized
to 800 as the network wants it), interleaved round by round: `plain` is eager fp32, batch norm as
trained, NCHW, as torchvision ships it; `folded` has batch norm in the convolutions and channels
last; `bf16` is that with the convolutions in bfloat16, where the CPU multiplies in it. A row is the
median, the plain one's time divided by it, and the stages' shares of the wall time. `--cpu-time`
counts the process's own seconds, for a machine that others use.

Weights are random. Heads at random say nearly the same everywhere, and suppression would have
nothing to do; they are scaled so that logits and offsets spread as a trained network's do, and what
each suppression sees and leaves is printed. With torchvision installed its own network runs beside
ours from the same weights; else its published time is named.
"""

import argparse
import copy
import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import clock, turns

from sightline import pipeline
from sightline.detectors.faster_rcnn import FasterRCNN, faster_rcnn_resnet50_fpn
from sightline.fitting import device_of
from sightline.memory import keep_freed_memory
from sightline.nets.blocks import optimise
from sightline.nets.layouts import layout
from sightline.suppress import candidates

try:
    import torchvision
except ImportError:
    torchvision = None

PUBLISHED = (
    "torchvision, as published for a 2-core AVX-512 machine: 1,030 ms at 480×640"
    " (backbone 62 %, RPN head 16 %, box head 12 %, RoIAlign 7 %)"
)


class AsShipped(nn.Module):
    """Backbone and pyramid in NCHW: past the encoder's own choice of memory format."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.backbone, self.pyramid = encoder.backbone, encoder.pyramid

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The maps that both stages read."""
        answer: tuple[Tensor, ...] = self.pyramid(self.backbone(pixels))
        return answer


def picture(size: tuple[int, int]) -> Tensor:
    """Soft blotches of all colours, with some noise."""
    draw = torch.Generator().manual_seed(1)
    blotches = torch.rand(1, 3, 12, 16, generator=draw) * 255
    soft = F.interpolate(blotches, size, mode="bicubic", align_corners=False)[0]
    return (soft + 8 * torch.randn(3, *size, generator=draw)).clamp(0, 255).byte()


def spread(layer: nn.Module, found: Tensor, wanted: float) -> None:
    """Scale `layer` so that what it gives deviates by `wanted`."""
    layer.weight.mul_(wanted / float(found.std()))


@torch.inference_mode()
def scaled(detector: FasterRCNN, image: Tensor) -> FasterRCNN:
    """The detector with heads that are sure of some places and of most are not."""
    batch = detector.prepare([image])
    features = detector.encode(batch)
    first, second = detector.proposer.head, detector.head
    logits, offsets = first(features)
    spread(first.objectness, logits, 2.0)
    spread(first.box_offsets, offsets, 0.2)
    regions = detector.propose(batch, features)
    logits, offsets = second(features, regions, batch.size)
    spread(second.class_logits, logits, 2.5)
    spread(second.box_offsets, offsets, 0.5)
    return detector


@torch.inference_mode()
def tell_numbers(detector: FasterRCNN, image: Tensor) -> None:
    """What each suppression sees and leaves."""
    trace = pipeline.run(detector, [image])
    proposer = detector.proposer
    anchors = proposer.propose(trace.batch, trace.features)
    scored = proposer.classify(trace.batch, trace.features, anchors)
    seen = [
        sum(map(len, (pairs.scores for pairs in candidates(one, trace.batch, selection))))
        for one, selection in (
            (scored, proposer.selection),
            (trace.scored, detector.selection),
        )
    ]
    height, width = trace.batch.size
    print(
        f"{height}×{width} prepared pixels, {len(anchors):,} anchors; {seen[0]:,} to suppress,"
        f" {len(trace.regions):,} proposals; {seen[1]:,} to suppress,"
        f" {len(trace.detections[0])} answers"
    )


def variants(base: FasterRCNN) -> dict[str, FasterRCNN]:
    plain = copy.deepcopy(base)
    plain.proposer.encoder = AsShipped(plain.encoder)
    found = {"plain fp32": plain, "folded, channels last": _ready(base, None)}
    if device_of(base).type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        found["folded, channels last, bf16"] = _ready(base, torch.bfloat16)
    return found


def _ready(base: FasterRCNN, dtype: torch.dtype | None) -> FasterRCNN:
    ready = optimise(copy.deepcopy(base), dtype)
    assert isinstance(ready, FasterRCNN)
    return ready


def peer(base: FasterRCNN, image: Tensor) -> Callable[[], object]:
    """torchvision's network with the same weights."""
    net = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=len(base.classes) + 1,
        min_size=base.preparation.shorter,
    ).eval()
    state = layout("fasterrcnn_resnet50_fpn").to_published(base.state_dict())
    wanted = net.state_dict()
    net.load_state_dict({name: state[name] for name in wanted})
    net.to(image.device)
    pixels = image.float() / 255
    return lambda: net([pixels])


def finished(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """The call, which also waits for what it told a GPU to do."""

    def whole() -> object:
        answer = call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return answer

    return whole


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Faster R-CNN R50-FPN, plain against optimised")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--shorter", type=int, default=800, help="prepared pixels")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    image = picture((480, 640)).to(asked.device)
    base = faster_rcnn_resnet50_fpn([f"class {number}" for number in range(90)]).eval()
    base.to(asked.device)
    base.preparation = replace(base.preparation, shorter=asked.shorter)
    detectors = variants(scaled(base, image))
    tell_numbers(base, image)
    calls = {k: lambda d=d: pipeline.run(d, [image]) for k, d in detectors.items()}
    if torchvision is not None:
        calls["torchvision"] = peer(base, image)
    calls = {name: finished(call, image.device) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    stages: dict[str, dict[str, float]] = {name: {} for name in detectors}
    for name, took, trace in turns(calls, asked.rounds, clock(asked.cpu_time)):
        seconds[name].append(took)
        if name in detectors:
            for verb, spent in trace.seconds.items():
                stages[name][verb] = stages[name].get(verb, 0.0) + spent
    place = f"{torch.get_num_threads()} threads" if asked.device == "cpu" else asked.device
    print(f"{place}, {'CPU' if asked.cpu_time else 'wall'} time")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        of = stages.get(name, {})
        shares = ", ".join(f"{verb} {v / sum(of.values()):.1%}" for verb, v in of.items())
        ratio = medians["plain fp32"] / median
        print(f"{name:28} {1000 * median:7.0f} ms  {ratio:5.2f}×  {shares}")
    if torchvision is None:
        print(PUBLISHED)


if __name__ == "__main__":
    main()
