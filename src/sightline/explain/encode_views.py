"""What the image looks like to a detector: prepared pixels, and how strongly its maps answer."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from sightline.detectors.bottom_up import BottomUp
from sightline.detectors.crop_network import CropNetwork
from sightline.detectors.selective_search import SelectiveSearch
from sightline.detectors.sliding_windows import HogSvm
from sightline.explain.canvas import heat, panels, pixels_of, scene
from sightline.explain.view import View
from sightline.ops.hog import ORIENTATIONS
from sightline.pipeline import Detector, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN, GLYPHS = 8, 3
"""So many maps, and maps of gradients, are drawn at most; the rest is in the table."""


def prepared(trace: Trace, detector: Detector, index: int) -> View:
    """The image as the network sees it."""
    frame, pixels = trace.batch.frames[index], pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, (axes,) = panels(1, trace.batch.size, width=5.0)
        scene(axes, pixels, "as the network sees it")
        return figure

    values = trace.batch.pixels[index]
    return View(
        "prepare",
        "Prepare: the image as the network sees it",
        {
            "original, height × width": frame.original,
            "resized": frame.resized,
            "padded": trace.batch.size,
            "left top corner at (top, left)": f"{frame.offset[0]}, {frame.offset[1]}",
            "values": f"{float(values.min()):.2f} … {float(values.max()):.2f}",
        },
        draw=draw,
    )


def energy(trace: Trace, detector: Detector, index: int) -> list[Tensor]:
    """The length of each cell's vector, level by level; of part maps without the background's."""
    maps = [level[index].detach().float() for level in trace.features]
    if isinstance(detector, BottomUp):
        maps[0] = maps[0][: len(detector.parts.points)]
    return [level.norm(dim=0).cpu() for level in maps]


def encoded(trace: Trace, detector: Detector, index: int) -> View | None:
    """How strongly each level answers; of Selective Search segments, of poses part maps."""
    if not trace.features:
        return None
    if isinstance(detector, SelectiveSearch):
        return _segments(trace, detector, index)
    if isinstance(detector, HogSvm):
        return _gradients(trace, index)
    names = ("all parts", "limbs")  # of people from the parts up
    maps, height = energy(trace, detector, index), trace.batch.size[0]
    widths = [level.shape[1] for level in trace.features]
    rows = [
        (level, width, *one.shape, height / len(one), float(one.mean()), float(one.max()))
        for level, (one, width) in enumerate(zip(maps, widths, strict=True))
    ]

    def draw() -> "Figure":
        chosen = np.unique(np.linspace(0, len(maps) - 1, min(SHOWN, len(maps))).round().astype(int))
        figure, axes = panels(len(chosen), trace.batch.size, columns=5 if len(chosen) == 5 else 4)
        for place, level in zip(axes, chosen.tolist(), strict=True):
            one = maps[level]
            what = names[level] if isinstance(detector, BottomUp) else f"level {level}"
            heat(place, one, f"{what}: {one.shape[0]} × {one.shape[1]}")
        return figure

    heads = ("level", "channels", "rows", "columns", "pixels a cell", "mean energy", "largest")
    if isinstance(getattr(detector, "encoder", None), CropNetwork):
        whole = "Encode: the image itself, of which every region is cut out"
        return View("encode", whole, {"levels": len(maps)}, heads[:5], [row[:5] for row in rows])
    name = (
        "Encode: part maps and fields"
        if isinstance(detector, BottomUp)
        else "Encode: feature energy a level"
    )
    return View("encode", name, {"levels": len(maps)}, heads, rows, draw)


def _gradients(trace: Trace, index: int) -> View:
    """The orientations of every block of every level of HOG's pyramid: blocks are normalised, so
    that their length tells nothing, and how much of it has one direction does.
    """
    maps = [level[index].detach().float().cpu() for level in trace.features]
    height, rows = trace.batch.size[0], []
    for level, blocks in enumerate(maps):
        bins = blocks.view(4, ORIENTATIONS, *blocks.shape[1:]).sum(dim=0)
        share = bins.amax(dim=0) / bins.sum(dim=0).clamp(min=1e-9)
        pixels = height / (blocks.shape[1] + 1)
        rows.append((level, len(blocks), *share.shape, pixels, float(share.mean())))

    def draw() -> "Figure":
        last = max(0, len(maps) - 1)
        chosen = np.unique(np.linspace(0, last, min(GLYPHS, len(maps))).round().astype(int))
        figure, axes = panels(len(chosen), trace.batch.size, width=4.2)
        for place, level in zip(axes, chosen.tolist(), strict=True):
            _strokes(place, maps[level])
            size = " × ".join(map(str, maps[level].shape[1:]))
            place.set_title(f"level {level}: {size}", fontsize=9)
        return figure

    heads = ("level", "numbers", "rows", "columns", "pixels a cell", "share of the main direction")
    title = "Encode: oriented gradients level by level"
    return View("encode", title, {"levels": len(maps)}, heads, rows, draw)


def _strokes(axes: "Axes", blocks: Tensor) -> None:
    """A stroke along the edge for each orientation of each block's first cell, the brighter the
    more of it there is.
    """
    from matplotlib.collections import LineCollection

    strength = blocks[:ORIENTATIONS] / blocks[:ORIENTATIONS].amax().clamp(min=1e-9)
    bins, y, x = (strength > 0.25).nonzero().unbind(1)
    shown = strength[bins, y, x]
    angle = (bins + 0.5) * (torch.pi / ORIENTATIONS) + torch.pi / 2  # across the gradient
    half = 0.5 * torch.stack([angle.cos(), angle.sin()], dim=1)
    middle = torch.stack([x, y], dim=1).float()
    ends = torch.stack([middle - half, middle + half], dim=1).numpy()
    order = shown.argsort(stable=True).numpy()
    shades = np.repeat(shown.numpy()[order][:, None], 3, axis=1)
    axes.add_collection(LineCollection(list(ends[order]), colors=shades, linewidths=0.9))
    axes.imshow(np.zeros((*blocks.shape[1:], 3)))


def merged(trace: Trace, index: int, strategy: int, left: int, pixels: ndarray) -> ndarray:
    """The image when `left` regions of a strategy of Selective Search are left, each in the mean
    colour of its pixels.
    """
    regions = trace.regions
    rows = ((regions.level == strategy) & (regions.image == index)).nonzero()[:, 0]
    children = trace.scored.extras["children"][rows] - rows[0]
    maps = trace.features[0][index]
    trees = int(regions.level.max()) + 1
    labels = maps[strategy * len(maps) // trees].numpy()
    owner, leaves = np.arange(len(rows)), (len(rows) + 1) // 2
    for row in range(leaves, leaves + max(0, leaves - left)):
        owner[np.isin(owner, children[row].numpy())] = row
    now = np.where(labels >= 0, owner[labels], -1)
    _, place, count = np.unique(now, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    flat = pixels.reshape(-1, 3).astype(float)
    sums = np.stack([np.bincount(place, flat[:, c]) for c in range(3)], axis=1)
    answer: ndarray = (sums / count[:, None])[place].reshape(pixels.shape).astype(np.uint8)
    return answer


def _segments(trace: Trace, detector: SelectiveSearch, index: int) -> View:
    """The segments of each strategy, and how the last one's grow together."""
    maps = trace.features[0][index]
    trees = int(trace.regions.level.max()) + 1
    regions = trace.regions
    rows = []
    for tree in range(trees):
        own = (regions.level == tree) & (regions.image == index)
        leaves = (int(own.sum()) + 1) // 2
        rows.append((tree, leaves, leaves - 1, int(own.sum())))
    pixels = pixels_of(trace, detector, index)
    chosen = trees - 1
    leaves = int(maps[chosen * len(maps) // trees].max()) + 1

    def draw() -> "Figure":
        fewer = {n for n in (leaves // 3, leaves // 10, 5) if 1 < n < leaves}
        steps = [leaves, *sorted(fewer, reverse=True)]
        figure, axes = panels(len(steps), trace.batch.size)
        for place, left in zip(axes, steps, strict=True):
            picture = merged(trace, index, chosen, left, pixels)
            scene(place, picture, f"{left} segments" if left == leaves else f"merged to {left}")
        return figure

    heads = ("strategy", "segments", "merges", "regions")
    return View(
        "segments",
        "Encode and propose: segments and their merges",
        {"strategies": trees},
        heads,
        rows,
        draw,
    )
