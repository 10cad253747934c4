"""What every suppression demands of its arguments, asked by definitions and kernels alike."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightline.errors import UsageError

Numbers = Tensor | NDArray[Any]
"""Both have a shape; an array tells it in a fraction of the time."""


def require_fraction(name: str, value: float) -> None:
    """Raise UsageError (usage.out_of_range) unless 0 ≤ `value` ≤ 1."""
    if not 0.0 <= value <= 1.0:  # NaN is not in the range either
        raise UsageError(f"{name} is {value}, not in [0, 1]", code="usage.out_of_range")


def require_limit(limit: int | None) -> None:
    """Raise UsageError (usage.out_of_range) for a negative number of answers."""
    if limit is not None and limit < 0:
        raise UsageError(f"limit is {limit}, not 0 or more", code="usage.out_of_range")


def require_rows(boxes: Numbers, *columns: Numbers) -> None:
    """Raise UsageError (usage.shape) unless `boxes` is (R, 4) and every column (R,).

    A kernel would otherwise read memory that is not its own.
    """
    rows = boxes.shape
    wrong = len(rows) != 2 or rows[1] != 4
    for column in columns:
        wrong = wrong or column.shape != rows[:1]
    if wrong:
        shapes = ", ".join(str(tuple(value.shape)) for value in (boxes, *columns))
        raise UsageError(
            f"(R, 4) boxes and (R,) columns are wanted, not {shapes}", code="usage.shape"
        )


LONGEST = 2.0**20
"""A region may be so many cells long: more would take for ever, and is a fault."""


def require_regions(
    features: Tensor,
    boxes: Tensor,
    image: Tensor,
    size: tuple[int, int],
    scale: float,
    sampling: int = 1,
) -> None:
    """Raise UsageError unless regions can be read from maps: (B, C, H, W) with cells, (R, 4), (R,).

    Codes usage.shape (shapes, sizes, images that are not there) and usage.out_of_range (`scale`,
    `sampling`, coordinates).
    """
    require_rows(boxes, image)
    if features.ndim != 4 or 0 in features.shape[2:] or min(size) < 1:
        raise UsageError(
            f"(B, C, H, W) maps with cells and at least 1 × 1 bins are wanted, not "
            f"{tuple(features.shape)} and {size[0]} × {size[1]}",
            code="usage.shape",
        )
    if not 0 < scale < float("inf") or sampling < 0:
        raise UsageError(
            f"scale {scale} must be more than 0, sampling {sampling} at least 0",
            code="usage.out_of_range",
        )
    if len(image) == 0:
        return
    near = boxes.abs() * scale <= LONGEST  # NaN is not either
    # one question: a GPU would be waited for at each
    first, last, sound = torch.stack([*image.aminmax(), near.all().to(image)]).tolist()
    if not 0 <= first <= last < len(features):
        raise UsageError(
            f"images {first} … {last} of {len(features)} are asked for", code="usage.shape"
        )
    if not sound:
        row = int((~near.all(dim=1)).nonzero()[0, 0])
        raise UsageError(
            f"region {row} is {boxes[row].tolist()}: not finite, or far too large",
            code="usage.out_of_range",
        )


def require_maps(maps: Numbers, threshold: float, reach: int) -> None:
    """Raise UsageError unless `maps` are (B, P, h, w) with cells, `threshold` is finite and `reach`
    at least 1 (usage.shape, usage.out_of_range).
    """
    if maps.ndim != 4 or 0 in maps.shape[2:]:
        raise UsageError(
            f"(B, P, h, w) maps with cells are wanted, not {tuple(maps.shape)}", code="usage.shape"
        )
    if not -float("inf") < threshold < float("inf") or reach < 1:
        raise UsageError(
            f"threshold {threshold} must be finite, reach {reach} at least 1",
            code="usage.out_of_range",
        )


def require_limb_shapes(
    maps: Numbers, boxes: Numbers, image: Numbers, part: Numbers, limbs: Numbers, channels: int
) -> None:
    """Raise UsageError (usage.shape) unless `maps` (B, C, h, w) have `channels` for each of the
    (L, 2) limbs, and boxes are (N, 4) with an image and a part each.
    """
    right = maps.ndim == 4 and 0 not in maps.shape[2:] and limbs.ndim == 2 and limbs.shape[1] == 2
    if not right or maps.shape[1] != channels * len(limbs):
        raise UsageError(
            f"{channels} channels a limb are wanted, not maps of {tuple(maps.shape)} for limbs of "
            f"{tuple(limbs.shape)}",
            code="usage.shape",
        )
    require_rows(boxes, image, part)


def require_limb_values(
    maps: Tensor, boxes: Tensor, image: Tensor, part: Tensor, limbs: Tensor
) -> None:
    """Raise UsageError unless boxes are of images that are there, and finite, and kinds of parts
    are counted from 0 (usage.shape, usage.out_of_range).
    """
    images = image.cpu().numpy()
    if len(images) and not 0 <= images.min() <= images.max() < len(maps):
        raise UsageError(
            f"images {images.min()} … {images.max()} of {len(maps)} are asked for",
            code="usage.shape",
        )
    for name, kinds in (("part", part), ("limb's end", limbs)):
        if kinds.numel() and int(kinds.min()) < 0:
            raise UsageError(f"a {name} is of kind {int(kinds.min())}", code="usage.shape")
    if not np.isfinite(boxes.detach().cpu().numpy()).all():
        raise UsageError("a part's place is not finite", code="usage.out_of_range")
