"""What every suppression demands of its arguments, asked by definitions and kernels alike."""

from torch import Tensor

from sightline.errors import UsageError


def require_fraction(name: str, value: float) -> None:
    """Raise UsageError (usage.out_of_range) unless 0 ≤ `value` ≤ 1."""
    if not 0.0 <= value <= 1.0:  # NaN is not in the range either
        raise UsageError(f"{name} is {value}, not in [0, 1]", code="usage.out_of_range")


def require_limit(limit: int | None) -> None:
    """Raise UsageError (usage.out_of_range) for a negative number of answers."""
    if limit is not None and limit < 0:
        raise UsageError(f"limit is {limit}, not 0 or more", code="usage.out_of_range")


def require_rows(boxes: Tensor, *columns: Tensor) -> None:
    """Raise UsageError (usage.shape) unless `boxes` is (R, 4) and every column (R,).

    A kernel would otherwise read memory that is not its own.
    """
    rows = boxes.shape[0] if boxes.ndim == 2 and boxes.shape[1] == 4 else None
    if rows is None or any(column.shape != (rows,) for column in columns):
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
    if len(image) and not 0 <= int(image.min()) <= int(image.max()) < len(features):
        raise UsageError(
            f"images {int(image.min())} … {int(image.max())} of {len(features)} are asked for",
            code="usage.shape",
        )
    if not 0 < scale < float("inf") or sampling < 0:
        raise UsageError(
            f"scale {scale} must be more than 0, sampling {sampling} at least 0",
            code="usage.out_of_range",
        )
    if not bool((boxes.abs() * scale <= LONGEST).all()):  # NaN is not either
        row = int((~(boxes.abs() * scale <= LONGEST).all(dim=1)).nonzero()[0, 0])
        raise UsageError(
            f"region {row} is {boxes[row].tolist()}: not finite, or far too large",
            code="usage.out_of_range",
        )
