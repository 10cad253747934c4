"""What a data set holds, as one picture: objects of each class, and their sizes."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sightline.data.records import Dataset
from sightline.data.suspicions import class_counts
from sightline.evaluate.pictures import new_figure, plain, save

MOST_CLASSES = 40
"""Bars that can still be read; the rest are counted in the title."""

SIDES = np.geomspace(1, 4096, 49)
"""The borders of the histogram's bars."""

COLOURS = ("#2a6f97", "#e07a5f", "#81b29a", "#8d6a9f", "#b0a160")


def draw(parts: Mapping[str, Dataset], path: Path) -> Path:
    """Draw objects a class (commonest first) and the square roots of areas, for every split.

    Sizes are in pixels of the images as they are; the dotted lines are COCO's 32 and 96.
    """
    counts = {name: class_counts(part) for name, part in parts.items()}
    total: dict[str, int] = {}
    for one in counts.values():
        for label, count in one.items():
            total[label] = total.get(label, 0) + count
    shown = sorted(total, key=lambda label: -total[label])[:MOST_CLASSES]
    figure = new_figure(11, max(3.2, 0.6 + 0.22 * len(shown)))
    left, right = figure.subplots(1, 2)
    start = np.zeros(len(shown))
    for (name, one), colour in zip(counts.items(), itertools.cycle(COLOURS), strict=False):
        width = np.array([one.get(label, 0) for label in shown], float)
        left.barh(range(len(shown)), width, left=start, color=colour, label=name)
        start += width
        sides = [np.sqrt(e.objects.area[~e.objects.crowd]) for e in parts[name]]
        flat = np.concatenate(sides) if sides else np.zeros(0)
        right.hist(flat[flat > 0], SIDES, color=colour, alpha=0.6, label=name)
    left.set_yticks(range(len(shown)), [plain(label) for label in shown], fontsize=8)
    left.invert_yaxis()
    more = len(total) - len(shown)
    left.set_title("objects of each class" + (f" ({more} rarer ones not shown)" if more else ""))
    right.set_xscale("log")
    right.set_title("side of an object: √area in pixels")
    for border in (32, 96):
        right.axvline(border, color="#444444", linestyle=":", linewidth=1)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        if counts:
            axes.legend(fontsize=8)
    return save(figure, path)
