"""Why was this lost? One object of an image, and every candidate that lies on it.

    python examples/why_lost.py IMAGE CLASS X1 Y1 X2 Y2 [--model retinanet] [--score 0.3]

Tells how far the object came, then what became of the candidates whose box overlaps it by half.
"""

import argparse
from pathlib import Path

import sightline
from sightline.boxes import iou
from sightline.data.records import Objects
from sightline.explain.fates import fates
from sightline.explain.words import told
from sightline.reasons import Outcome


def main() -> None:
    """Ask about one object."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("name", metavar="CLASS")
    parser.add_argument("box", type=float, nargs=4, metavar=("X1", "Y1", "X2", "Y2"))
    parser.add_argument("--model", default="retinanet")
    parser.add_argument("--score", type=float, default=0.3)
    given = parser.parse_args()
    model = sightline.load(given.model, score=given.score)
    trace = model.trace(given.image)
    truth = Objects.of([given.box], [0])
    story = sightline.explain.lost(trace, model.detector, truth, [given.name])
    print(f"{given.name}: {story.objects[0].text()}")
    print(f"of {len(story.candidates):,} candidates:")
    for end, count in story.reasons().items():
        if count:
            print(f"  {count:>7,}  {told(end, -1, 0.0)}")
    found = fates(trace, model.detector)
    boxes = trace.batch.frames[0].to_original(found.pairs.boxes)
    near = iou(boxes, torch.tensor([given.box]))[:, 0]
    rows = (near >= 0.5).nonzero()[:, 0]
    for row in rows[found.pairs.scores[rows].argsort(descending=True)].tolist()[:20]:
        label, score = model.classes[int(found.pairs.label[row])], float(found.pairs.scores[row])
        end = told(Outcome(int(found.outcome[row])), int(found.by[row]), float(found.iou[row]))
        print(f"  {label} {score:.2f}, overlaps it by {float(near[row]):.2f}: {end}")


if __name__ == "__main__":
    main()
