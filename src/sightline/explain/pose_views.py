"""How people are joined from their parts: the map of every part, fields, each limb's integral."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from sightline.detectors.bottom_up import BottomUp
from sightline.explain.canvas import heat, panels, pixels_of, scene, shade_of
from sightline.explain.pose_maps import draw_fields, draw_parts
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace
from sightline.types import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
        figure, axes = panels(1 + len(names), trace.batch.size, columns=6, width=2.0)
        size, pixels = trace.batch.size, pixels_of(trace, detector, index)
        seen = draw_parts(_tensor(pixels), maps, Frame(size, size), size)
        scene(axes[0], np.asarray(seen), "every part")
        for axis, name, one in zip(axes[1:], names, maps, strict=True):
            heat(axis, one, name, 0.0)
        return figure

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
        for row in sorted(mine.flip(0).tolist(), key=lambda row: bool(kept[row])):
            limb, *ends = found[row].tolist()
            line, taken = middle[ends].T.tolist(), bool(kept[row])
            strength = min(1.0, max(0.0, float(values[row])))
            shade, veil = (shade_of(limb), 0.4 + 0.6 * strength) if taken else ("#dddddd", 0.3)
            axes[1].plot(*line, color=shade, linewidth=0.3 + 3.5 * strength, alpha=veil)
            axes[1].plot(*line, "o", color="white", markersize=1 + strength, alpha=veil)
        return figure

    numbers = {"candidate limbs": len(mine), "taken": int(kept[mine].sum())}
    heads = ("limb", "part", "and part", "line integral", "samples that agree", "taken")
    return View(
        "limbs", "Classify: candidate limbs and their line integrals", numbers, heads, rows, draw
    )


def _tensor(pixels: UInt8[ndarray, "H W 3"]) -> UInt8[Tensor, "3 H W"]:
    """An image as `pose_maps` takes it."""
    return torch.from_numpy(pixels).movedim(2, 0)


def _fields(
    axes: "Axes", trace: Trace, detector: BottomUp, index: int, pixels: UInt8[ndarray, "H W 3"]
) -> None:
    """The strongest field everywhere, its direction as a hue; of midpoints the map."""
    fields, size = trace.features[1][index].detach().float().cpu(), trace.batch.size
    if detector.decoding.association == "pafs":
        seen = draw_fields(_tensor(pixels), fields, Frame(size, size), size)
        scene(axes, np.asarray(seen), "fields: hue is direction, strength length")
        return
    scene(axes, pixels, "midpoints: the strongest limb of each cell")
    axes.imshow(
        fields.amax(0),
        alpha=0.6,
        extent=(-0.5, pixels.shape[1] - 0.5, pixels.shape[0] - 0.5, -0.5),
    )
