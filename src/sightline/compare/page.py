"""The page of a comparison: its columns, pictures, curves, in the form that the page reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import sightline
from sightline import images
from sightline.compare import tables
from sightline.compare.look import Wish
from sightline.compare.run import Comparison
from sightline.data.records import Dataset
from sightline.report.page import Page
from sightline.report.photos import photo

COLUMNS: tuple[tuple[str, str, int, str | None, str], ...] = (
    ("model", "Model", 0, None, "a model of the catalogue, or a checkpoint"),
    ("AP", "AP", 3, "high", "mean over IoU 0.50 to 0.95 and classes, with its 95 % interval"),
    ("AP50", "AP50", 3, "high", "AP at IoU 0.50"),
    ("AP75", "AP75", 3, "high", "AP at IoU 0.75"),
    ("AP_small", "small", 3, "high", "AP of objects up to 32² pixels"),
    ("AP_medium", "medium", 3, "high", "AP of objects up to 96² pixels"),
    ("AP_large", "large", 3, "high", "AP of larger objects"),
    ("ms", "ms", 1, "low", "median CPU milliseconds an image, one thread"),
    ("images_a_second", "images/s", 1, "high", "images a second on all threads, in batches"),
    ("memory_MB", "MB", 0, "low", "the peak of a fresh process that answers one image"),
    ("parameters_M", "params (M)", 2, "low", "millions of numbers of the network as it detects"),
    ("training_s", "trained (s)", 0, "low", "seconds of learning, the search of regions counted"),
    ("steps", "steps", 0, None, "steps of learning; none for methods that learn without"),
    ("regions_an_image", "regions", 0, None, "windows, anchors or proposals an image"),
)
"""Key, title, digits, which end is the better one, what it means."""

MANY = 10
"""More classes than this have only their mean drawn."""


def content(
    found: Comparison, test: Dataset, wish: Wish, advice: Sequence[str], about: Mapping[str, Any]
) -> Page:
    """What the page of `found` shows; decodes the images of `wish.views` once more."""
    count, models = len(test), len(found.rows)
    what = found.rows[0].name if models == 1 else f"{models} models"
    data = {
        "classes": list(test.classes),
        "rows": [_shown(line) for line in tables.records(found)],
        "columns": [
            dict(zip(("key", "title", "digits", "better", "about"), column, strict=True))
            for column in COLUMNS
        ],
        "verbs": list(tables.VERBS),
        "photos": [
            {
                "row": str(row),
                **photo(images.read(test[row].path), test, test[row], len(wish.views)),
            }
            for row in wish.views
        ],
        "models": [{"name": name, **shown} for name, shown in found.shown.items()],
        "limit": wish.candidates,
        "curves": {row.name: _curves(row.curves) for row in found.rows if row.curves},
        "lost": {row.name: dict(row.lost) for row in found.rows if row.lost},
        "fates": list(dict.fromkeys(key for row in found.rows for key in row.lost)),
    }
    return Page(
        title=f"{what} on {about['data']}",
        facts=_facts(about, count),
        advice=advice,
        footer=f"Made by sightline {sightline.__version__}. This file is complete: it fetches "
        "nothing and sends nothing.",
        data=data,
    )


def _shown(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the table with millions where they are easier to read."""
    count = line["parameters"]
    return {**line, "parameters_M": None if count is None else round(count / 1e6, 3)}


def _facts(about: Mapping[str, Any], count: int) -> str:
    parts = [f"{count} test images" + (f" ({about['test_split']})" if about["test_split"] else "")]
    if about["budget"]:
        parts.append(f"trained on {about['train_images']} images for {about['budget']} each")
    parts.append(f"seed {about['seed']}")
    return " · ".join(parts)


def _curves(curves: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """The curves by class; of many classes their mean alone."""
    answer: dict[str, dict[str, list[float]]] = {}
    for iou, rows in curves.items():
        if len(rows) <= MANY:
            answer[iou] = dict(rows)
            continue
        columns = zip(*rows.values(), strict=True)
        answer[iou] = {"mean": [round(sum(column) / len(rows), 4) for column in columns]}
    return answer
