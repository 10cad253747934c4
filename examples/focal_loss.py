"""The focal loss against cross-entropy and online hard example mining: the curve and the table.

    python examples/focal_loss.py --curve focal_loss.png
    python examples/focal_loss.py DATA [--steps 600 | --minutes M] [--start FILE] [--out focal-loss]

The first draws the loss against the probability of the true class for γ from 0 to 5 (Lin 2017,
figure 1). The second trains the light RetinaNet once a loss, with the same network, matching, box
loss, pictures and steps (or minutes), prints AP and writes the table into --out, as Markdown and as
JSON; the time, parameters and memory of the table are those of one network. DATA is a labelled
folder with a part to train on and one to test on, or a label file, and then --test another one.
What is in --out already is not trained again, and what was stopped goes on; --loss takes some.
"""

import sys
from pathlib import Path
from typing import get_args

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from one_budget import arguments, compare

from sightline.detectors.losses import focal
from sightline.detectors.retinanet import Loss

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


def draw(path: Path) -> None:
    """Loss against the probability of the truth, from the very function that trains."""
    truth = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for gamma in GAMMAS:
        one = torch.ones(1, dtype=torch.float64)
        losses = [focal(p.logit()[None], one, None, gamma).item() for p in truth]
        label = "γ = 0: cross-entropy" if gamma == 0 else f"γ = {gamma:g}"
        axes.plot(truth.tolist(), losses, label=label)
    axes.axvspan(0.6, 1, color="0.93", zorder=0)
    axes.text(0.8, 1.4, "answered well", ha="center", color="0.35")
    axes.set(xlim=(0, 1), ylim=(0, 5), xlabel="probability of the true class", ylabel="loss")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw, or train, measure, print."""
    if sys.argv[1:2] == ["--curve"] and len(sys.argv) == 3:
        draw(Path(sys.argv[2]))
        return
    parser = arguments(__doc__, "focal-loss")
    parser.add_argument("--loss", action="append", choices=get_args(Loss))
    given = parser.parse_args()
    print(compare(given, "loss", given.loss or get_args(Loss)), end="")


if __name__ == "__main__":
    main()
