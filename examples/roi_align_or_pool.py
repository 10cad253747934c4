"""RoIAlign against RoIPool: the same Mask R-CNN, trained and evaluated with each, on people's masks.

    python examples/roi_align_or_pool.py COCO [--minutes 20] [--steps N] [--out roi-align-or-pool]

COCO is a folder with `annotations/person_masks_train.json`, `person_masks_val.json` and their
images. Both networks begin with the same weights, see the same pictures in the same order, and
differ in nothing but how a region is read from the maps: RoIPool rounds its corners and its bins to
whole cells (8 pixels and more), RoIAlign rounds nothing (He 2017, sections 3 and 4.1: on maps of
stride 16 mask AP 26.9 against 29.2). Prints both rows of figures as a table.
"""

import argparse
import dataclasses
from pathlib import Path

from sightline.data import Dataset, open_dataset
from sightline.detectors.mask_rcnn import mask_rcnn_mobilenet_v2
from sightline.evaluate import evaluate, predict
from sightline.evaluate.report import Report
from sightline.memory import keep_freed_memory
from sightline.predict import load
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe, named
from sightline.train.start import begin


def trained(method: str, data: tuple[Dataset, Dataset], recipe: Recipe, out: Path) -> Report:
    """The figures on the second data set of a network that learnt from the first."""
    learn, test = data
    detector = mask_rcnn_mobilenet_v2(learn.classes, pooling=method)
    detector.load_state_dict(begin(recipe, learn.classes, print).state_dict())
    train(detector, learn, recipe, out / method, run=Run(say=print))
    best = load(out / method, score=None).detector.state_dict()
    ready = mask_rcnn_mobilenet_v2(learn.classes, pooling=method)
    ready.load_state_dict(best)
    return evaluate(test, predict(ready.eval(), test))


def main() -> None:
    """Train both, print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("coco", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--steps", type=int, help="instead of minutes, the same for both")
    parser.add_argument("--method", choices=["align", "pool"], action="append")
    parser.add_argument("--out", type=Path, default=Path("roi-align-or-pool"))
    given = parser.parse_args()
