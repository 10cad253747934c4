"""What is there, and which answers are the same object: class scores, offsets, the graph of
suppression, every candidate's end, every object's stage.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy import ndarray
from PIL import Image
from torch import Tensor

from sightline import boxes as geometry
from sightline.detectors.region_head import RegionHead
from sightline.evaluate.pictures import plain
from sightline.explain.canvas import bars, outline, panels, pixels_of, scene, shade_of
from sightline.explain.draw import Style, colour, veil
from sightline.explain.limbs import draw_person
from sightline.explain.propose_views import best_rows, read_from
from sightline.explain.records import Lost
from sightline.explain.view import View
from sightline.explain.words import OUTCOMES, Stage
from sightline.masks import BoxMasks
from sightline.pipeline import Detector, Trace
from sightline.reasons import Outcome, PairFates
from sightline.types import Detections, Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = 12
"""So many columns of scores are drawn at most."""

STILL = 0.01
"""A box that moved by less pixels did not move."""


def classes(trace: Trace, detector: Detector, index: int, count: int) -> View:
    """The scores of all classes of the best regions, and where their offsets move them."""
    rows = best_rows(trace, index, count)
    names, scored = detector.classes, trace.scored
    table = [
        (int(row), *(float(value) for value in scored.scores[row].float())) for row in rows.tolist()
    ]
    moved, labels = _moved(trace, rows)
    start = scored.regions.boxes[rows].float().cpu()
    shift = (moved[:, :2] + moved[:, 2:] - start[:, :2] - start[:, 2:]) / 2
    pixels = pixels_of(trace, detector, index)

    def draw() -> "Figure":
        figure, axes = panels(2, trace.batch.size, width=4.6)
        scores = scored.scores[rows].float().cpu()
        columns = scores.amax(dim=0).sort(descending=True, stable=True).indices[:CLASSES]
        columns = columns.sort().values
        colours = axes[0].imshow(scores[:, columns].numpy(), aspect="auto", cmap="viridis")
        figure.colorbar(colours, ax=axes[0], fraction=0.04, pad=0.02).ax.tick_params(labelsize=7)
        axes[0].set_axis_on()
        more = "" if len(names) <= CLASSES else f" of the {CLASSES} best of {len(names)}"
        axes[0].set_title(f"scores: a row a region, a column a class{more}", fontsize=9)
        heads = [plain(names[column]) for column in columns.tolist()]
        axes[0].set_xticks(range(len(heads)), heads, rotation=40, ha="right", fontsize=7)
        axes[0].set_yticks(range(len(rows)), [f"{row:,}" for row in rows.tolist()], fontsize=6)
        still = not len(rows) or float(shift.norm(dim=1).max()) < STILL
        told = (
            "no offsets: the box is the region" if still else "offsets: from the region to the box"
        )
        scene(axes[1], pixels, told)
        for box, goal, label in zip(start.tolist(), moved.tolist(), labels.tolist(), strict=True):
            _arrow(axes[1], box, goal, shade_of(label))
        return figure

    numbers = {
        "classes": len(names),
        "mean shift of the centre, pixels": float(shift.norm(dim=1).mean()) if len(rows) else None,
    }
    title = "Classify: the scores of all classes, and the offsets"
    return View("classify", title, numbers, ("region", *names), table, draw if len(rows) else None)


def _moved(trace: Trace, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The boxes of the best classes of some regions, and these classes."""
    scored = trace.scored
    labels = scored.scores[rows].float().argmax(dim=1)
    boxes = scored.boxes[rows] if scored.boxes.ndim == 2 else scored.boxes[rows, labels]
    return boxes.float().cpu(), labels.cpu()


