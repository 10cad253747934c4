"""What a branch says of each answer before it is laid on the image: masks, and maps of points."""

from typing import TYPE_CHECKING

import torch

from sightline import masks as shapes
from sightline.detectors.keypoint_rcnn import KeypointBranch
from sightline.explain.canvas import cut, heat, panels, pixels_of, planes, point_maps
from sightline.explain.view import View
from sightline.pipeline import Detector, Trace
from sightline.types import Regions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MASKS = 8
"""So many masks are drawn at most."""


def masks(trace: Trace, detector: Detector, index: int) -> View | None:
    """Masks as the branch says them, a small grid an answer, before they are pasted."""
    found = trace.detections[index]
    if not isinstance(found.masks, shapes.BoxMasks) or not len(found):
        return None
    cells, rule = found.masks.cells.detach().float().cpu(), found.masks.threshold
    rows = [
        (f"#{place + 1}", name, float(one.max()), 100 * float((one > rule).float().mean()))
        for place, (name, one) in enumerate(zip(found.names, cells, strict=True))
    ]

    def draw() -> "Figure":
        figure, axes = panels(min(MASKS, len(cells)), (1, 1), width=1.9)
        for place, one in enumerate(axes):
            heat(one, cells[place], f"#{place + 1} {found.names[place]}", 0.0)
        return figure

    size = (cells.shape[1], cells.shape[2])
    heads = ("answer", "class", "largest", "% above the threshold")
    title = f"Postprocess: masks at {size[0]} × {size[1]}"
    return View("masks", title, {"threshold": rule}, heads, rows, draw)


def keypoints(trace: Trace, detector: Detector, index: int) -> View | None:
    """The points of every answer, and the maps that say where those of the best one are."""
    branch, found = getattr(detector, "branch", None), trace.detections[index]
    if not isinstance(branch, KeypointBranch) or found.keypoints is None or not len(found):
        return None
    names = branch.skeleton.points
    rows = [
        (f"#{place + 1}", name, *point)
        for place, points in enumerate(found.keypoints.tolist())
        for name, point in zip(names, points, strict=True)
    ]
    box = trace.batch.frames[index].to_prepared(found.boxes[:1].cpu())
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        region = Regions(box, torch.tensor([index]), torch.zeros(1, dtype=torch.int64))
        device = trace.batch.pixels.device
        with torch.inference_mode():
            maps = branch.head(trace.features, region.to(device), trace.batch.size)[0].cpu()
        chances = maps.flatten(1).softmax(dim=1)
        chances = chances / chances.amax(dim=1, keepdim=True)
        return point_maps(planes(cut(pixels, box[0].tolist())), chances.view_as(maps), names)

    heads = ("answer", "point", "x", "y", "score")
    title = "Postprocess: the points of every answer, and the maps of the best one's"
    return View("keypoints", title, {"points": len(names)}, heads, rows, draw)
