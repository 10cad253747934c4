"""Where a detector looks: its regions, the first stage's before and after suppression, the pyramid
level that each is read from, and what pooling makes of it.
"""

import math
from typing import TYPE_CHECKING

import torch
from numpy import ndarray
from torch import Tensor

from sightline.detectors.crop_network import CropNetwork
from sightline.detectors.region_head import RegionHead
from sightline.explain.canvas import heat, outline, panels, pixels_of, scene, scored_boxes
from sightline.explain.first_stage import first_stage
from sightline.explain.records import Lost
from sightline.explain.view import View
from sightline.explain.words import OUTCOMES
from sightline.ops.region_warp import region_warp
from sightline.pipeline import Detector, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CROPS = 6
"""So many regions are cut out."""


def best_rows(trace: Trace, index: int, count: int) -> Tensor:
    """The regions of an image with the best scores of any class, the best first."""
    scored = trace.scored
    rows = (scored.regions.image == index).nonzero()[:, 0]
    if not len(rows):
        return rows
    scores = scored.scores[rows].float().amax(dim=1)
    return rows[scores.sort(descending=True, stable=True).indices[:count]]


def regions(trace: Trace, detector: Detector, index: int, count: int) -> View:
    """All regions, counted a level, and the best ones: by their own score if they have one."""
    own = (trace.regions.image == index).nonzero()[:, 0]
    found = trace.regions[own]
    rows = []
    for level in sorted(set(found.level.tolist())):
        boxes = found.boxes[found.level == level]
        sides = (boxes[:, 2:] - boxes[:, :2]).float()
        mean, small, large = sides.mean(0).tolist(), float(sides.min()), float(sides.max())
        rows.append((level, len(boxes), mean[0], mean[1], small, large))
    best = best_rows(trace, index, count)
    scores = trace.scored.scores[best].float().amax(dim=1) if len(best) else torch.zeros(0)
    objectness = found.scores
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2, trace.batch.size, width=4.2)
        spread = torch.linspace(0, max(0, len(found) - 1), min(200, len(found))).long()
        scene(axes[0], pixels, f"{len(spread)} of {len(found):,} regions")
        for box in found.boxes[spread].tolist():
            outline(axes[0], box, "#ffe14d", 0.4)
        scene(axes[1], pixels, f"the {len(best)} with the best score of any class")
        scored_boxes(axes[1], trace.scored.regions.boxes[best].cpu(), scores.cpu())
        return figure

    numbers: dict[str, object] = {"regions": len(found)}
    if objectness is not None and len(objectness):
        numbers["objectness"] = f"{float(objectness.min()):.3f} … {float(objectness.max()):.3f}"
    heads = ("level", "regions", "mean width", "mean height", "shortest side", "longest side")
    return View("propose", "Propose: where to look", numbers, heads, rows, draw)


def before(trace: Trace, detector: Detector, index: int, count: int, story: Lost) -> View | None:
    """The first stage's candidates: the best ones before and after suppression, and their ends."""
    stage = first_stage(trace, detector)
    if stage is None or story.first is None:
        return None
    first = stage[1]
    ends = story.first.reasons()
    rows = [(OUTCOMES[end], number) for end, number in ends.items() if number]
    best = best_rows(first, index, count)
    boxes, scores = _boxes_of(first, best)
    own = (trace.regions.image == index).nonzero()[:, 0]
    after = trace.regions[own[:count]]
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2, trace.batch.size, width=4.2)
        scene(axes[0], pixels, f"the best {len(best)} before suppression")
        scored_boxes(axes[0], boxes, scores)
        scene(axes[1], pixels, f"the best {len(after)} after it")
        ranks = torch.arange(len(after), 0, -1) if after.scores is None else after.scores.cpu()
        scored_boxes(axes[1], after.boxes.cpu(), ranks.float())
        return figure

    numbers = {"candidates": len(story.first.candidates), "proposals": len(own)}
    heads = ("what became of a candidate", "how many")
    return View("first-stage", "Propose: the first stage's candidates", numbers, heads, rows, draw)


