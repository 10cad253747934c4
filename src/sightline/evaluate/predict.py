"""Run a detector over a data set."""

from collections.abc import Callable, Iterator

import torch

from sightline import images
from sightline.data.records import Dataset, Example
from sightline.errors import ImageError, UsageError
from sightline.pipeline import Detector, Image, detect
from sightline.types import Detections

WINDOW = 32
"""Same-size images are looked for among the next `WINDOW` × batch size images."""


def predict(
    detector: Detector,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Detections]:
    """The detections of every image, in the data set's order.

    Only one batch of images is in memory at a time; images of one size share a batch.
    `device` is where the detector is; `progress(done, total)` is called after each. Raises
    ImageError naming the file for an image that cannot be read.
    """
    answers = stream(detector, dataset, batch_size=batch_size, device=device, progress=progress)
    return list(answers)


def stream(
    detector: Detector,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Detections]:
    """`predict`, one image's answer at a time: dense masks of all images need not fit in memory."""
    if batch_size < 1:
        raise UsageError(f"a batch of {batch_size} images", code="usage.value")
    total, done = len(dataset), 0
    step = batch_size if batch_size == 1 else WINDOW * batch_size
    for start in range(0, total, step):
        window = range(start, min(start + step, total))
        sizes: dict[tuple[int, int], list[int]] = {}
        for i in window:
            sizes.setdefault(dataset[i].size, []).append(i)
        answers: dict[int, Detections] = {}
        for members in sizes.values():
            for first in range(0, len(members), batch_size):
                chunk = members[first : first + batch_size]
                pictures = [_read(dataset[i]).to(device) for i in chunk]
                answers.update(zip(chunk, detect(detector, pictures, batch_size), strict=True))
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        yield from (answers[i] for i in window)


def _read(example: Example) -> Image:
    try:
        return images.read(example.path)
    except ImageError as error:
        if error.path is None:
            error.path = str(example.path)
        raise
