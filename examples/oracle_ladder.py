"""What AP would be if one stage after the other were perfect.

    python examples/oracle_ladder.py DATA [--models retinanet] [--split val] [--first 50]

The same as `sightline lost`, in a few lines of Python; the chart is drawn with --out.
"""

import argparse
from pathlib import Path

import sightline
from sightline.data import open_dataset
from sightline.evaluate.pictures import save
from sightline.explain.losses import chart


def main() -> None:
    """Count what every model loses, and climb."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", default="retinanet")
    parser.add_argument("--split")
    parser.add_argument("--first", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    dataset = open_dataset(given.data, given.split)
    if given.first is not None:
        dataset = dataset.subset(range(min(given.first, len(dataset))))
    found = {}
    for name in given.models.split(","):
        model = sightline.load(name, score=None)
        found[name] = sightline.explain.losses(model.detector, dataset)
        for rung, value in found[name].ladder.values.items():
            print(f"{name}  {rung:20} {'–' if value is None else f'{value:.3f}'}")
    if given.out is not None:
        print(save(chart(found), given.out))


if __name__ == "__main__":
    main()
