"""What the page needs to suppress by itself: an image's candidates, before any was dropped.

Everything is told as whole numbers, because it is written thousands of times: boxes in tenths of a
pixel of the original image, scores in ten-thousandths. Greedy suppression looks at candidates by
falling score, so the best `limit` of them give, above their own lowest score, the answer of all.
"""

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sightline.pipeline import Detector, Trace
from sightline.suppress import Pairs, Selection, candidates, clipped, fit
from sightline.types import Frame

TENTHS, SHARES = 10, 10000
LEVELS, SIDE = 4, 32
"""So many levels of features are shown, each at most so many cells wide."""

RIVALS = 3
"""Class scores told of each region: the best ones."""

WINDOWS = 60
"""Regions shown of those that the detector looked at."""


def view(trace: Trace, detector: Detector, limit: int, features: bool = True) -> dict[str, Any]:
    """The stages of a trace's first image as plain data; at most `limit` candidates."""
    frame, selection = trace.batch.frames[0], getattr(detector, "selection", None)
    if isinstance(selection, Selection) and selection.method == "nms":
        pairs = _candidates(trace, selection, limit)
        groups = pairs.groups(selection)
    else:
        pairs = _answers(trace, limit)
        groups = pairs.label
    rows, place = torch.unique(pairs.region, return_inverse=True)
    scores = trace.scored.scores[rows.to(trace.scored.scores.device)].float().cpu()
    top = scores.topk(min(RIVALS, scores.shape[1]), dim=1)
    answer: dict[str, Any] = {
        "prepared": list(trace.batch.size),
        "frame": [*frame.resized, *frame.offset],
        "seconds": {name: round(1000 * value, 2) for name, value in trace.seconds.items()},
        "boxes": _tenths(pairs.boxes),
        "scores": _shares(pairs.scores),
        "labels": pairs.label.tolist(),
        "places": place.tolist(),
        "regions": _region_rows(trace, frame, rows),
        "levels": trace.scored.regions.level[rows.to(trace.scored.regions.level.device)].tolist(),
        "classes": [top.indices.tolist(), [_shares(row) for row in top.values]],
        "looked": [len(trace.regions), _tenths(_some_regions(trace, frame))],
        "found": len(trace.detections[0]),
    }
    if not torch.equal(groups, pairs.label):
        answer["groups"] = groups.tolist()
    if features:
        answer["features"] = [_energy(level[0]) for level in _some(trace.features, LEVELS)]
        answer["grids"] = [list(level.shape[-2:]) for level in _some(trace.features, LEVELS)]
    return answer


def rule(detector: Detector) -> dict[str, Any]:
    """How the detector itself chooses, for the page to begin with."""
    selection = getattr(detector, "selection", None)
    if not isinstance(selection, Selection):
        return {"score": 0.0, "iou": None, "limit": 100, "margins": False}
    return {
        "score": selection.score,
        "iou": selection.iou if selection.method == "nms" else None,
        "limit": selection.limit,
        "margins": bool(getattr(detector, "scores_are_margins", False)),
    }


def _candidates(trace: Trace, selection: Selection, limit: int) -> Pairs:
    """The pairs that suppression sees, best first, in original pixels."""
    (pairs,) = candidates(trace.scored, trace.batch, selection)[:1]
    frame = trace.batch.frames[0]
    pairs = clipped(pairs, frame)
    pairs = pairs[fit(pairs, selection)]
    pairs = pairs[pairs.scores.sort(descending=True, stable=True).indices[:limit]]
    return replace(pairs, boxes=frame.to_original(pairs.boxes))


def _answers(trace: Trace, limit: int) -> Pairs:
    """For methods with another way of choosing: the answers themselves."""
    found = trace.detections[0][:limit]
    region = found.region.cpu()
    level = trace.scored.regions.level.cpu()[region]
    columns = (region, found.labels.cpu(), level, found.scores.cpu().float(), found.boxes.cpu())
    return Pairs(*columns)


def _tenths(boxes: Tensor) -> list[int]:
    return [round(TENTHS * value) for value in boxes.flatten().tolist()]


def _shares(scores: Tensor) -> list[int]:
    finite = torch.nan_to_num(scores, nan=0.0, posinf=1e4, neginf=-1e4)
    return [round(SHARES * value) for value in finite.tolist()]


def _region_rows(trace: Trace, frame: Frame, rows: Tensor) -> list[int]:
    boxes = trace.scored.regions.boxes
    return _tenths(frame.to_original(boxes[rows.to(boxes.device)].float().cpu()))


def _some_regions(trace: Trace, frame: Frame) -> Tensor:
    """The best regions where they have scores, else some of each size, evenly taken."""
    regions = trace.regions
    if regions.scores is not None:
        rows = regions.scores.sort(descending=True, stable=True).indices[:WINDOWS]
    else:
        rows = torch.linspace(0, max(len(regions) - 1, 0), min(WINDOWS, len(regions))).long()
    return frame.to_original(regions.boxes[rows.to(regions.boxes.device)].float().cpu())


def _some(levels: tuple[Tensor, ...], most: int) -> list[Tensor]:
    """At most so many of the levels, the finest and the coarsest among them."""
    if len(levels) <= most:
        return list(levels)
    return [levels[i] for i in np.linspace(0, len(levels) - 1, most).round().astype(int)]


def _energy(level: Tensor) -> str:
    """The mean absolute feature of every cell as a small grey PNG, the strongest white."""
    energy = level.detach().float().abs().mean(dim=0).cpu()
    scale = min(1.0, SIDE / max(energy.shape))
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in energy.shape)
        energy = F.adaptive_avg_pool2d(energy[None, None], (height, width))[0, 0]
    energy = torch.nan_to_num(energy)
    energy = energy - energy.min()
    grey = (255 * energy / energy.max().clamp(min=1e-12)).round().to(torch.uint8).numpy()
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
