"""How an image falls apart and grows together: the four answers of Selective Search, drawn.

    python examples/selective_search.py PHOTO OUT.png

One of the eight ways: the segments it starts from, the merges seen half way and near the end (each
region in the mean colour of its pixels), and the boxes that come first of all eight.
"""

import sys
from pathlib import Path

import numpy as np
from numpy import ndarray

import sightline
from sightline import images
from sightline.evaluate.pictures import new_figure, save
from sightline.explain.canvas import outline, scene, shade_of
from sightline.pipeline import Trace

STRATEGY, SHOWN = 6, 60
"""Lab, k = 100, by all four similarities; so many boxes are drawn."""


def flat(trace: Trace, left: int) -> ndarray:
    """The image when only `left` regions of the strategy are left, each in its mean colour."""
    rows = (trace.regions.level == STRATEGY).nonzero()[:, 0]
    children = trace.scored.extras["children"][rows] - rows[0]
    labels = trace.features[0][0, STRATEGY // 2].numpy()
    owner = np.arange(len(rows))
    leaves = (len(rows) + 1) // 2
    for row in range(leaves, leaves + max(0, leaves - left)):
        owner[np.isin(owner, children[row].numpy())] = row
    now = owner[labels]
    pixels = trace.batch.pixels[0].permute(1, 2, 0).numpy()
    answer = np.zeros_like(pixels)
    for region in np.unique(now):
        answer[now == region] = pixels[now == region].mean(axis=0)
    return answer


def main(photo: Path, out: Path) -> None:
    model = sightline.load("selective_search", score=None)
    image = images.read(photo)
    trace = model.trace(image)
    leaves = int(trace.features[0][0, STRATEGY // 2].max()) + 1
    figure = new_figure(10, 10 * image.shape[1] / image.shape[2] + 0.6)
    panels = figure.subplots(2, 2).flat
    steps = (leaves, max(1, leaves // 4), min(leaves, 8))
    names = ("encode: {} segments", "propose: merged to {}", "propose: merged to {}")
    for axes, left, name in zip(panels, steps, names, strict=False):
        axes.imshow(flat(trace, left))
        axes.set_title(name.format(left))
    axes = figure.axes[3]
    found = trace.detections[0]
    scene(axes, image.permute(1, 2, 0).numpy(), "")
    for place, box in enumerate(found.boxes[:SHOWN].tolist()):
        outline(axes, box, shade_of(place), 0.9)
    axes.set_title(f"classify, postprocess: the first {SHOWN} of {len(found):,} boxes")
    for axes in figure.axes:
        axes.set_axis_off()
    save(figure, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
