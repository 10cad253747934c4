"""Where the time goes: the latency of each stage, as the median over images."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sightline.errors import UsageError
from sightline.pipeline import Detector, Image, Trace, run


@dataclass(frozen=True)
class Latency:
    """Median wall seconds of one image in each stage; `total` is the median of their sums."""

    seconds: Mapping[str, float]
    total: float
    images: int

    def to_json(self) -> dict[str, float | int]:
        """Plain data: milliseconds by stage, `total`, and the number of images."""
        stages = {f"{name}_ms": 1000 * value for name, value in self.seconds.items()}
        return {**stages, "total_ms": 1000 * self.total, "images": self.images}

    def summary(self) -> str:
        """A table for people, in milliseconds an image."""
        rows = [*self.seconds.items(), ("total", self.total)]
        lines = [f"{name:12}{1000 * value:>9.1f} ms" for name, value in rows]
        return "\n".join([*lines, f"median of {self.images} images"])


def latency(traces: Iterable[Trace]) -> Latency:
    """The latency that traces recorded; a batch's time is shared evenly by its images.

    Traces may come from a generator; only their times are kept. Raises UsageError without any.
    """
    rows: list[dict[str, float]] = []
    for trace in traces:
        count = len(trace.batch)
        rows += [{name: value / count for name, value in trace.seconds.items()}] * count
    if not rows:
        raise UsageError("there is no trace to take times from", code="usage.empty")
    return Latency(
        {name: statistics.median(row[name] for row in rows) for name in rows[0]},
        statistics.median(sum(row.values()) for row in rows),
        len(rows),
    )


def measure(detector: Detector, images: Iterable[Image], warmup: int = 2) -> Latency:
    """The latency of a detector on images one at a time, the first `warmup` ones not counted."""
    traces = (run(detector, [image]) for image in images)
    for _, _ in zip(range(warmup), traces, strict=False):
        pass
    return latency(traces)
