"""What is known of one model after it was compared: figures that the seed decides, and times."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR100")
"""COCO's figures that the tables show."""


@dataclass(frozen=True)
class Row:
    """What a model reached on the test images: the same again for the same weights.

    `intervals` hold 95 % of the resamples of AP, AP50 and AP75, `samples` the APs themselves;
    `curves` are precision at 101 recalls, by IoU and class; `regions` are looked at in an image on
    average; `lost` tells how far the objects came. `steps` is None where nothing was learnt by
    steps. A row that `failed` says why, and has no figures.
    """

    name: str
    model: str
    start: str = ""
    steps: int | None = None
    parameters: int = 0
    regions: float = 0.0
    figures: Mapping[str, float | None] = field(default_factory=dict)
    per_class: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    samples: tuple[float | None, ...] = ()
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    failed: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Row":
        """From plain data; TypeError for what is none."""
        known = dict(value)
        known["samples"] = tuple(known.get("samples", ()))
        known["intervals"] = {
            key: None if pair is None else (pair[0], pair[1])
            for key, pair in known.get("intervals", {}).items()
        }
        return cls(**known)


@dataclass(frozen=True)
class Times:
    """What a model took: never the same twice.

    `training` in seconds, None where it was not trained here and its checkpoint does not tell;
    `milliseconds` the median CPU time of one image on one thread, `stages` the wall time of each
    verb; `throughput` images a second on all threads, in batches where sizes allow; `memory` the
    peak of a fresh process in bytes, None where the system does not tell.
    """

    training: float | None
    milliseconds: float
    stages: Mapping[str, float]
    throughput: float
    memory: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)
