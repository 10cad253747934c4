"""The time of k-means with 1 − IoU on many boxes, and of the whole curve.

    python benchmarks/anchors.py [--boxes 800000]

Boxes have random sides, which have no clusters and so take longest. Prints CPU seconds.
"""

import argparse
import time

import torch

from sightline import priors
from sightline.ops.shape_match import nearest_shapes


def main() -> None:
    """Compile, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=800_000)
    given = parser.parse_args()
    draw = torch.Generator().manual_seed(0)
    sides = 1 + 400 * torch.rand(given.boxes, 2, generator=draw, dtype=torch.float64)
    nearest_shapes(sides[:2], sides[:1])
    start = time.process_time()
    found = priors.fit(sides, 9)
    print(f"9 priors of {len(sides):,} boxes: {time.process_time() - start:.1f} CPU seconds")
    start = time.process_time()
    curve = priors.elbow(sides, range(1, 16))
    print(f"1 to {max(curve)} priors: {time.process_time() - start:.1f} CPU seconds")
    print(f"mean IoU of 9: {found.mean_iou:.4f}")


if __name__ == "__main__":
    main()
