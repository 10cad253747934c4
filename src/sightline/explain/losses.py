"""Where a detector loses the objects of a data set: the stories of all images, counted."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline import images, pipeline
from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.evaluate.pictures import new_figure, plain, save
from sightline.explain.lost import lost
from sightline.explain.oracle import RUNGS, Ladder, ladder_of, sight
from sightline.explain.words import OUTCOMES, STAGES, Stage
from sightline.pipeline import Detector
from sightline.reasons import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADES = ("#8c2d04", "#d95f0e", "#fe9929", "#fed98e", "#9ecae1", "#4292c6", "#41ab5d")
"""A colour a stage: the earlier it was lost the darker; blue is nearly found, green is found."""


@dataclass(frozen=True)
class Losses:
    """How far the objects of a data set came, what became of the candidates, and the ladder."""

    images: int
    stages: Mapping[Stage, int]
    reasons: Mapping[Outcome, int]
    ladder: Ladder

    @property
    def objects(self) -> int:
        """How many objects there are, crowds aside."""
        return sum(self.stages.values())

    def share(self, stage: Stage) -> float:
        """Which part of the objects came just so far; 0 without objects."""
        return self.stages[stage] / max(1, self.objects)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": self.images,
            "objects": self.objects,
            "stages": {stage.name.lower(): count for stage, count in self.stages.items()},
            "candidates": sum(self.reasons.values()),
            "reasons": {end.name.lower(): count for end, count in self.reasons.items()},
            "ladder": self.ladder.to_json(),
        }


def losses(
    detector: Detector,
    dataset: Dataset,
    *,
    iou: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> Losses:
    """Look at every image, and count what `lost` tells. `progress(done, total)` after each.

    Raises UsageError (usage.empty) without images, ImageError for one that cannot be read.
    """
    if not len(dataset):
        raise UsageError("there are no images to look at", code="usage.empty")
    stages: Counter[Stage] = Counter()
    reasons: Counter[Outcome] = Counter()
    sights = []
    for done, example in enumerate(dataset, start=1):
        trace = pipeline.run(detector, [images.read(example.path)])
        story = lost(trace, detector, example.objects, dataset.classes, iou=iou)
        stages.update(story.stages())
        reasons.update(story.reasons())
        sights.append(sight(story))
        if progress is not None:
            progress(done, len(dataset))
    return Losses(
        len(dataset),
        {stage: stages[stage] for stage in Stage},
        {end: reasons[end] for end in Outcome},
        ladder_of(sights),
    )


def rows(found: Mapping[str, Losses]) -> list[list[str]]:
    """A table as texts: a heading, then a row a stage, an end of candidates, a rung of the ladder;
    a column a model.
    """
    table = [["", *found]]
    table.append(["objects", *(f"{one.objects:,}" for one in found.values())])
    for stage, words in STAGES.items():
        table.append([words, *(f"{100 * one.share(stage):.1f} %" for one in found.values())])
    table.append(["candidates", *(f"{sum(one.reasons.values()):,}" for one in found.values())])
    for end, words in OUTCOMES.items():
        if any(one.reasons[end] for one in found.values()):
            shares = (
                100 * one.reasons[end] / max(1, sum(one.reasons.values())) for one in found.values()
            )
            table.append([f"… {words}", *(f"{share:.2f} %" for share in shares)])
    for rung in RUNGS:
        values = (one.ladder.values[rung] for one in found.values())
        table.append([f"AP50, {rung}", *("–" if v is None else f"{v:.3f}" for v in values)])
    return table


def markdown(table: list[list[str]]) -> str:
    """Rows as Markdown, columns of one width."""
    wide = [max(len(row[i]) for row in table) for i in range(len(table[0]))]

    def line(row: list[str]) -> str:
        first = row[0].ljust(wide[0])
        rest = [cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=True)]
        return f"| {' | '.join([first, *rest])} |"

    rule = "|".join(["-" * (wide[0] + 2), *("-" * (width + 1) + ":" for width in wide[1:])])
    return "\n".join([line(table[0]), f"|{rule}|", *map(line, table[1:])]) + "\n"


def comma_separated(table: list[list[str]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def chart(found: Mapping[str, Losses]) -> "Figure":
    """A bar a model: which share of the objects was lost where, and found on top."""
    figure = new_figure(2.6 + 1.15 * len(found), 4.6)
    axes = figure.subplots()
    below = [0.0] * len(found)
    for stage, shade in zip(Stage, SHADES, strict=True):
        shares = [100 * one.share(stage) for one in found.values()]
        places = range(len(found))
        axes.bar(places, shares, bottom=below, color=shade, width=0.72, label=stage.words)
        for place, share, start in zip(places, shares, below, strict=True):
            if share >= 4:
                dark = stage in (Stage.NOT_PROPOSED, Stage.LOST_EARLY, Stage.BADLY_LOCALISED)
                colour = "white" if dark else "black"
                middle = start + share / 2
                axes.text(
                    place, middle, f"{share:.0f}", ha="center", va="center", color=colour, size=8
                )
        below = [start + share for start, share in zip(below, shares, strict=True)]
    axes.set_xticks(range(len(found)), [plain(name) for name in found], rotation=25, ha="right")
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of the objects")
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False, fontsize=8)
    return figure


def write(out: Path, found: Mapping[str, Losses]) -> list[Path]:
    """lost.json, lost.csv, lost.md and lost.png in a folder that is there."""
    from sightline.files import write_json, write_text

    table = rows(found)
    return [
        write_json(out / "lost.json", {k: v.to_json() for k, v in found.items()}, indent=1),
        write_text(out / "lost.csv", comma_separated(table)),
        write_text(out / "lost.md", markdown(table)),
        save(chart(found), out / "lost.png"),
    ]
