"""Why OpenPose learns fields and not midpoints: limbs that cross.

    python examples/crossing_limbs.py [--out crossing-limbs.png]

Elbows on the left, wrists on the right; which belong together? In the first two rows the truth
differs (two arms cross; or one arm is there, and of two people more only an elbow and only a wrist
are seen), yet the maps of midpoints are the same number for number, because both arms have the same
middle: whatever decodes them must be wrong in one of the two. In the last two rows three arms cross
in two ways that have the same three midpoints. The fields along the limbs (Cao 2017, figure 5) tell
all four apart. Draws each row's truth, its map of midpoints, its field, and what both decodings
say; prints whether they are right.
"""

import argparse
from pathlib import Path

import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from torch import Tensor

from sightline.detectors.bottom_up import BottomUp, Decoding
from sightline.ops.pose_targets import affinity_fields, part_maps
from sightline.preparation import Preparation
from sightline.skeletons import skeleton
from sightline.types import Batch, Features, Frame

SIZE, STRIDE = (26, 36), 8
ARM = skeleton(("elbow", "wrist"), [(0, 1)])
LEFT, RIGHT = 8.5, 27.5

Arms = tuple[tuple[int, int], ...]
"""The heights, counted from the top, of each arm's elbow and wrist."""

WORLDS: dict[str, tuple[int, Arms]] = {
    "two arms": (2, ((0, 1), (1, 0))),
    "one arm": (2, ((0, 1),)),
    "three arms": (3, ((0, 1), (1, 2), (2, 0))),
    "three others": (3, ((1, 0), (2, 1), (0, 2))),
}


def people(pairs: Arms) -> Tensor:
    """(N, 2, 3): elbow and wrist of each arm, in cells, all of them seen."""
    rows = [[[LEFT, 5.5 + 7 * a, 2], [RIGHT, 5.5 + 7 * b, 2]] for a, b in pairs]
    return torch.tensor(rows)


def maps(heights: int, arms: Arms, association: str) -> Features:
    """What a perfect network says: every elbow and wrist, and the arms between some of them."""
    seen, held = people(tuple((row, row) for row in range(heights))), people(arms)
    owners = [torch.zeros(len(some), dtype=torch.int64) for some in (seen, held)]
    parts = part_maps(seen, owners[0], 1, SIZE, 1.25)
    if association == "midpoints":
        return parts, part_maps(held.mean(1, keepdim=True), owners[1], 1, SIZE, 1.25)
    return parts, affinity_fields(held, owners[1], torch.tensor(ARM.limbs), 1, SIZE, 1.0)


def decoded(features: Features, association: str) -> set[tuple[int, int]]:
    """The arms that a decoding finds, as heights of elbow and wrist."""
    rule = Decoding(association=association, least_parts=2)
    decoder = BottomUp(("person",), ARM, ARM, STRIDE, Preparation(), rule)
    size = (SIZE[0] * STRIDE, SIZE[1] * STRIDE)
    batch = Batch(torch.zeros(1, 3, *size), (Frame(size, size),))
    regions = decoder.propose(batch, features)
    scored = decoder.classify(batch, features, regions)
    (found,) = decoder.postprocess(batch, features, scored)
    heights = ((found.keypoints[..., 1] / STRIDE - 5.5) / 7).round().int()
    return {(a, b) for a, b in heights.tolist()}


def lines(axes: Axes, heights: int, arms: set[tuple[int, int]] | Arms, truth: Arms) -> None:
    """Arms as lines, red where they are not the truth."""
    for a, b in arms:
        colour = "tab:green" if (a, b) in truth else "tab:red"
        axes.plot([LEFT, RIGHT], [5.5 + 7 * a, 5.5 + 7 * b], color=colour, lw=3)
    for x, colour in ((LEFT, "tab:blue"), (RIGHT, "tab:orange")):
        axes.plot([x] * heights, [5.5 + 7 * row for row in range(heights)], "o", color=colour)


def draw(out: Path) -> None:
    figure, grid = pyplot.subplots(4, 5, figsize=(13, 8.4), layout="constrained")
    for row, (name, (heights, truth)) in enumerate(WORLDS.items()):
        middles, fields = (maps(heights, truth, which) for which in ("midpoints", "pafs"))
        said = {"midpoints": decoded(middles, "midpoints"), "pafs": decoded(fields, "pafs")}
        for which, found in said.items():
            print(f"{name:13} {which:10} {'right' if found == set(truth) else 'WRONG'}")
        extent = (0, SIZE[1], SIZE[0], 0)
        grid[row, 1].imshow(middles[1][0, 0], extent=extent, cmap="magma", vmin=0, vmax=1)
        x, y = fields[1][0]
        there = (x.hypot(y) > 0).nonzero()
        grid[row, 2].quiver(
            there[:, 1] + 0.5, there[:, 0] + 0.5, x[tuple(there.T)], y[tuple(there.T)],
            angles="xy", scale=30, width=0.004, color="tab:purple",
        )  # fmt: skip
        lines(grid[row, 0], heights, truth, truth)
        lines(grid[row, 3], heights, said["midpoints"], truth)
        lines(grid[row, 4], heights, said["pafs"], truth)
        titles = ("the truth", "map of midpoints", "field", "by midpoints", "by fields")
        for axes, title in zip(grid[row], titles, strict=True):
            axes.set(xlim=(0, SIZE[1]), ylim=(SIZE[0], 0), xticks=[], yticks=[], aspect="equal")
            axes.set_title(f"{name}: {title}" if title == "the truth" else title, fontsize=10)
    figure.savefig(out, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("crossing-limbs.png"))
    draw(parser.parse_args().out)


if __name__ == "__main__":
    main()
