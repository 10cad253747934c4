"""What segments look like: sizes, boxes, neighbours, histograms of colour and texture.

(Uijlings 2013, section 3.2.) All of it is counted in whole numbers.

Letters: n segments, D bins of all histograms, C channels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from sightline.ops.dispatch import kernel
from sightline.ops.segments import convolve, gaussian

COLOUR_BINS, TEXTURE_BINS, AXES = 25, 10, 4
"""Bins of a channel's colours and of each half of an axis; axes at 0°, 45°, 90°, 135°."""

TEXTURE_STEP = 8.0
"""Grey levels a pixel that one bin of a derivative spans; the last bin is open."""


@dataclass(frozen=True)
class Segments:
    """What grouping needs to know of each segment.

    `boxes` are (x1, y1, x2, y2), pixel i covering [i, i + 1). `colour` counts 25 bins a channel,
    `texture` 10 bins of 8 orientations a channel. `pairs` are the neighbours, the smaller number
    first, in order.
    """

    size: Int32[ndarray, "n"]
    boxes: Int32[ndarray, "n 4"]
    colour: Int32[ndarray, "n Dc"]
    texture: Int32[ndarray, "n Dt"]
    pairs: Int32[ndarray, "p 2"]


def derivatives(
    colours: UInt8[ndarray, "C H W"],
) -> tuple[Float32[ndarray, "C H W"], Float32[ndarray, "C H W"]]:
    """Gaussian derivatives of each channel, σ = 1, across and down, in grey levels a pixel."""
    taps = gaussian(1.0)
    slope = taps * np.arange(len(taps) // 2, -len(taps) // 2, -1, dtype=np.float32)
    slope = -slope / np.float32((slope * slope / taps).sum())
    planes = colours.astype(np.float32)
    return convolve(planes, taps, slope), convolve(planes, slope, taps)


@kernel
def texture_bins(
    across: Float32[ndarray, "C H W"], down: Float32[ndarray, "C H W"]
) -> UInt8[ndarray, "C4 H W"]:
    """Which of the 2 · 10 bins of each axis a derivative falls in: 4 planes a channel.

    Eight orientations are four axes and two signs: 0 … 9 along the axis, 10 … 19 against it.
    """
    half = np.float32(np.sqrt(0.5))
    along = (across, (across + down) * half, down, (down - across) * half)
    strength = np.stack(along, axis=1)
    steps = np.minimum(np.abs(strength) * np.float32(1 / TEXTURE_STEP), TEXTURE_BINS - 1)
    bins = steps.astype(np.uint8) + np.where(strength < 0, TEXTURE_BINS, 0).astype(np.uint8)
    answer: ndarray = bins.reshape(-1, *across.shape[1:])
    return answer


@kernel
def count(
    labels: Int32[ndarray, "H W"],
    colours: UInt8[ndarray, "C H W"],
    textures: UInt8[ndarray, "C4 H W"],
) -> Segments:
    """The sizes, boxes, histograms and neighbours (of four) of segments 0 … n − 1."""
    n = int(labels.max()) + 1
    rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]]
    boxes = np.empty((n, 4), np.int32)
    for label in range(n):
        x, y = columns[labels == label], rows[labels == label]
        boxes[label] = x.min(), y.min(), x.max() + 1, y.max() + 1
    shades = (colours.astype(np.int32) * COLOUR_BINS) >> 8
    beside = ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
    pairs = np.concatenate([np.stack([a[a != b], b[a != b]], axis=1) for a, b in beside])
    return Segments(
        np.bincount(labels.ravel(), minlength=n).astype(np.int32),
        boxes,
        _histograms(labels, shades, COLOUR_BINS, n),
        _histograms(labels, textures, 2 * TEXTURE_BINS, n),
        np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int32),
    )


def _histograms(labels: ndarray, planes: ndarray, bins: int, n: int) -> ndarray:
    """How often each value 0 … bins − 1 of each plane occurs in each segment."""
    answer = np.zeros((n, len(planes), bins), np.int32)
    for c, plane in enumerate(planes):
        places = np.bincount((labels * bins + plane).ravel(), minlength=n * bins)
        answer[:, c] = places.reshape(n, bins)
    return answer.reshape(n, -1)
