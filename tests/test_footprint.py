"""What each verb holds at once, counted tensor by tensor."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline import pipeline
from sightline.footprint import footprint
from small_detectors import EVERY, photo, small

MEGABYTE = 250_000  # numbers of four bytes


class Counted(nn.Module):
    """Makes tensors of known size."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8 * MEGABYTE))

    def prepare(self, images: Sequence[Tensor]) -> Tensor:
        return torch.ones(MEGABYTE)

    def encode(self, batch: Tensor) -> Sequence[Tensor]:
        one = torch.ones(2 * MEGABYTE)
        two = one + 1
        del one
        three = two.view(2, -1)[:1]  # a view of the same memory
        three += 1
        return two, self.weight[:3], self.weight.detach()

    def propose(self, batch: Tensor, features: Sequence[Tensor]) -> Tensor:
        torch.ones(3 * MEGABYTE)
        return torch.ones(MEGABYTE)


def three_verbs(detector: Any, images: Sequence[Tensor]) -> None:
    batch = detector.prepare(images)
    features = detector.encode(batch)
    detector.propose(batch, features)


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was passed on counts, what was let go does not, and weights and views never do."""
    monkeypatch.setattr(pipeline, "run", three_verbs)
    held = footprint(Counted(), [photo(4, 4)])  # type: ignore[arg-type]
    megabytes = {verb: size / 4 / MEGABYTE for verb, size in held.items()}
    assert megabytes == {"prepare": 1, "encode": 1 + 2 + 2, "propose": 1 + 2 + 3}


@pytest.mark.parametrize("name", EVERY)
def test_every_model_is_counted_and_answers_as_ever(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, pixels, kept = small(name, longer=96, shorter=64), photo(64, 96), []
    run = pipeline.run
    monkeypatch.setattr(pipeline, "run", lambda *given: kept.append(run(*given)))
    held = footprint(detector, [pixels])
    alone = run(detector, [pixels])
    assert list(held) == list(alone.seconds)
    for counted, plain in zip(kept[0].detections, alone.detections, strict=True):
        assert torch.equal(counted.boxes, plain.boxes) and torch.equal(counted.scores, plain.scores)
    batch = alone.batch
    size = batch.pixels.numel() * batch.pixels.element_size()
    assert held["prepare"] >= size and min(held.values()) >= size
