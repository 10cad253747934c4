"""Histograms of gradients, and all windows of an image, beside scikit-image and OpenCV.

    python benchmarks/hog.py [--threads N]

Three rows, peers and ours interleaved round by round, medians of wall time and of CPU time:

- the blocks of a colour and of a grey picture of 1024 × 768, against scikit-image's `hog` (and the
  largest difference);
- people detection on the same picture: OpenCV's `detectMultiScale` with its own 64 × 128 template,
  a window at every eighth pixel, each level 5 % smaller, against the whole of our pipeline with as
  many windows (a template of the same size; what its weights are does not matter to its speed).
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from contributed import require
from skimage import data
from skimage.feature import hog as peer
from turns import turns

from sightline import pipeline
from sightline.detectors.hog_pyramid import HogPyramid
from sightline.detectors.sliding_windows import UNCHANGED, HogSvm
from sightline.ops.hog import hog
from sightline.preparation import Preparation
from sightline.suppress import Selection

SIZE = (1024, 768)


def clocks() -> np.ndarray:
    """Seconds of the wall and of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """(wall, CPU) milliseconds of each, their rounds interleaved."""
    times: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    for name, took, _ in turns(calls, rounds, clocks):
        times[name].append(took)
    return {name: tuple(1e3 * np.median(rows, axis=0)) for name, rows in times.items()}


def row(title: str, calls: dict[str, Callable[[], object]], rounds: int) -> None:
    found = medians(calls, rounds)
    ours = found.pop("ours")
    ((name, peers),) = found.items()
    ratios = f"{peers[0] / ours[0]:.1f}× (wall), {peers[1] / ours[1]:.1f}× (CPU)"
    print(
        f"{title}: {name} {peers[0]:.1f} ms, ours {ours[0]:.1f} ms: {ratios}; "
        f"CPU {peers[1]:.1f} and {ours[1]:.1f} ms",
        flush=True,
    )


def blocks(picture: np.ndarray, rounds: int) -> None:
    kind = "colour" if picture.shape[2] == 3 else "grey"
    pixels = torch.from_numpy(picture).permute(2, 0, 1).float().contiguous()
    whole = {"pixels_per_cell": (8, 8), "cells_per_block": (2, 2), "channel_axis": -1}

    def theirs() -> np.ndarray:
        answer: np.ndarray = peer(picture, feature_vector=False, **whole)
        return answer

    want = torch.from_numpy(theirs()).permute(2, 3, 4, 0, 1).flatten(0, 2)
    print(f"largest difference: {(hog(pixels) - want).abs().max():.1e}")
    row(f"HOG, {kind}", {"scikit-image": theirs, "ours": lambda: hog(pixels)}, rounds)


def opencv_windows(scale: float = 1.05) -> int:
    """How many windows `detectMultiScale` looks at, by its own loop over the levels."""
    factor, count = 1.0, 0
    while True:
        width, height = round(SIZE[0] / factor), round(SIZE[1] / factor)
        if width < 64 or height < 128:
            return count
        count += ((width - 64) // 8 + 1) * ((height - 128) // 8 + 1)
        factor *= scale


def people(picture: np.ndarray, rounds: int) -> None:
    theirs = cv2.HOGDescriptor()
    template = cv2.HOGDescriptor_getDefaultPeopleDetector()
    theirs.setSVMDetector(template)
    ours = HogSvm(
        ("person",),
        HogPyramid(((16, 8),), 1.05, margin=0, pad=0),
        Preparation(shorter=None, longer=1024, divisor=1, mean=(0.0, 0.0, 0.0), std=UNCHANGED),
        Selection(score=0.0, per_level=None),
    )
    # the same numbers in another order, and a bias that lets as few pass as theirs
    ours.templates[0].copy_(torch.randn(ours.templates[0].shape) * 0.01)
    ours.bias.fill_(-1.0)
    pixels = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)
    trace = pipeline.run(ours, [pixels])
    print(f"windows: OpenCV {opencv_windows():,}, ours {len(trace.regions):,}")
    parts = ", ".join(f"{verb} {1e3 * took:.1f}" for verb, took in trace.seconds.items())

    def opencv() -> object:
        return theirs.detectMultiScale(picture, winStride=(8, 8), padding=(0, 0), scale=1.05)

    row("people", {"OpenCV": opencv, "ours": lambda: pipeline.run(ours, [pixels])}, rounds)
    print(f"our verbs, ms: {parts}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    require(parser, "HOGDescriptor")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    print(f"threads: {options.threads} for OpenCV and for ours; scikit-image has one")
    photo = cv2.resize(data.astronaut(), SIZE)
    blocks(photo, options.rounds)
    blocks(photo[..., :1], options.rounds)
    people(photo[..., ::-1].copy(), options.rounds)
