"""How long decoding takes with the number of people, and how far its points are from the truth.

    python benchmarks/pose_decoding.py [--plot docs/pictures/pose_decoding.png]

Maps of 92 × 164 cells of 8 pixels (a video of 1312 × 736), as OpenPose's network is taught to make
them: 19 maps of parts and background, fields of 19 limbs, and a little noise. People of 100 to 300
pixels stand anywhere, so that a hundred of them hide each other. Times are of one thread, in CPU
time, so that other work on the machine disturbs little; medians over rounds in which the counts
take turns, twenty calls of a verb at a time. All is timed from maps to `Detections`. Errors are
medians over parts that nothing is near, in the pixels of the network's input, next to what a cell's
centre gives, and the peak of the maps enlarged eightfold by bicubic interpolation, as the authors
find it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.detectors.bottom_up import BottomUp, Decoding
from sightline.ops.peaks import part_peaks
from sightline.ops.pose_targets import affinity_fields, part_maps
from sightline.preparation import Preparation
from sightline.skeletons import PERSON, with_neck
from sightline.types import Batch, Detections, Features, Frame

ROWS, COLUMNS, STRIDE = 92, 164, 8
SIGMA, WIDTH = 1.25, 1.0
"""Cells: OpenPose's Gaussian of 7 pixels, exp(−d² / 2 · 7²), and the limb's half width."""

NOISE = 0.008
"""So strong that as many peaks of it pass 0.03 as in maps of `openpose_maps.py`, cell for cell."""

AT_ONCE = 20
"""So many calls between two looks at the clock."""

TARGETS = {1: 0.3, 10: 0.5, 30: 1.5, 100: 12.0}
"""People → milliseconds that decoding may take."""

T = TypeVar("T")

BODY = with_neck(PERSON)
POSE = {
    **{"nose": (0.0, 0.07), "eye": (0.02, 0.05), "ear": (0.045, 0.06), "neck": (0.0, 0.18)},
    **{"shoulder": (0.11, 0.18), "elbow": (0.15, 0.34), "wrist": (0.17, 0.48)},
    **{"hip": (0.07, 0.5), "knee": (0.08, 0.73), "ankle": (0.08, 0.95)},
}
"""Where a standing person's parts are, by the part's name without its side; 1 is the height."""


def crowd(count: int, seed: int = 0) -> Tensor:
    """(N, P, 2) in cells: people anywhere, each in a pose of his own."""
    rng = np.random.default_rng(seed)
    sides = np.array([1.0 if "left" in name else -1.0 for name in BODY.points])
    pose = np.array([POSE[name.split("_")[-1]] for name in BODY.points])
    pose = np.stack([pose[:, 0] * sides, pose[:, 1]], 1)
    height = rng.uniform(12, 38, (count, 1, 1))
    moved = pose + rng.normal(0, 0.03, (count, len(pose), 2))
    corner = rng.uniform([6, 0], [COLUMNS - 6, ROWS - 14], (count, 2))[:, None]
    inside = np.clip(corner + moved * height, 0.5, [COLUMNS - 0.5, ROWS - 0.5])
    return torch.from_numpy(inside).float()


def drawn(people: Tensor, noise: float = NOISE) -> Features:
    """The maps of all people, with the background's."""
    owner, size = torch.zeros(len(people), dtype=torch.int64), (ROWS, COLUMNS)
    seen = torch.cat([people, torch.full_like(people[..., :1], 2.0)], 2)
    parts = part_maps(seen, owner, 1, size, SIGMA)
    limbs = torch.tensor(BODY.limbs)
    fields = affinity_fields(seen, owner, limbs, 1, size, WIDTH)
    parts = torch.cat([parts, 1 - parts.amax(1, keepdim=True)], 1)
    rng = torch.Generator().manual_seed(len(people))
    return tuple(x + noise * torch.randn(x.shape, generator=rng) for x in (parts, fields))


class Decoder(BottomUp):
    """The decoder without a network."""

    def __init__(self, decoding: Decoding) -> None:
        super().__init__(("person",), PERSON, BODY, STRIDE, Preparation(), decoding)
        size = (ROWS * STRIDE, COLUMNS * STRIDE)
        self.batch = Batch(torch.empty(1, 3, *size), (Frame(size, size),))

    def decode(self, features: Features) -> Detections:
        """From maps to people."""
        regions = self.propose(self.batch, features)
        scored = self.classify(self.batch, features, regions)
        return self.postprocess(self.batch, features, scored)[0]

    def marks(self, features: Features) -> list[float]:
        """The milliseconds of propose, classify and postprocess, means of `AT_ONCE` calls each."""
        regions, propose = often(lambda: self.propose(self.batch, features))
        scored, classify = often(lambda: self.classify(self.batch, features, regions))
        _, postprocess = often(lambda: self.postprocess(self.batch, features, scored))
        return [propose, classify, postprocess]


