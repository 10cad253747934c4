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
from sightline.explain.canvas import (
    cut,
    heat,
    outline,
    panels,
    pixels_of,
    scene,
    scored_boxes,
    shade_of,
)
from sightline.explain.first_stage import first_stage
from sightline.explain.records import Lost
from sightline.explain.view import View
from sightline.explain.words import OUTCOMES
from sightline.ops.region_warp import region_warp
from sightline.pipeline import Detector, Trace
from sightline.reasons import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CROPS, SPREAD = 6, 100
"""So many regions are cut out, and drawn among all of them."""


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
        spread = some_of_each(found.level)
        many = ", a colour a level" if len(rows) > 1 else ""
        scene(axes[0], pixels, f"{len(spread)} of {len(found):,} regions{many}")
        for row in spread.tolist():
            outline(axes[0], found.boxes[row].tolist(), shade_of(int(found.level[row])), 0.6)
        scene(axes[1], pixels, f"the {len(best)} with the best score of any class")
        scored_boxes(axes[1], trace.scored.regions.boxes[best].cpu(), scores.cpu())
        return figure

    numbers: dict[str, object] = {"regions": len(found)}
    if objectness is not None and len(objectness):
        numbers["objectness"] = f"{float(objectness.min()):.3f} … {float(objectness.max()):.3f}"
    heads = ("level", "regions", "mean width", "mean height", "shortest side", "longest side")
    return View("propose", "Propose: where to look", numbers, heads, rows, draw)


def some_of_each(level: Tensor) -> Tensor:
    """At most `SPREAD` rows, or one a level: as many of every level, evenly taken; ascending."""
    every = [(level == one).nonzero()[:, 0] for one in sorted(set(level.tolist()))]
    share = max(1, SPREAD // max(1, len(every)))
    taken = [
        rows[
            ((torch.arange(min(share, len(rows))) + 0.5) / min(share, len(rows)) * len(rows)).long()
        ]
        for rows in every
    ]
    return torch.cat(taken).sort().values if taken else level[:0]


def before(trace: Trace, detector: Detector, index: int, count: int, story: Lost) -> View | None:
    """The first stage's candidates: the best ones before and after suppression, and their ends."""
    stage = first_stage(trace, detector)
    if stage is None or story.first is None:
        return None
    first, ends = stage[1], story.first.candidates
    frame, names = trace.batch.frames[index], stage[0].classes
    kept = ends.region[ends.outcome == Outcome.KEPT]
    best = best_rows(first, index, count)
    after = best_rows(first, index, len(ends))
    after = after[torch.isin(after, kept.to(after.device))][:count]
    boxes, scores = _boxes_of(first, best)
    left, left_scores = _boxes_of(first, after)
    told = torch.cat([best, after[~torch.isin(after, best)]]).cpu()
    shown, of = _boxes_of(first, told.to(best.device))
    places = torch.searchsorted(ends.region, told).tolist()
    rows = [
        (row, int(first.scored.regions.level[row]), names[int(ends.label[places[n]])],
         float(of[n]), *map(round, frame.to_original(shown[n]).tolist()),
         story.first.reason(places[n]))
        for n, row in enumerate(told.tolist())
    ]  # fmt: skip
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2, trace.batch.size, width=4.2)
        scene(axes[0], pixels, f"the best {len(best)} before suppression")
        scored_boxes(axes[0], boxes, scores)
        scene(axes[1], pixels, f"the best {len(after)} after it")
        scored_boxes(axes[1], left, left_scores)
        return figure

    own = int((trace.regions.image == index).sum())
    counts = {OUTCOMES[end]: number for end, number in story.first.reasons().items() if number}
    numbers = {"candidates": len(ends), "proposals": own, **counts}
    heads = ("candidate", "level", "class", "score", "x1", "y1", "x2", "y2", "what became of it")
    title = "Propose: the first stage's candidates, the best before and after suppression"
    return View("first-stage", title, numbers, heads, rows, draw)


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


def read_from(trace: Trace, head: RegionHead, boxes: Tensor) -> tuple[Tensor, int]:
    """The pyramid level that each box is read from, as log2 of its stride; and the finest."""
    maps = trace.features[: head.pooling.levels]
    finest = round(math.log2(trace.batch.size[0] / maps[0].shape[-2]))
    return head.pooling.level(boxes, finest, len(maps)) + finest, finest


def _pooled(trace: Trace, detector: Detector, head: RegionHead, index: int) -> View:
    rows = best_rows(trace, index, CROPS)
    some = trace.regions[rows]
    pooling, size = head.pooling, trace.batch.size
    own = trace.regions[(trace.regions.image == index).nonzero()[:, 0]]
    level, finest = read_from(trace, head, own.boxes)
    levels = range(finest, finest + len(trace.features[: pooling.levels]))
    table = [(f"P{one}", 2**one, int((level == one).sum())) for one in levels]
    chosen = read_from(trace, head, some.boxes)[0].tolist()
    cells = pooling(trace.features, some, size).float().norm(dim=1)
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2 * len(rows), (1, 1), columns=max(1, len(rows)), width=1.6)
        for place, row in enumerate(range(len(rows))):
            _cut(axes[place], pixels, some.boxes[row], int(rows[row]))
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
            _cut(axes[place], pixels, boxes[place], int(rows[place]))
            axes[len(rows) + place].imshow(seen[place].permute(1, 2, 0).numpy())
            axes[len(rows) + place].set_title("warped", fontsize=9)
        return figure

    numbers = {"pixels": (warp.size, warp.size), "context": warp.context}
    heads = ("region", "x1", "y1", "x2", "y2")
    title = "Classify: regions cut out and warped"
    return View("pooling", title, numbers, heads, table, draw if len(rows) else None)


def _cut(axes: "Axes", pixels: ndarray, box: Tensor, region: int) -> None:
    """The pixels of a region."""
    axes.imshow(cut(pixels, box.tolist()))
    axes.set_title(f"region {region:,}", fontsize=9)
