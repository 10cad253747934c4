"""RoIAlign against RoIPool: one Mask R-CNN, trained and evaluated with each, on people's masks.

    python examples/roi_align_or_pool.py COCO [--steps 1000] [--out roi-align-or-pool]

COCO is a folder with `annotations/person_masks_train.json`, `person_masks_val.json` and their
images. Both networks begin with the same weights, see the same pictures in the same order, and
differ in nothing but how a region is read from the maps: RoIPool rounds its corners and its bins to
whole cells (8 pixels and more), RoIAlign rounds nothing (He 2017, sections 3 and 4.1). Prints a
table of both. What is there already is not trained again, what was stopped goes on; `--method` does
one of them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from sightline.data import Dataset, open_dataset
from sightline.evaluate import evaluate, predict
from sightline.memory import keep_freed_memory
from sightline.predict import load
from sightline.train import state
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.start import begin

SHOWN = ("AP", "AP50", "segm_AP", "segm_AP50", "segm_AP75")


def recipe(method: str, steps: int) -> Recipe:
    """From the embedded RetinaNet's encoder, on one core."""
    return Recipe(
        model="mask_rcnn_mobilenet_v2",
        options=(("pooling", method),),
        start="retinanet_mobilenet_v2",
        steps=steps,
        sizes=((1.0, 320),),
        freeze=2,
        evaluate_every=1.0,
        threads=1,
    )


def trained(method: str, data: tuple[Dataset, Dataset], steps: int, out: Path) -> dict[str, Any]:
    """The figures on the second data set of a network that learnt from the first."""
    learn, test = data
    chosen = recipe(method, steps)
    if not (out / "best.safetensors").exists():
        stopped = (out / state.NAME).exists()
        detector = begin(chosen, learn.classes, print)
        train(detector, learn, chosen, out, resume=stopped, run=Run(say=print))
    model = load(out, score=None)
    return evaluate(test, predict(model.detector, test)).to_json()


def main() -> None:
    """Train both, print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("coco", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--method", choices=["align", "pool"], action="append")
    parser.add_argument("--out", type=Path, default=Path("roi-align-or-pool"))
    given = parser.parse_args()
    keep_freed_memory()
    files = [given.coco / "annotations" / f"person_masks_{one}.json" for one in ("train", "val")]
    learn, test = (open_dataset(file) for file in files)
    print(f"| regions read by | {' | '.join(SHOWN)} |\n|---|{'---|' * len(SHOWN)}")
    for method in given.method or ["pool", "align"]:
        figures = trained(method, (learn, test), given.steps, given.out / method)
        print(f"| RoI{method.title()} | {' | '.join(f'{figures[key]:.3f}' for key in SHOWN)} |")
        print(json.dumps({"method": method, **{key: figures[key] for key in SHOWN}}))


if __name__ == "__main__":
    main()