def often(call: Callable[[], T]) -> tuple[T, float]:
    """The answer, and the milliseconds of a call; reading the clock takes long beside one."""
    began = time.thread_time()
    for _ in range(AT_ONCE):
        answer = call()
    return answer, 1e3 * (time.thread_time() - began) / AT_ONCE


def timed(decoder: Decoder, worlds: dict[int, Features], rounds: int) -> dict[int, np.ndarray]:
    """Milliseconds of the three verbs, for each number of people."""
    taken: dict[int, list[list[float]]] = {count: [] for count in worlds}
    with torch.inference_mode():
        for _ in range(rounds):  # the counts take turns
            for count, features in worlds.items():
                decoder.decode(features)
                taken[count].append(decoder.marks(features))
    return {count: np.median(np.array(rows), axis=0) for count, rows in taken.items()}


def errors(people: Tensor, features: Features) -> dict[str, float]:
    """Median distance of found points from the truth, in pixels, for parts that nothing is near."""
    maps = features[0][:, : len(BODY.points)]
    large = F.interpolate(maps, scale_factor=STRIDE, mode="bicubic", align_corners=False)
    places, _, _, part = part_peaks(maps, 0.3)
    away: dict[str, list[float]] = {"ours": [], "cell's centre": [], "enlarged ×8": []}
    for kind in range(len(BODY.points)):
        truth = people[:, kind]
        gaps = torch.cdist(truth, truth).fill_diagonal_(torch.inf).amin(1)
        own = places[part == kind]
        inside = (truth > 3).all(1) & (truth < torch.tensor([COLUMNS - 3.0, ROWS - 3.0])).all(1)
        for point in truth[(gaps > 6) & inside]:
            column, row = (int(value) for value in point)
            near = large[0, kind, 8 * row - 16 : 8 * row + 24, 8 * column - 16 : 8 * column + 24]
            best = int(near.argmax())
            finer = torch.tensor([best % 40 + 0.5, best // 40 + 0.5])
            enlarged = finer + 8.0 * torch.tensor([column, row]) - 16
            mine = own[(own - point).norm(dim=1).argmin()]
            answers = {"ours": mine * 8, "cell's centre": (mine.floor() + 0.5) * 8}
            answers["enlarged ×8"] = enlarged
            for name, value in answers.items():
                away[name].append(float((value - point * 8).norm()))
    return {name: float(np.median(values)) for name, values in away.items()}


def plot(taken: dict[int, np.ndarray], file: Path) -> None:
    """Milliseconds against people, the targets beside them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(list(taken), [row.sum() for row in taken.values()], "o-", label="maps to people")
    for index, verb in enumerate(("propose: peaks", "classify: limbs", "postprocess: people")):
        axes.plot(list(taken), [row[index] for row in taken.values()], "--", lw=1, label=verb)
    axes.plot(list(TARGETS), list(TARGETS.values()), "x", color="black", label="at most")
    axes.set(xscale="log", yscale="log", xlabel="people", ylabel="milliseconds, one thread")
    axes.set_xticks(list(taken), [str(count) for count in taken])
    axes.minorticks_off()
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--matching", choices=["greedy", "optimal"], default="greedy")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    decoder = Decoder(Decoding(matching=given.matching))
    people = {count: crowd(count) for count in (1, 3, 10, 30, 100)}
    worlds = {count: drawn(those) for count, those in people.items()}
    taken = timed(decoder, worlds, given.rounds)
    print("| people | found | propose | classify | postprocess | all, ms | at most, ms |")
    print("|---|---|---|---|---|---|---|")
    for count, row in taken.items():
        found = len(decoder.decode(worlds[count]))
        verbs = " | ".join(f"{value:.3f}" for value in row)
        most = TARGETS.get(count, "")
        print(f"| {count} | {found} | {verbs} | {row.sum():.3f} | {most} |")
    for noise in (0.0, NOISE, 0.03):
        those = crowd(30, seed=7)
        away = errors(those, drawn(those, noise))
        line = ", ".join(f"{name} {value:.3f}" for name, value in away.items())
        print(f"noise {noise}: pixels away (median): {line}")
    if given.plot:
        plot(taken, given.plot)


if __name__ == "__main__":
    main()
