"""Suppression against OpenCV (and torchvision where it is installed), row by row.

    python benchmarks/nms.py

Each row interleaves the peers with ours, round by round, and prints medians and the peer's time
divided by ours. Everything runs in one thread and CPU time is what counts, so that other work on
the machine disturbs little; on an idle one it is the wall time. Boxes are clustered: 80 % of them
jittered around 100 objects.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from sightline.ops.nms import nms, nms_classwise
from sightline.suppress import Selection, select
from sightline.types import Batch, Frame, Regions, Scored

try:
    import torchvision
except ImportError:
    torchvision = None

Case = tuple[Tensor, Tensor]


def clustered(count: int, objects: int = 100, share: float = 0.8, seed: int = 0) -> Case:
    """Boxes with sides of 20 … 200 on 1000×1333 pixels, and scores."""
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0, [1333, 1000], (objects, 2)), rng.uniform(20, 200, (objects, 2))
    which = rng.integers(0, objects, count)
    middle = centre[which] + rng.normal(0, 0.1, (count, 2)) * side[which]
    sides = side[which] * np.exp(rng.normal(0, 0.15, (count, 2)))
    lone = rng.random(count) >= share
    middle[lone] = rng.uniform(0, [1333, 1000], (count, 2))[lone]
    sides[lone] = rng.uniform(20, 200, (count, 2))[lone]
    boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1)
    return torch.from_numpy(boxes).float(), torch.from_numpy(rng.random(count)).float()


def medians(calls: dict[str, Callable[[], object]], seconds: float = 1.5) -> dict[str, float]:
    """Milliseconds of each, their rounds interleaved; three rounds at least."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 3:
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: 1e3 * float(np.median(values)) for name, values in times.items()}


def row(title: str, calls: dict[str, Callable[[], object]]) -> None:
    found = medians(calls)
    ours = found.pop("ours")
    peers = "".join(f"  {name} {ms:9.3f} ms {ms / ours:6.1f}×" for name, ms in found.items())
    print(f"{title:44s} ours {ours:8.3f} ms{peers}", flush=True)


def plain(count: int, threshold: float = 0.5) -> None:
    boxes, scores = clustered(count)
    xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).numpy()
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: nms(boxes, scores, threshold),
        "OpenCV": lambda: cv2.dnn.NMSBoxes(xywh, scores.numpy(), 0.0, threshold),
    }
    if torchvision is not None:
        calls["torchvision"] = lambda: torchvision.ops.nms(boxes, scores, threshold)
    if count <= 5000:
        assert torch.equal(nms(boxes, scores, threshold), nms.reference(boxes, scores, threshold))
    row(f"NMS, {count:,} boxes, IoU {threshold}", calls)


def grouped(title: str, count: int, groups: int, threshold: float, limit: int | None) -> None:
    boxes, scores = clustered(count)
    owner = torch.from_numpy(np.random.default_rng(1).integers(0, groups, count))
    xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).numpy()
    ids = owner.numpy().astype(np.int32)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: nms_classwise(boxes, scores, owner, threshold, limit),
        "OpenCV": lambda: cv2.dnn.NMSBoxesBatched(xywh, scores.numpy(), ids, 0.0, threshold),
    }
    if torchvision is not None:
        calls["torchvision"] = lambda: torchvision.ops.batched_nms(boxes, scores, owner, threshold)
    want = nms_classwise.reference(boxes, scores, owner, threshold, limit)
    assert torch.equal(nms_classwise(boxes, scores, owner, threshold, limit), want)
    row(title, calls)


def selection() -> None:
    """RetinaNet's last step: 76,725 anchors × 91 classes, some 3,000 scores above 0.05."""
    rng = torch.Generator().manual_seed(0)
    levels = (57_600, 14_400, 3_600, 900, 225)
    boxes, _ = clustered(sum(levels))
    scores = torch.rand(sum(levels), 91, generator=rng) * 0.049
    places = torch.randint(0, scores.numel(), (3000,), generator=rng)
    scores.view(-1)[places] = torch.rand(3000, generator=rng)
    level = torch.repeat_interleave(torch.arange(5), torch.tensor(levels))
    frame = Frame((640, 853), (1000, 1333))
    batch = Batch(torch.zeros(1, 3, 1024, 1344), (frame,))
    scored = Scored(Regions(boxes, torch.zeros_like(level), level), scores, boxes)
    names, chosen = tuple(map(str, range(91))), Selection()
    row(
        "select, 76,725 anchors × 91 classes",
        {
            "ours": lambda: select(scored, batch, chosen, names),
            "torch's scores > t alone": lambda: torch.nonzero(scores > 0.05),
        },
    )


def first_call() -> None:
    """A new process: importing and the first call, compiled code being on disk."""
    code = (
        "import torch, time; a = time.process_time(); from sightline.ops.nms import nms;"
        "nms(torch.rand(9, 4), torch.rand(9), 0.5); print(time.process_time() - a)"
    )
    took = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(4)
    ]
    print(f"import and first call in a new process        {1e3 * np.median(took[1:]):8.0f} ms")


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for size in (10, 100, 1000, 5000, 20_000, 100_000):
        plain(size)
    for least in (0.3, 0.7):
        plain(5000, least)
    grouped("class-wise, 5,000 boxes, 80 classes", 5000, 80, 0.5, None)
    grouped("RPN: 8,600 boxes, 5 levels, keep 2,000", 8600, 5, 0.7, 2000)
    selection()
    first_call()
