"""One architecture: what a detector is, and how its stages follow each other.

list[image] --prepare--> Batch --encode--> features --propose--> Regions
            --classify--> Scored --postprocess--> list[Detections]
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.types import Batch, Detections, Features, Regions, Scored

Image = UInt8[Tensor, "3 _ _"]
"""An upright RGB image."""


@runtime_checkable
class Detector(Protocol):
    """What every method of the catalogue is: four questions, answered in turn.

    `classes` are the names that labels index. Each verb takes what the verbs before it gave.
    Trainable detectors have `loss(batch, targets)` beside them, or their own `fit`. Those whose
    scores are margins and no probabilities say so with `scores_are_margins = True`.
    """

    classes: tuple[str, ...]

    def prepare(self, images: Sequence[Image]) -> Batch:
        """Resize, normalise and pad images of one size."""
        ...

    def encode(self, batch: Batch) -> Features:
        """What does the image look like to me?"""
        ...

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Where should I look?"""
        ...

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """What is there?"""
        ...

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """Which answers are the same object?"""
        ...


@dataclass(frozen=True)
class Trace:
    """All that passed between the stages for one batch; `detections` is the answer.

    `seconds` holds the wall time of each verb; `held` the most bytes that it held at once, where
    that was asked for (`footprint`).
    """

    batch: Batch
    features: Features
    regions: Regions
    scored: Scored
    detections: list[Detections]
    seconds: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)


@torch.inference_mode()
def run(detector: Detector, images: Sequence[Image]) -> Trace:
    """Carry images of one size through the five verbs and keep every value.

    Nothing watches a detector: the trace *is* the data flow, and `detect` is its last field.
    """
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    batch = detector.prepare(images)
    mark()
    features = detector.encode(batch)
    mark()
    regions = detector.propose(batch, features)
    mark()
    scored = detector.classify(batch, features, regions)
    mark()
    detections = detector.postprocess(batch, features, scored)
    mark()
    verbs = ("prepare", "encode", "propose", "classify", "postprocess")
    seconds = {v: b - a for v, a, b in zip(verbs, marks[:-1], marks[1:], strict=True)}
    return Trace(batch, features, regions, scored, detections, seconds)


def detect(detector: Detector, images: Sequence[Image], batch_size: int = 1) -> list[Detections]:
    """The answers for any images, in their order.

    Only images of the same size share a batch, so that no image is padded because of its
    neighbours and the answer for one never depends on the others.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault((image.shape[1], image.shape[2]), []).append(index)
    answers: dict[int, Detections] = {}
    for members in groups.values():
        for start in range(0, len(members), batch_size):
            chunk = members[start : start + batch_size]
            found = run(detector, [images[i] for i in chunk]).detections
            answers.update(zip(chunk, found, strict=True))
    return [answers[i] for i in range(len(images))]
