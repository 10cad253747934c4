"""How many objects YOLO v1 can never learn or find: their cell answers for another one.

    python benchmarks/yolo_cells.py DATA [--split train] [--cells 7 13 14]

DATA is a folder of labelled images in any format. For each number of cells a side, the share of
objects whose centre lies in a cell that another object of the image has already.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

from sightline import boxes as bx
from sightline.data import default_split, open_dataset
from sightline.detectors.yolo_v1 import Grid


def main() -> None:
    """Count, for each grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--cells", type=int, nargs="+", default=[7, 13, 14])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    split = given.split or default_split(given.data, "train")
    dataset = open_dataset(given.data, split, on_bad="skip")
    for side in given.cells:
        grid, total, lost = Grid(side), 0, 0
        for example in dataset:
            boxes = np.asarray(example.objects.boxes[~example.objects.crowd], np.float64)
            cells = grid.cell_of(bx.centres(torch.from_numpy(boxes)), example.size)
            total += len(cells)
            lost += len(cells) - len(set(cells.tolist()))
        share = lost / max(1, total)
        print(f"{side} × {side} cells: {lost:,} of {total:,} objects are lost, {share:.1%}")


if __name__ == "__main__":
    main()
