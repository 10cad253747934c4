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
