"""The widths and heights of a data set's boxes, as a network sees them."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sightline.data.records import Dataset

Fit = Literal["letterbox", "stretch"]


def sides(dataset: Dataset, size: int, fit: Fit = "letterbox") -> Float[ndarray, "N 2"]:
    """Width and height of every box in pixels, its image scaled to `size`; crowds are left out.

    "letterbox" scales the longer side of an image to `size`, "stretch" both.
    """
    rows = []
    for example in dataset:
        boxes = example.objects.boxes[~example.objects.crowd].astype(np.float64)
        height, width = example.size
        limits = (width, height) if fit == "stretch" else (max(example.size),) * 2
        rows.append((boxes[:, 2:] - boxes[:, :2]) * size / np.array(limits, np.float64))
    return np.concatenate(rows) if rows else np.zeros((0, 2))