def _boxes_of(trace: Trace, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and scores of the best class of some rows, on the CPU."""
    scored = trace.scored
    if not len(rows):
        return torch.zeros(0, 4), torch.zeros(0)
    scores, labels = scored.scores[rows].float().max(dim=1)
    boxes = scored.boxes[rows] if scored.boxes.ndim == 2 else scored.boxes[rows, labels]
    return boxes.float().cpu(), scores.cpu()


def pooled(trace: Trace, detector: Detector, index: int) -> View | None:
    """Which level each region is read from, and the best regions before and after pooling."""
    head = getattr(detector, "head", None)
    if isinstance(head, RegionHead):
        return _pooled(trace, detector, head, index)
    encoder = getattr(detector, "encoder", None)
    if isinstance(encoder, CropNetwork):
        return _warped(trace, detector, encoder, index)
    return None


def _pooled(trace: Trace, detector: Detector, head: RegionHead, index: int) -> View:
    rows = best_rows(trace, index, CROPS)
    some = trace.regions[rows]
    pooling, size = head.pooling, trace.batch.size
    maps = trace.features[: pooling.levels]
    finest = round(math.log2(size[0] / maps[0].shape[-2]))
    own = trace.regions[(trace.regions.image == index).nonzero()[:, 0]]
    level = pooling.level(own.boxes, finest, len(maps))
    table = [
        (f"P{finest + n}", 2 ** (finest + n), int((level == n).sum())) for n in range(len(maps))
    ]
    chosen = (pooling.level(some.boxes, finest, len(maps)) + finest).tolist()
    cells = pooling(trace.features, some, size).float().norm(dim=1)
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2 * len(rows), (1, 1), columns=max(1, len(rows)), width=1.6)
        for place, row in enumerate(range(len(rows))):
            _cut(axes[place], pixels, some.boxes[row], f"region {int(rows[row])}")
            heat(axes[len(rows) + place], cells[row], f"from P{chosen[row]}")
        return figure

    method = "RoIAlign" if pooling.method == "align" else "RoIPool"
    numbers = {"method": method, "bins": pooling.size}
    title = "Classify: regions read from the maps, before and after pooling"
    return View(
        "pooling",
        title,
        numbers,
        ("level", "stride", "regions"),
        table,
        draw if len(rows) else None,
    )


def _warped(trace: Trace, detector: Detector, network: CropNetwork, index: int) -> View:
    rows = best_rows(trace, index, CROPS)
    boxes, warp = trace.regions.boxes[rows], network.warp
    image = torch.full((len(rows),), index, dtype=torch.int64, device=boxes.device)
    pixels = pixels_of(trace, detector, index)
    table = [
        (int(row), *(round(v, 1) for v in box))
        for row, box in zip(rows, boxes.tolist(), strict=True)
    ]

    def draw() -> "Figure":
        crops = region_warp(trace.batch.pixels, boxes, image, warp.size, warp.context)
        seen = detector.preparation.restore(crops.cpu())  # type: ignore[attr-defined]
        figure, axes = panels(2 * len(rows), (1, 1), columns=max(1, len(rows)), width=1.6)
        for place in range(len(rows)):
            _cut(axes[place], pixels, boxes[place], f"region {int(rows[place])}")
            axes[len(rows) + place].imshow(seen[place].permute(1, 2, 0).numpy())
            axes[len(rows) + place].set_title("warped", fontsize=9)
        return figure

    numbers = {"pixels": (warp.size, warp.size), "context": warp.context}
    heads = ("region", "x1", "y1", "x2", "y2")
    title = "Classify: regions cut out and warped"
    return View("pooling", title, numbers, heads, table, draw if len(rows) else None)


def _cut(axes: "Axes", pixels: ndarray, box: Tensor, title: str) -> None:
    """The pixels of a region, as far as they lie in the image."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box.tolist()
    left, top = min(width - 1, max(0, int(x1))), min(height - 1, max(0, int(y1)))
    right, bottom = (
        max(left + 1, min(width, math.ceil(x2))),
        max(top + 1, min(height, math.ceil(y2))),
    )
    axes.imshow(pixels[top:bottom, left:right])
    axes.set_title(title, fontsize=9)
