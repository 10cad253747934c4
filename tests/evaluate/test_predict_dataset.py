"""Running a detector over a data set: order, batches, memory, faults, times."""

import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import Tensor

from sightline import images
from sightline.data.records import Dataset, Example, Objects
from sightline.errors import ImageError, UsageError
from sightline.evaluate import latency, measure, predict, stream
from sightline.pipeline import run
from sightline.types import Batch, Detections, Features, Frame, Regions, Scored


class Brightness:
    """Answers one box an image whose score is the mean brightness of that image."""

    classes = ("thing",)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, images: Sequence[Tensor]) -> Batch:
        self.batches.append(len(images))
        size = tuple(images[0].shape[1:])
        pixels = torch.stack([image.float() / 255 for image in images])
        return Batch(pixels, tuple(Frame(size, size) for _ in images))

    def encode(self, batch: Batch) -> Features:
        return (batch.pixels,)

    def propose(self, batch: Batch, features: Features) -> Regions:
        count = len(batch)
        boxes = torch.tensor([0.0, 0, 5, 5]).repeat(count, 1)
        return Regions(boxes, torch.arange(count), torch.zeros(count, dtype=torch.int64))

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        return Scored(regions, features[0].mean(dim=(1, 2, 3))[:, None], regions.boxes)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        zero = torch.zeros(1, dtype=torch.int64)
        return [
            Detections(scored.boxes[i : i + 1], scored.scores[i], zero, zero, frame.original,
                       self.classes)
            for i, frame in enumerate(batch.frames)
        ]  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Nine pictures of three sizes, mixed, each of its own brightness."""
    examples = []
    for number in range(9):
        size = [(20, 30), (30, 20), (24, 36)][number * number % 3 if number % 2 else 2]
        path = tmp_path / f"{number}.png"
        Picture.fromarray(np.full((*size, 3), 20 * number, np.uint8)).save(path)
        examples.append(Example(path, number, size, Objects.of([], [])))
    return Dataset(tuple(examples), ("thing",), (1,), None, "nine", tmp_path, None)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_answers_come_in_the_data_sets_order(dataset: Dataset, batch_size: int) -> None:
    detector = Brightness()
    calls: list[tuple[int, int]] = []
    found = predict(
        detector, dataset, batch_size=batch_size, progress=lambda *call: calls.append(call)
    )
    assert [round(d.scores.item() * 255) for d in found] == [20 * i for i in range(9)]
    assert [d.size for d in found] == [e.size for e in dataset]
    assert max(detector.batches) <= batch_size
    assert batch_size == 1 or max(detector.batches) > 1
    assert calls[-1] == (9, 9) and calls == sorted(calls)


def test_images_are_read_when_their_batch_comes(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: "weakref.WeakSet[Tensor]" = weakref.WeakSet()
    most = 0
    read = images.read

    def counted(path: Path) -> Tensor:
        nonlocal most
        pixels = read(path)
        alive.add(pixels)
        most = max(most, len(alive))
        return pixels

    monkeypatch.setattr(images, "read", counted)
    walk = stream(Brightness(), dataset, batch_size=1)
    next(walk)
    assert most == 1
    list(walk)
    assert most <= 2


def test_a_bad_image_is_named(dataset: Dataset) -> None:
    dataset[4].path.write_bytes(dataset[4].path.read_bytes()[:40])
    with pytest.raises(ImageError, match=r"4\.png"):
        predict(Brightness(), dataset)
    dataset[4].path.unlink()
    with pytest.raises(ImageError, match=r"4\.png"):
        predict(Brightness(), dataset, batch_size=3)


def test_labels_of_another_size_do_no_harm(dataset: Dataset) -> None:
    lying = replace(dataset, examples=tuple(replace(e, size=(20, 30)) for e in dataset.examples))
    found = predict(Brightness(), lying, batch_size=4)
    assert [d.size for d in found] == [e.size for e in dataset]


def test_a_batch_holds_at_least_one_image(dataset: Dataset) -> None:
    with pytest.raises(UsageError):
        predict(Brightness(), dataset, batch_size=0)
    empty = replace(dataset, examples=())
    assert predict(Brightness(), empty) == []


def test_latency_is_the_median_over_images() -> None:
    pixels = torch.zeros(3, 8, 9, dtype=torch.uint8)
    one, two = run(Brightness(), [pixels]), run(Brightness(), [pixels, pixels])
    slow = replace(one, seconds={"prepare": 9.0, "encode": 1.0})
    fast = replace(two, seconds={"prepare": 2.0, "encode": 6.0})
    times = latency(iter([slow, fast]))
    assert times.seconds == {"prepare": 1.0, "encode": 3.0}
    assert times.total == 4.0 and times.images == 3
    assert times.to_json() == {
        "prepare_ms": 1000.0, "encode_ms": 3000.0, "total_ms": 4000.0, "images": 3
    }  # fmt: skip
    assert "median of 3 images" in times.summary()
    with pytest.raises(UsageError):
        latency([])


def test_measuring_leaves_the_first_images_out() -> None:
    detector = Brightness()
    pixels = [torch.zeros(3, 8, 9, dtype=torch.uint8)] * 5
    times = measure(detector, iter(pixels), warmup=2)
    assert times.images == 3 and len(detector.batches) == 5
    assert set(times.seconds) == {"prepare", "encode", "propose", "classify", "postprocess"}
    assert 0 < times.total < 1
