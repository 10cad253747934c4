"""Every stage of one answer, in numbers and drawn, from its trace alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sightline.data.records import Objects
from sightline.detectors.bottom_up import BottomUp
from sightline.explain import (
    answer_views,
    branch_views,
    crop_views,
    encode_views,
    grid,
    pose_views,
    prior_grid,
    propose_views,
)
from sightline.explain.canvas import bars
from sightline.explain.fates import fates
from sightline.explain.lost import lost
from sightline.explain.records import Lost
from sightline.explain.view import View
from sightline.masks import BoxMasks
from sightline.pipeline import Detector, Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@torch.inference_mode()
def stages(
    trace: Trace,
    detector: Detector,
    truth: Objects | None = None,
    classes: Sequence[str] | None = None,
    *,
    index: int = 0,
    best: int = 20,
) -> list[View]:
    """What every stage did to image `index`, in the order of the verbs; `best` is how many regions
    are told of and drawn. `truth` and `classes` are those of `lost`.

    Which stages there are depends on the method: segments and merges, a first stage's candidates,
    crops before and after pooling, a grid's cells, part maps and limbs, masks. Raises UsageError
    as `lost` does.
    """
    story = lost(trace, detector, truth, classes, index=index, deep=True)
    found = [
        encode_views.prepared(trace, detector, index),
        encode_views.encoded(trace, detector, index),
        propose_views.before(trace, detector, index, best, story),
        propose_views.regions(trace, detector, index, best),
        crop_views.people(trace, detector, index, best),
        crop_views.crops(trace, detector, index),
        crop_views.parts(trace, detector, index),
        propose_views.pooled(trace, detector, index),
        grid.grid(trace, detector, index),
        prior_grid.prior_grid(trace, detector, index),
        pose_views.parts(trace, detector, index),
        pose_views.limbs(trace, detector, index),
        *_chosen(trace, detector, index, best, story),
        answer_views.ends(story),
        branch_views.masks(trace, detector, index),
        branch_views.keypoints(trace, detector, index),
        answer_views.answers(trace, detector, index, story),
        answer_views.objects(trace, detector, index, story),
        cost(trace),
    ]
    return [view for view in found if view is not None]


def _chosen(trace: Trace, detector: Detector, index: int, best: int, story: Lost) -> list[View]:
    """Class scores, who gave way to whom, and the best one by one: of people from the parts up the
    parts alone, which have neither classes nor rivals.
    """
    if isinstance(detector, BottomUp):
        return [pose_views.best(trace, detector, index, best, story)]
    found = fates(trace, detector, index)
    return [
        answer_views.classes(trace, detector, index, best),
        answer_views.graph(trace, detector, index, found),
        answer_views.best(trace, detector, index, best, story),
    ]


def cost(trace: Trace) -> View:
    """Wall time of each verb, the bytes of what it passed on, and the most that it held at once
    where the trace has that; for the whole batch.
    """
    passed = {
        "prepare": [trace.batch.pixels, *(trace.batch.originals or ())],
        "encode": list(trace.features),
        "propose": _tensors(trace.regions),
        "classify": [trace.scored.scores, trace.scored.boxes, *trace.scored.extras.values()],
        "postprocess": [part for one in trace.detections for part in _tensors(one)],
    }
    whole = sum(trace.seconds.values())
    rows: list[tuple[Any, ...]] = []
    for verb, parts in passed.items():
        spent, size = trace.seconds.get(verb, 0.0), sum(x.numel() * x.element_size() for x in parts)
        rows.append((verb, 1000 * spent, 100 * spent / whole if whole else 0.0, size / 1e6))
    heads: tuple[str, ...] = ("verb", "milliseconds", "% of the time", "megabytes passed on")
    if trace.held:
        heads = (*heads, "megabytes at most")
        rows = [(*row, trace.held[row[0]] / 1e6) for row in rows]
    numbers = {"milliseconds in all": 1000 * whole}

    def draw() -> "Figure":
        values = {"milliseconds": [row[1] for row in rows]}
        if trace.held:
            values["megabytes at most"] = [row[4] for row in rows]
        return bars([row[0] for row in rows], values)

    return View("cost", "Time and memory a stage", numbers, heads, rows, draw)


def _tensors(record: object) -> list[Tensor]:
    """The tensors that a record holds, those of its masks among them."""
    found: list[Tensor] = []
    for value in vars(record).values():
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, BoxMasks):
            found += [value.cells, value.boxes]
    return found
