"""How people are joined from their parts: the map of every part, fields, each limb's integral."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from sightline.detectors.bottom_up import BottomUp
from sightline.explain.canvas import panels, pixels_of, planes, point_maps, scene, shade_of
from sightline.explain.pose_maps import draw_fields
from sightline.explain.propose_views import best_rows
from sightline.explain.records import Lost
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace
from sightline.types import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REJECTED = 200
"""So many of the limbs that were not taken are drawn, the best."""


def parts(trace: Trace, detector: Detector, index: int) -> View | None:
    """Candidate parts by kind, and each part's map; None for other methods."""
    if not isinstance(detector, BottomUp):
        return None
    names = detector.parts.points
    maps = trace.features[0][index][: len(names)].detach().float().cpu()
    own = trace.regions.image == index
    rows = []
    for part, name in enumerate(names):
        values = trace.scored.scores[own & (trace.regions.level == part), 0]
        best = float(values.max()) if len(values) else None
        rows.append((name, len(values), best, float(maps[part].max())))

    def draw() -> "Figure":
        return point_maps(planes(pixels_of(trace, detector, index)), maps, names)

    numbers = {"peaks higher than": detector.decoding.peak, "candidate parts": int(own.sum())}
    heads = ("part", "candidates", "best peak", "map's largest")
    return View("parts", "Propose: candidate parts and their maps", numbers, heads, rows, draw)


def limbs(trace: Trace, detector: Detector, index: int) -> View | None:
    """Every candidate limb, its line integral, and whether the matching took it."""
    if not isinstance(detector, BottomUp):
        return None
    extras, names = trace.scored.extras, detector.parts.points
    found, values = extras["limbs"].cpu(), extras["integrals"].float().cpu()
    shares = extras["shares"].float().cpu()
    kept = torch.zeros(len(found), dtype=torch.bool)
    kept[detector.matched(trace.scored)] = True
    image = trace.scored.regions.image.cpu()
    mine = (image[found[:, 1]] == index).nonzero()[:, 0]
    mine = mine[values[mine].sort(descending=True, stable=True).indices]
    rows = []
    for row in mine.tolist():
        limb, first, second = found[row].tolist()
        a, b = detector.parts.limbs[limb]
        taken, scores = "yes" if kept[row] else "no", (float(values[row]), float(shares[row]))
        rows.append((f"{names[a]} – {names[b]}", first, second, *scores, taken))

    def draw() -> "Figure":
        figure, axes = panels(2, trace.batch.size, width=4.6)
        pixels = pixels_of(trace, detector, index)
        _fields(axes[0], trace, detector, index, pixels)
        scene(axes[1], pixels, "candidate limbs, by their integrals; those taken in colour")
        boxes = trace.regions.boxes.cpu()
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        left = [row for row in mine.tolist() if not kept[row]][:REJECTED]
        for row in (*reversed(left), *reversed([row for row in mine.tolist() if kept[row]])):
            limb, *ends = found[row].tolist()
            line, strength = middle[ends].T.tolist(), float(values[row].clamp(0, 1))
            shade, veil = (shade_of(limb), 0.4 + 0.6 * strength) if kept[row] else ("#dddddd", 0.3)
            axes[1].plot(*line, color=shade, linewidth=0.3 + 3.5 * strength, alpha=veil)
            axes[1].plot(*line, "o", color="white", markersize=1 + strength, alpha=veil)
        return figure

    numbers = {"candidate limbs": len(mine), "taken": int(kept[mine].sum())}
    heads = ("limb", "part", "and part", "line integral", "samples that agree", "taken")
    return View(
        "limbs", "Classify: candidate limbs and their line integrals", numbers, heads, rows, draw
    )


def best(trace: Trace, detector: BottomUp, index: int, count: int, story: Lost) -> View:
    """The best candidate parts one by one, and what became of each."""
    rows, told = best_rows(trace, index, count), story.candidates
    boxes = trace.batch.frames[index].to_original(trace.regions.boxes[rows].cpu())
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    places = torch.searchsorted(told.region, rows.cpu()).tolist()
    table = [
        (row, detector.parts.points[int(trace.regions.level[row])], *middle[n].tolist(),
         float(trace.scored.scores[row, 0]), story.reason(places[n]))
        for n, row in enumerate(rows.tolist())
    ]  # fmt: skip
    heads = ("region", "part", "x", "y", "peak", "what became of it")
    return View("best", "The best candidate parts, one by one", {}, heads, table)


def _fields(
    axes: "Axes", trace: Trace, detector: BottomUp, index: int, pixels: UInt8[ndarray, "H W 3"]
) -> None:
    """The strongest field everywhere, its direction as a hue; of midpoints the map."""
    fields, size = trace.features[1][index].detach().float().cpu(), trace.batch.size
    if detector.decoding.association == "pafs":
        seen = draw_fields(planes(pixels), fields, Frame(size, size), size)
        scene(axes, np.asarray(seen), "fields: hue is direction, strength length")
        return
    scene(axes, pixels, "midpoints: the strongest limb of each cell")
    axes.imshow(
        fields.amax(0),
        alpha=0.6,
        extent=(-0.5, pixels.shape[1] - 0.5, pixels.shape[0] - 0.5, -0.5),
    )
