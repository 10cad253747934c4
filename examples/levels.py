"""Which map answers for which thing: the levels of a detector that looks at several scales.

    python examples/levels.py RUN IMAGE [--score 0.3] [--out levels.png]

RUN is SSD, YOLO v3, RetinaNet or another detector whose regions lie on several maps. First the
answers, each in the colour of the level that its region lies on; then each level's feature energy
(the length of every cell's vector), with the answers that it gave. Fine maps answer for small
things, coarse ones for large: that is what a pyramid is for.
"""

import argparse
from pathlib import Path

import sightline
from sightline.evaluate.pictures import save
from sightline.explain.canvas import outline, panels, pixels_of, scene, shade_of
from sightline.explain.encode_views import energy


def main() -> None:
    """Look once, sort the answers by level, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("image", type=Path)
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("levels.png"))
    given = parser.parse_args()
    model = sightline.load(given.run, score=given.score)
    trace = model.trace(given.image)
    maps, found = energy(trace, model.detector, 0), trace.detections[0]
    level = trace.regions.level[found.region].tolist()
    height, width = trace.batch.size
    figure, axes = panels(1 + len(maps), trace.batch.size, columns=3)
    boxes = trace.batch.frames[0].to_prepared(found.boxes).tolist()
    scene(axes[0], pixels_of(trace, model.detector), f"{len(found)} answers, by their level")
    for n, (panel, one) in enumerate(zip(axes[1:], maps, strict=True)):
        panel.imshow(one.numpy(), cmap="magma", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        count = level.count(n)
        told = f"{count or 'no'} {'answer' if count == 1 else 'answers'}"
        told = f"level {n}: {one.shape[0]} × {one.shape[1]} cells, {told}"
        panel.set_title(told, fontsize=9)
        outline(panel, (0, 0, width, height), shade_of(n), 6.0)
    answers = zip(boxes, level, found.names, found.scores.tolist(), strict=True)
    for box, n, name, score in reversed(list(answers)):
        outline(axes[0], box, shade_of(n), 2.0)
        outline(axes[1 + n], box, shade_of(n), 2.0)
        print(
            f"level {n}: {name} {score:.2f}, {box[2] - box[0]:.0f} × {box[3] - box[1]:.0f} pixels"
        )
    print(save(figure, given.out))


if __name__ == "__main__":
    main()
