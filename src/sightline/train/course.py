"""Where a run is, and how fast it goes."""

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """How far a run is; plain data, saved with the state.

    `recent`, `lowest` and `opening` are the last losses, their lowest mean and their first one, as
    `guard.climbs` keeps them. `marks` are those of `pace`, of another run where this one `repeats`.
    `fitted` says that a detector's own `fit` is done.
    """

    step: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    bad: int = 0
    skipped: int = 0
    finished: bool = False
    fitted: bool = False
    loss: float = 0.0
    rate: float = 0.0
    size: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    recent: list[float] = field(default_factory=list)
    lowest: float | None = None
    opening: float | None = None
    marks: list[list[int]] = field(default_factory=list)
    repeats: bool = False

    def note(self) -> str:
        """The best figure so far, for the progress bar."""
        return "" if self.best is None else f"best {self.best:.4f}"


class Meter:
    """Images a second, and the share of time spent waiting for data, since the last reading."""

    def __init__(self) -> None:
        self._images, self._seconds, self._waited = 0, 0.0, 0.0
        self._saved = time.monotonic()

    def count(self, images: int, seconds: float, waited: float) -> None:
        """Note one step."""
        self._images += images
        self._seconds += seconds
        self._waited += waited

    def read(self) -> dict[str, float]:
        """The figures since the last reading."""
        pace = self._images / self._seconds if self._seconds else 0.0
        row = {"images_per_second": round(pace, 2), "waiting": round(self._waited, 3)}
        self._images, self._seconds, self._waited = 0, 0.0, 0.0
        return row

    def saved(self) -> None:
        """Note that the state was saved now."""
        self._saved = time.monotonic()

    def since_save(self) -> float:
        """Seconds since that."""
        return time.monotonic() - self._saved
