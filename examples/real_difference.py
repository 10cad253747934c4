"""Is one model really better than another, or were the test images kind to it?

    python examples/real_difference.py DATA MODEL OTHER [--split val] [--resamples 1000]

Both models answer the same images; then the images are drawn anew with replacement, a thousand
times, and both are judged on each draw. What counts is the spread of the *difference*: a hard image
is hard for both. The same as the column AP of `sightline compare DATA --models MODEL,OTHER`.
"""

import argparse
from pathlib import Path

import numpy as np

import sightline
from sightline.data import default_split, open_dataset
from sightline.evaluate import predict
from sightline.evaluate.bootstrap import bootstrap, interval, tied
from sightline.evaluate.columns import gather


def main() -> None:
    """Answer, judge the resamples, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", metavar="MODEL", nargs=2)
    parser.add_argument("--split")
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    dataset = open_dataset(given.data, given.split or default_split(given.data, "val"))
    figures = []
    for name in given.models:
        found = predict(sightline.load(name, score=None).detector, dataset)
        drawn = bootstrap(gather(dataset, found), given.resamples)
        figures.append(drawn.AP)
        print(f"{name}: AP {np.nanmean(drawn.AP):.3f}, {spread(drawn.AP)}")
    print(
        f"difference: {np.nanmean(figures[0] - figures[1]):+.3f}, {spread(figures[0] - figures[1])}"
    )
    print("they tie" if tied(*figures) else "the difference is real")


def spread(values: np.ndarray) -> str:
    """Where 95 % of the resamples lie."""
    bounds = interval(values)
    return "no figure" if bounds is None else f"95 % in {bounds[0]:+.3f} … {bounds[1]:+.3f}"


if __name__ == "__main__":
    main()
