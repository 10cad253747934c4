"""One picture, seen by several models: their answers side by side.

    python examples/side_by_side.py IMAGE MODEL… --out side-by-side.png [--score 0.3]

A MODEL is a name of the catalogue, a checkpoint or a run's folder: the runs of `sightline compare`
lie side by side in its --out. Scores of `hog_svm` and `rcnn` are margins, 0 where they are
undecided.
"""

import argparse
from pathlib import Path

import numpy as np

import sightline
from sightline import images
from sightline.evaluate.pictures import save
from sightline.explain.canvas import panels, scene
from sightline.explain.draw import Style, draw


def main() -> None:
    """Ask each, draw each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("models", metavar="MODEL", nargs="+")
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("side-by-side.png"))
    given = parser.parse_args()
    image = images.read(given.image)
    size = (image.shape[1], image.shape[2])
    columns = min((3, 4, 5), key=lambda wide: -len(given.models) % wide)  # the fewest empty places
    figure, axes = panels(len(given.models), size, columns, width=13 / columns)
    style = Style(line=max(2, size[1] // 150), font=max(12, size[1] // 16))
    for place, name in zip(axes, given.models, strict=True):
        model = sightline.load(name, score=given.score)
        found = model(image)
        count = f"{len(found) or 'no'} {'answer' if len(found) == 1 else 'answers'}"
        scene(place, np.asarray(draw(image, found, style)), f"{model.name}: {count}")
        print(f"{model.name}: " + ", ".join(f"{what} {score:.2f}" for what, score, _ in found))
    print(save(figure, given.out))


if __name__ == "__main__":
    main()
