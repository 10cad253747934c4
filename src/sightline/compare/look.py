"""One pass over the test images: answers to judge, views for the page, fates of objects."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sightline import images, pipeline, predict
from sightline.compare.rows import FIGURES, Row
from sightline.data.records import Dataset
from sightline.evaluate.bootstrap import bootstrap, interval
from sightline.evaluate.columns import Columns, gather
from sightline.evaluate.curves import curves_of
from sightline.evaluate.detection import report_of
from sightline.explain.lost import lost
from sightline.explain.words import Stage
from sightline.report.candidates import rule, view
from sightline.types import Detections

CURVES = (0.5, 0.75)
"""IoUs at which precision is drawn against recall."""


@dataclass(frozen=True)
class Wish:
    """What to look for beside the figures: `views` of these images with so many candidates each."""

    resamples: int = 1000
    seed: int = 0
    views: Sequence[int] = ()
    candidates: int = 150


@dataclass
class _Tally:
    """What is counted on the way."""

    regions: int = 0
    lost: Counter[Stage] = field(default_factory=Counter)
    views: dict[int, Any] = field(default_factory=dict)


def look(
    model: predict.Model, name: str, test: Dataset, wish: Wish, heard: Callable[[int, int], None]
) -> tuple[Row, dict[str, Any]]:
    """The figures of a model, and its views as plain data; `heard(done, total)` after each image.

    Raises what `evaluate` raises.
    """
    tally = _Tally()
    columns = gather(test, _answers(model, test, wish, tally, heard))
    report = report_of(columns, test)
    drawn = bootstrap(columns, wish.resamples, wish.seed)
    spread = {key: interval(getattr(drawn, key)) for key in ("AP", "AP50", "AP75")}
    row = Row(
        name=name,
        model=model.name,
        parameters=sum(p.numel() for p in model.detector.parameters()),  # type: ignore[attr-defined]
        regions=tally.regions / max(1, len(test)),
        figures={key: report.boxes.values[key] for key in FIGURES},
        per_class=dict(report.boxes.per_class),
        intervals=spread,
        samples=tuple(None if np.isnan(value) else float(value) for value in drawn.AP),
        curves=_curves(columns),
        lost={stage.words: tally.lost[stage] for stage in reversed(Stage)},
    )
    shown = {"classes": list(model.classes), "rule": rule(model.detector), "views": tally.views}
    return row, shown


def _answers(
    model: predict.Model,
    test: Dataset,
    wish: Wish,
    tally: _Tally,
    heard: Callable[[int, int], None],
) -> Iterator[Detections]:
    wanted = set(wish.views)
    for place, example in enumerate(test):
        pixels = images.read(Path(example.path))
        trace = pipeline.run(model.detector, [pixels])
        tally.regions += len(trace.regions)
        if place in wanted:
            tally.views[place] = view(trace, model.detector, wish.candidates)
        if len(example.objects):
            story = lost(trace, model.detector, example.objects, test.classes)
            tally.lost.update(one.stage for one in story.objects)
        yield trace.detections[0]
        heard(place + 1, len(test))


def _curves(columns: Columns) -> dict[str, dict[str, Any]]:
    """Precision at every second of COCO's recalls, by IoU and class."""
    answer = {}
    for iou in CURVES:
        found = curves_of(columns, iou)
        rows = zip(found.classes, found.precision[:, ::2].round(4).tolist(), strict=True)
        answer[f"{iou:g}"] = dict(rows)
    return answer
