"""Masks that are pasted when somebody looks: everyone who looks sees the same pixels."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline import memory
from sightline.batch import outputs
from sightline.evaluate import sharded
from sightline.evaluate.columns import runs_of
from sightline.explain.draw import draw
from sightline.masks import BoxMasks
from sightline.tiles import Tiling
from sightline.tiles import detect as detect_in_tiles
from sightline.types import Detections

SIZE = (60, 90)


def found(count: int = 4, size: tuple[int, int] = SIZE) -> tuple[Detections, Detections]:
    """The same detections twice: masks to be pasted, and pasted."""
    rng = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, 2, generator=rng) * torch.tensor([size[1], size[0]])
    low, high = corners.amin(dim=1), corners.amax(dim=1) + 3
    boxes = torch.cat([low, high], dim=1)
    cells = torch.rand(count, 28, 28, generator=rng)
    lazy = Detections(
        boxes=boxes,
        scores=torch.linspace(0.9, 0.4, count),
        labels=torch.arange(count) % 2,
        region=torch.arange(count),
        size=size,
        classes=("cat", "dog"),
        masks=BoxMasks(cells, boxes, size),
    )
    assert isinstance(lazy.masks, BoxMasks)
    return lazy, replace(lazy, masks=lazy.masks.bitmaps())


def test_subsets_dictionaries_and_messages() -> None:
    lazy, dense = found()
    assert isinstance(dense.masks, Tensor)
    part = lazy.above(0.5)
    assert isinstance(part.masks, BoxMasks) and len(part.masks) == len(part) == 3
    assert torch.equal(part.masks.bitmaps(), dense.above(0.5).masks)  # type: ignore[arg-type]
    assert torch.equal(lazy.to_dict()["masks"], dense.masks)
    (back,) = sharded.unpack(sharded.pack([lazy]))
    assert isinstance(back.masks, BoxMasks)
    assert torch.equal(back.masks.bitmaps(), dense.masks)
    assert (lazy.to_supervision().mask == dense.masks.numpy()).all()


def test_results_and_pictures() -> None:
    lazy, dense = found()
    assert lazy.masks is not None and dense.masks is not None
    assert outputs.row("a.png", lazy) == outputs.row("a.png", dense)
    assert json.dumps(outputs.row("a.png", lazy))
    codes = [runs_of(mask.numpy() for mask in one.masks) for one in (lazy, dense)]  # type: ignore[union-attr]
    assert codes[0] == codes[1]
    image = torch.full((3, *SIZE), 120, dtype=torch.uint8)
    pictures = [np.asarray(draw(image, one)) for one in (lazy, dense)]
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[0] != np.asarray(draw(image, replace(lazy, masks=None)))).any()


def test_tiles() -> None:
    def find(lazily: bool) -> Detections:
        def one(pixels: list[Tensor]) -> list[Detections]:
            return [found(3, (x.shape[1], x.shape[2]))[0 if lazily else 1] for x in pixels]

        return detect_in_tiles(one, torch.zeros(3, 130, 170, dtype=torch.uint8), Tiling(size=100))  # type: ignore[arg-type]

    lazy, dense = find(True), find(False)
    assert len(lazy) > 0 and lazy.masks is not None and dense.masks is not None
    assert (lazy.masks.numpy() == dense.masks.numpy()).all()


def test_a_hundred_masks_of_twelve_megapixels_take_little(tmp_path: Path) -> None:
    """Written as run lengths: less than 300 MB more than before, where pixels would be 1.2 GB."""
    if memory.used() is None or not memory.reset_peak():
        pytest.skip("this system does not tell a process how much memory it takes")
    lazy, _ = found(1, (3000, 4000))
    assert isinstance(lazy.masks, BoxMasks)
    rows = torch.zeros(100, dtype=torch.int64)
    many = lazy[rows]
    before = memory.used() or 0
    assert memory.reset_peak()
    answer = outputs.row("large.jpg", many)
    assert len(answer["detections"]) == 100 and answer["detections"][99]["mask"]["counts"]
    assert (memory.peak() or 0) - before < 300_000_000


def test_masks_may_be_looked_at_by_several_at_once() -> None:
    lazy, dense = found(6)
    answers: list[bool] = []

    def look() -> None:
        assert lazy.masks is not None and dense.masks is not None
        answers.append(bool((lazy.masks.numpy() == dense.masks.numpy()).all()))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 4
