"""One picture, seen by several models: their answers side by side.

    python examples/side_by_side.py IMAGE MODEL… --out side-by-side.png [--score 0.3]

Boxes have the colour of their class. A MODEL is a name of the catalogue, a checkpoint or a run's
folder: the runs of `sightline compare` lie side by side in its --out. Scores of `hog_svm` and
`rcnn` are margins, 0 where they are undecided.
"""

import argparse
from pathlib import Path

import sightline
from sightline import images
from sightline.evaluate.pictures import save
from sightline.explain.canvas import outline, panels, scene, shade_of


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
    figure, axes = panels(len(given.models), size, columns, width=10 / columns)
    for place, name in zip(axes, given.models, strict=True):
        model = sightline.load(name, score=given.score)
        found = model(image)
        told = [f"{what} {score:.2f}" for what, score, _ in found]
        best = f"{len(told)}, the best {told[0]}" if told else "nothing"
        scene(place, image.permute(1, 2, 0).numpy(), f"{model.name}\n{best}")
        for box, label in zip(found.boxes.flip(0).tolist(), found.labels.flip(0), strict=True):
            outline(place, box, shade_of(int(label)), 1.6)
        print(f"{model.name}: {', '.join(told) or 'nothing'}")
    print(save(figure, given.out))


if __name__ == "__main__":
    main()
