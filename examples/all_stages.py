"""Every stage of one answer: a page of numbers and pictures.

    python examples/all_stages.py IMAGE [--model mask_rcnn] [--out stages]

The same as `sightline explain`, in a few lines of Python.
"""

import argparse
from pathlib import Path

import sightline
from sightline.explain.view import write


def main() -> None:
    """Trace, look at the stages, write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", default="mask_rcnn")
    parser.add_argument("--out", type=Path, default=Path("stages"))
    given = parser.parse_args()
    model = sightline.load(given.model)
    views = sightline.explain.stages(model.trace(given.image), model.detector)
    for view in views:
        print(view.text(limit=3))
    for path in write(given.out, str(given.image), views):
        print(path)


if __name__ == "__main__":
    main()
