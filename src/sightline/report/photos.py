"""The pictures of the page: chosen evenly, made small, with what is truly in them."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from sightline.data.records import Dataset, Example

LONGER = 640
"""Pixels of a picture's longer side on the page."""

QUALITIES = (78, 66, 54, 42, 30)
"""Of JPEG: the first one at which a picture is as small as it has to be."""

TOGETHER = 1_400_000
"""Bytes of all pictures of a page as JPEG, where they can be made so small."""


def chosen(dataset: Dataset, most: int) -> list[int]:
    """Rows of at most `most` images, evenly taken; those with objects where there are enough."""
    rows = [i for i, example in enumerate(dataset) if len(example.objects)]
    if len(rows) < most:
        rows = list(range(len(dataset)))
    if len(rows) <= most:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()]


def photo(pixels: Tensor, dataset: Dataset, example: Example, count: int) -> dict[str, Any]:
    """An image for the page, one of `count`: a JPEG of at most `LONGER` pixels, its name, size and
    objects.
    """
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    picture.thumbnail((LONGER, LONGER), Image.Resampling.LANCZOS)
    objects, encoded = example.objects, b""
    for quality in QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        encoded = stream.getvalue()
        if len(encoded) <= TOGETHER // count:
            break
    return {
        "name": dataset.file_name(example),
        "size": list(example.size),
        "jpeg": base64.b64encode(encoded).decode("ascii"),
        "truth": [round(10 * value) for value in objects.boxes.flatten().tolist()],
        "labels": objects.labels.tolist(),
        "crowd": objects.crowd.astype(int).tolist(),
    }
