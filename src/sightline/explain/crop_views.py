"""How people are posed from the top down: who is looked at, each as the machine sees it, what it
believes stage by stage, and where the points lie on the image.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.detectors.person_crops import look_at
from sightline.detectors.top_down import Posed, TopDown
from sightline.explain.canvas import outline, panels, pixels_of, point_maps, scene, shade_of
from sightline.explain.pose_maps import draw_parts
from sightline.explain.propose_views import best_rows
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace
from sightline.types import Frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PEOPLE = 4
"""So many people are drawn stage by stage."""


def people(trace: Trace, detector: Detector, index: int, count: int) -> View | None:
    """Who was found, how sure of whom, and the window of each; None for other methods."""
    if not isinstance(detector, TopDown):
        return None
    rows, frame = best_rows(trace, index, count), trace.batch.frames[index]
    inside = trace.scored.extras["windows"][rows].cpu()
    windows, boxes = frame.to_original(inside), trace.regions.boxes[rows].cpu()
    first = trace.regions.scores
    table = [
        (row, None if first is None else float(first[row]), float(trace.scored.scores[row, 0]),
         *map(round, windows[n].tolist()))
        for n, row in enumerate(rows.tolist())
    ]  # fmt: skip
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, (axes,) = panels(1, trace.batch.size, width=6.4)
        scene(axes, pixels, "who was found, and the window that is cut out around each")
        for n, row in reversed(list(enumerate(rows.tolist()))):
            outline(axes, boxes[n].tolist(), shade_of(n), 1.6, f"region {row}")
            outline(axes, inside[n].tolist(), shade_of(n), 1.0, line="--")
        return figure

    whole = "none: the whole image is one person"
    name = whole if detector.people is None else type(detector.people).__name__
    numbers = {"detector of people": name, "people": len(rows), "crop": detector.look.size}
    heads = ("region", "score of the detector", "with its pose", "x1", "y1", "x2", "y2")
    return View("people", "Propose: who is looked at, and the windows", numbers, heads, table, draw)


def crops(trace: Trace, detector: Detector, index: int) -> View | None:
    """The best people as the machine sees them, and its beliefs after every stage."""
    if not isinstance(detector, TopDown):
        return None
    rows = best_rows(trace, index, PEOPLE)
    points = detector.skeleton.points
    seen = trace.scored.extras["maps"][rows][:, : len(points)].float().cpu()
    beliefs = stages(trace, detector, index, rows)[:-1]
    table = [
        (row, number, *(float(value) for value in one[n].flatten(1).amax(dim=1)))
        for n, row in enumerate(rows.tolist())
        for number, one in enumerate((*beliefs, seen), start=1)
    ]

    def draw() -> "Figure":
        size = detector.look.size
        columns = 2 + len(beliefs)
        figure, axes = panels(columns * len(rows), size, columns=columns, width=2.1)
        for n, row in enumerate(rows.tolist()):
            picture = _crop(trace, detector, index, row)
            own = axes[columns * n : columns * (n + 1)]
            scene(own[0], picture.permute(1, 2, 0).numpy(), f"region {row} as the machine sees it")
            for number, one in enumerate((*beliefs, seen), start=1):
                shown = draw_parts(picture, one[n], Frame(size, size), size)
                scene(own[number], np.asarray(shown), f"stage {number}")
        return figure

    title = "Classify: people as the machine sees them, and its beliefs stage by stage"
    numbers = {"stages": 1 + len(beliefs), "cells of a map": tuple(seen.shape[2:])}
    heads = ("region", "stage", *points)
    return View("crops", title, numbers, heads, table, draw if len(rows) else None)


def parts(trace: Trace, detector: Detector, index: int) -> View | None:
    """Where the points of the best people lie on the image, and the maps of the best one."""
    if not isinstance(detector, TopDown):
        return None
    rows, frame = best_rows(trace, index, PEOPLE), trace.batch.frames[index]
    names = detector.skeleton.points
    found = trace.scored.extras["points"][rows].cpu()
    maps = trace.scored.extras["maps"][rows][:, : len(names)].float().cpu()
    own = trace.regions.points[rows].cpu() if isinstance(trace.regions, Posed) else None
    table = []
    for n, row in enumerate(rows.tolist()):
        place = frame.to_original(found[n, :, :2]).tolist()
        for point, name in enumerate(names):
            before = own is not None and bool((own[n, point] == found[n, point]).all())
            whose = "the detector before" if before else "the machine"
            table.append((row, name, *place[point], float(found[n, point, 2]), whose))

    def draw() -> "Figure":
        return point_maps(_crop(trace, detector, index, int(rows[0])), maps[0], names)

    title = "Classify: the points on the image, and the part maps of the best person"
    heads = ("region", "point", "x", "y", "belief", "from")
    return View("parts", title, {"points": len(names)}, heads, table, draw if len(rows) else None)


def _window(trace: Trace, index: int, row: int) -> Tensor:
    """The window of a region, in original pixels."""
    window: Tensor = trace.batch.frames[index].to_original(trace.scored.extras["windows"][row])
    return window


def _crop(trace: Trace, detector: TopDown, index: int, row: int) -> UInt8[Tensor, "3 H W"]:
    """A person as the machine sees it, as bytes."""
    assert trace.batch.originals is not None  # `classify` has read them
    look, window = detector.look.size, _window(trace, index, row)
    seen = look_at(trace.batch.originals[index], window, look, detector.preparation)[0]
    return detector.preparation.restore(seen.cpu())


def stages(trace: Trace, detector: TopDown, index: int, rows: Tensor) -> list[Tensor]:
    """The points' maps of every stage, of people who are looked at again; without any nothing."""
    assert trace.batch.originals is not None
    if not len(rows):
        return []
    image, size = trace.batch.originals[index], detector.look.size
    pixels = [
        look_at(image, _window(trace, index, row), size, detector.preparation)
        for row in rows.tolist()
    ]
    count = len(detector.skeleton.points)
    return [maps[:, :count].float().cpu() for maps in detector.machine(torch.cat(pixels))]
