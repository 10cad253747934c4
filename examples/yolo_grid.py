"""What YOLO says of each cell of its grid, as in figure 2 of the paper.

    python examples/yolo_grid.py RUN IMAGE [--score 0.2] [--out grid.png]

RUN is a trained `yolo_v1`, IMAGE a picture. Left: the image in its S × S cells. Above: every box of
every cell, the wider its line the more confident. Below: the class that each cell would have if it
had an object, the stronger its colour the more probable. Right: confidence times probability above
`--score`, after NMS; a dot marks the cell that each answer came from.
"""

import argparse
from pathlib import Path

from sightline.evaluate.pictures import save
from sightline.explain.grid import grid
from sightline.predict import load


def main() -> None:
    """Look once, draw all that was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("image", type=Path)
    parser.add_argument("--score", type=float, default=0.2)
    parser.add_argument("--out", type=Path, default=Path("grid.png"))
    given = parser.parse_args()
    model = load(given.run, score=given.score)
    view = grid(model.trace(given.image), model.detector)
    if view is None or view.draw is None:
        raise SystemExit(f"{model.name} has no grid of cells with classes of their own")
    print(view.text())
    print(save(view.draw(), given.out))


if __name__ == "__main__":
    main()
