"""Run a detector over a data set."""

from collections.abc import Callable, Iterator, Sequence

import torch

from sightline import images
from sightline.data.records import Dataset, Example
from sightline.detectors.top_down import TopDown, regions_of
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
    labelled: bool = False,
) -> list[Detections]:
    """The detections of every image, in the data set's order.

    Only one batch of images is in memory at a time; images of one size share a batch.
    `device` is where the detector is; `progress(done, total)` is called after each. With `labelled`
    a top-down detector poses the labelled boxes (crowds left out) instead of what its own person
    detector finds. Raises ImageError naming the file for an image that cannot be read, UsageError
    for `labelled` with another detector.
    """
    answers = stream(
        *(detector, dataset),
        batch_size=batch_size,
        device=device,
        progress=progress,
        labelled=labelled,
    )
    return list(answers)


def stream(
    detector: Detector,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    labelled: bool = False,
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
                if labelled:
                    found = pose_labelled(
                        detector, pictures, [dataset[i] for i in chunk], dataset.classes
                    )
                else:
                    found = detect(detector, pictures, batch_size)
                answers.update(zip(chunk, found, strict=True))
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


@torch.inference_mode()
def pose_labelled(
    detector: Detector, images: Sequence[Image], examples: Sequence[Example], names: Sequence[str]
) -> list[Detections]:
    """The poses that a top-down detector finds in the labelled boxes, whose scores are 1.

    `names` are the classes that the labels index. Raises UsageError (usage.people) for any other
    detector.
    """
    if not isinstance(detector, TopDown):
        raise UsageError(
            f"{type(detector).__name__} finds its objects itself: labelled boxes are for top-down "
            "poses",
            code="usage.people",
            hint="such as cpm",
        )
    label = names.index(detector.classes[0]) if detector.classes[0] in names else -1
    boxes = []
    for example in examples:
        objects = example.objects
        rows = (objects.labels == label) & ~objects.crowd
        boxes.append(torch.from_numpy(objects.boxes[rows]).float())
    batch = detector.prepare(images)
    regions = regions_of(boxes, [torch.ones(len(one)) for one in boxes], batch)
    scored = detector.classify(batch, (), regions)
    return detector.postprocess(batch, (), scored)
