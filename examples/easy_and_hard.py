"""Why the focal loss: where a dense detector's loss comes from (Lin 2017, figure 4).

    python examples/easy_and_hard.py IMAGE CLASS X1 Y1 X2 Y2 [--model retinanet] [--out easy.png]

One image with one object. Every anchor answers for every class, and nearly all of these answers
are easy: background that is called background. Left: how many answers give the truth what
probability. Right: how much of the loss the hardest of them are. By cross-entropy (γ = 0) the many
easy ones have a loud voice together; the focal loss leaves it to the few hard ones.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import sightline
from sightline.evaluate.pictures import new_figure, save
from sightline.matching import IGNORED, IouMatcher
from sightline.pipeline import Trace
from sightline.types import Targets

GAMMAS, EASY = (0.0, 0.5, 1.0, 2.0), 0.9


def of_truth(trace: Trace, box: list[float], label: int) -> Tensor:
    """The probability that each answer gives the truth; no answers of anchors to be ignored."""
    boxes = trace.batch.frames[0].to_prepared(torch.tensor([box]))
    truth = Targets(boxes, torch.tensor([label]), torch.tensor([False]))
    matched = IouMatcher()(trace.regions.boxes, trace.regions.level, truth)
    scores = trace.scored.scores.double()
    wanted = torch.zeros_like(scores)
    wanted[matched >= 0, label] = 1
    return torch.where(wanted > 0, scores, 1 - scores)[matched > IGNORED].flatten()


def main() -> None:
    """Look once, weigh every answer, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("name", metavar="CLASS")
    parser.add_argument("box", metavar="X1 Y1 X2 Y2", type=float, nargs=4)
    parser.add_argument("--model", default="retinanet")
    parser.add_argument("--out", type=Path, default=Path("easy.png"))
    given = parser.parse_args()
    model = sightline.load(given.model)
    sure = of_truth(model.trace(given.image), given.box, model.classes.index(given.name))
    sure = sure.clamp(min=1e-9).sort().values  # the hardest first
    easy = int((sure > EASY).sum())
    print(f"{len(sure):,} answers, {easy:,} of them easy (above {EASY})")
    figure = new_figure(9.5, 3.6)
    left, right = figure.subplots(1, 2)
    left.hist(sure.numpy(), bins=50, range=(0, 1), log=True, color="#4a7fb5")
    left.set(xlabel="probability of the truth", ylabel="answers")
    left.set_title(f"{len(sure):,} answers: anchors × classes")
    left.axvspan(EASY, 1, color="0.9", zorder=0)
    for gamma in GAMMAS:
        loss = -((1 - sure) ** gamma) * sure.log()
        total = 100 * loss.cumsum(0) / loss.sum()
        name = "γ = 0: cross-entropy" if gamma == 0 else f"γ = {gamma:g}"
        (line,) = right.semilogx(range(1, len(sure) + 1), total.tolist())
        middle = min(1000, len(sure)) - 1
        place = (middle + 1, float(total[middle]) - 1)
        right.text(*place, name, color=line.get_color(), va="top", fontweight="bold")
        hard = float(total[len(sure) - easy - 1]) if easy < len(sure) else 0.0
        print(f"{name}: the easy ones are {100 - hard:.3g} % of the loss")
    right.axvspan(len(sure) - easy, len(sure), color="0.9", zorder=0)
    right.set(xlabel="so many of the hardest answers", ylabel="% of the loss")
    right.set(xlim=(1, len(sure)), ylim=(0, 100), title="what they add up to (grey: easy)")
    print(save(figure, given.out))


if __name__ == "__main__":
    main()