def _middle(box: list[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _arrow(axes: "Axes", box: list[float], goal: list[float], shade: str) -> None:
    """The region thin, the box thick, an arrow between their centres."""
    outline(axes, box, "#dddddd", 0.6)
    outline(axes, goal, shade, 1.4)
    if max(abs(a - b) for a, b in zip(box, goal, strict=True)) < STILL:
        return
    style = {"arrowstyle": "-|>", "color": "white", "linewidth": 1.2}
    axes.annotate("", xy=_middle(goal), xytext=_middle(box), arrowprops=style, annotation_clip=True)


def graph(trace: Trace, detector: Detector, index: int, found: PairFates) -> View:
    """Who suppressed whom, at which IoU: an edge from every loser to its answer."""
    lost = (found.outcome == Outcome.SUPPRESSED) | (found.outcome == Outcome.MERGED)
    rows = lost.nonzero()[:, 0]
    rows = rows[found.pairs.scores[rows].sort(descending=True, stable=True).indices]
    names = detector.classes
    table = [
        (int(found.pairs.region[r]), names[int(found.pairs.label[r])], float(found.pairs.scores[r]),
         f"#{int(found.by[r]) + 1}", float(found.iou[r]))
        for r in rows.tolist()
    ]  # fmt: skip
    answers = trace.detections[index]
    frame, pixels = trace.batch.frames[index], pixels_of(trace, detector, index)
    kept = frame.to_prepared(answers.boxes.cpu())

    def draw() -> "Figure":
        figure, (axes,) = panels(1, trace.batch.size, width=6.4)
        scene(axes, pixels, f"{len(answers)} answers, and {len(rows):,} candidates that gave way")
        for row in reversed(rows[:150].tolist()):
            shade = shade_of(int(found.pairs.label[row]))
            box, goal = found.pairs.boxes[row].tolist(), kept[int(found.by[row])].tolist()
            ends = [_middle(box), _middle(goal)]
            outline(axes, box, shade, 0.4)
            axes.plot(*zip(*ends, strict=True), color="white", linewidth=0.7)
            axes.plot(
                *ends[0],
                marker="o",
                markersize=2.5,
                color=shade,
                markeredgecolor="white",
                markeredgewidth=0.4,
            )
        _answers(axes, kept, answers)
        return figure

    heads = ("region", "class", "score", "gave way to", "IoU")
    numbers = {"answers": len(answers), "gave way": len(rows)}
    return View("suppression", "Postprocess: who gave way to whom", numbers, heads, table, draw)


def _answers(axes: "Axes", boxes: Tensor, found: Detections, most: int = 30) -> None:
    """Answers with their places and scores, the best on top."""
    columns = (boxes.tolist(), found.names, found.labels.tolist(), found.scores.tolist())
    rows = list(enumerate(zip(*columns, strict=True)))[:most]
    for place, (box, name, label, score) in reversed(rows):
        outline(axes, box, shade_of(label), 1.6, f"#{place + 1} {name} {score:.2f}")


def _laid_on(pixels: ndarray, found: Detections, frame: Frame) -> ndarray:
    """The prepared image with the masks and the skeletons of the answers."""
    if isinstance(found.masks, BoxMasks):
        size, boxes = (pixels.shape[0], pixels.shape[1]), frame.to_prepared(found.masks.boxes)
        shades = [colour(label) for label in found.labels.tolist()]
        pixels = veil(pixels, replace(found.masks, boxes=boxes, size=size), shades, Style().veil)
    if found.keypoints is None:
        return pixels
    picture, limbs = Image.fromarray(pixels), () if found.skeleton is None else found.skeleton.limbs
    for points in found.keypoints.cpu().flip(0):
        moved = torch.cat([frame.to_prepared(points[:, :2]), points[:, 2:]], dim=1)
        draw_person(picture, moved, limbs, Style().point_score)
    return np.asarray(picture)


def ends(story: Lost) -> View:
    """What became of every candidate."""
    whole = max(1, len(story.candidates))
    rows = [
        (OUTCOMES[end], count, 100 * count / whole)
        for end, count in story.reasons().items()
        if count
    ]
    title = "Postprocess: what became of every candidate"
    heads = ("reason", "candidates", "%")

    def draw() -> "Figure":
        return bars([row[0] for row in rows], {"candidates": [row[1] for row in rows]}, log=True)

    numbers = {"candidates": len(story.candidates)}
    return View("reasons", title, numbers, heads, rows, draw if rows else None)


def best(trace: Trace, detector: Detector, index: int, count: int, story: Lost) -> View:
    """The best regions one by one: where, what, how the offsets moved each, how it ended.

    Boxes are in pixels of the original image; a shift is in parts of the region's sides (t_x, t_y
    of R-CNN), a change of size is a factor.
    """
    rows, frame = best_rows(trace, index, count), trace.batch.frames[index]
    moved, labels = _moved(trace, rows)
    regions = trace.scored.regions
    start, level = regions.boxes[rows].float().cpu(), regions.level[rows].tolist()
    change = geometry.encode(moved, start)
    change[:, 2:] = change[:, 2:].exp()
    boxes, own = frame.to_original(start), story.candidates.region
    places = torch.searchsorted(own, rows.cpu()).tolist()
    head, pooled = getattr(detector, "head", None), []
    if isinstance(head, RegionHead):
        pooled = [[f"P{one}"] for one in read_from(trace, head, regions.boxes[rows])[0].tolist()]
    table = [
        (row, level[n], *(pooled[n] if pooled else ()), *(round(v) for v in boxes[n].tolist()),
         detector.classes[int(labels[n])], float(trace.scored.scores[row, labels[n]]),
         story.reason(places[n]), *change[n].tolist())
        for n, row in enumerate(rows.tolist())
    ]  # fmt: skip
    heads = (
        *(
            "region",
            "level",
            *(("read from",) if pooled else ()),
            "x1",
            "y1",
            "x2",
            "y2",
            "class",
            "score",
            "what became of it",
        ),
        *("shift x", "shift y", "width ×", "height ×"),
    )
    return View("best", "The best regions, one by one", {}, heads, table)


def answers(trace: Trace, detector: Detector, index: int, story: Lost) -> View:
    """The answers, each with the region that it came from, and what it is by the truth."""
    found, pixels = trace.detections[index], pixels_of(trace, detector, index)
    rows = [
        (f"#{place + 1}", one.name, one.score, *map(round, one.box), region, one.kind)
        for place, (one, region) in enumerate(
            zip(story.answers, found.region.tolist(), strict=True)
        )
    ]
    frame = trace.batch.frames[index]
    kept = frame.to_prepared(found.boxes.cpu())

    def draw() -> "Figure":
        figure, (axes,) = panels(1, trace.batch.size, width=6.4)
        told = _laid_on(pixels, found, frame)
        scene(axes, told, f"{len(found)} answers")
        _answers(axes, kept, found)
        return figure

    heads = ("answer", "class", "score", "x1", "y1", "x2", "y2", "region", "by the truth")
    return View("answers", "The answers", {"answers": len(found)}, heads, rows, draw)


def objects(trace: Trace, detector: Detector, index: int, story: Lost) -> View | None:
    """The stage that every true object reached; None without the truth."""
    if not story.objects:
        return None
    pixels, frame = pixels_of(trace, detector, index), trace.batch.frames[index]
    rows = [(one.row, one.name, one.stage.words, one.overlap, one.text()) for one in story.objects]

    def draw() -> "Figure":
        figure, (axes,) = panels(1, trace.batch.size, width=6.4)
        scene(axes, pixels, "how far every object came")
        for one in story.objects:
            box = frame.to_prepared(torch.tensor(one.box)).tolist()
            shade = "#2b8a3e" if one.stage is Stage.MATCHED else "#c92a2a"
            outline(axes, box, shade, 1.8, f"{one.name}: {one.stage.words}")
        return figure

    numbers = {stage.words: count for stage, count in story.stages().items() if count}
    heads = ("object", "class", "furthest stage", "overlap", "why")
    return View("objects", "How far every object came", numbers, heads, rows, draw)
