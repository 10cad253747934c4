"""Masks that are pasted when somebody looks: everyone who looks sees the same pixels."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sightline import memory
from sightline.batch import outputs
from sightline.data import masks
from sightline.data.segments import parse_segment
from sightline.errors import UsageError
from sightline.evaluate import sharded
from sightline.evaluate.columns import runs_of
from sightline.explain.draw import draw
from sightline.masks import BoxMasks, JoinedMasks
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


def test_each_form_is_of_the_same_pixels() -> None:
    for one in found():
        pixels = one.bitmaps()
        assert pixels.shape == (4, *SIZE) and pixels.any()
        for mask, runs, rings in zip(pixels, one.run_lengths(), one.polygons(), strict=True):
            assert runs["size"] == list(SIZE)
            assert (masks.decode(masks.from_text(runs["counts"], SIZE)) == mask.numpy()).all()
            segment = parse_segment(rings, SIZE)
            assert segment is not None and json.dumps(rings)
            assert (masks.rasterise(segment, SIZE) == mask.numpy()).all()


def test_plain_data_have_masks_where_they_are_asked_for() -> None:
    lazy, dense = found()
    assert all("mask" not in row for row in lazy.to_json())
    for one in (lazy, dense):
        assert [row["mask"] for row in one.to_json("rle")] == dense.run_lengths()
        assert [row["mask"] for row in one.to_json(masks="polygons")] == dense.polygons()
    for bad, of in (("bitmaps", lazy), ("rle", replace(lazy, masks=None))):
        with pytest.raises(UsageError) as caught:
            of.to_json(bad)
        assert caught.value.hint


def test_without_masks_no_form_is_invented() -> None:
    bare = replace(found()[0], masks=None)
    for form in (bare.bitmaps, bare.run_lengths, bare.polygons):
        with pytest.raises(UsageError) as caught:
            form()
        assert caught.value.code == "usage.no_masks" and caught.value.hint


def test_joined_masks_are_the_pixels_of_their_parts() -> None:
    """What the views' pixels give when they are laid over each other, one by one and in parts."""
    views = [found(3)[0].masks, found(4, (50, 40))[1].masks]
    assert isinstance(views[0], BoxMasks) and isinstance(views[1], Tensor)
    parts = (((0, 2), (1, 0)), ((1, 3),), ((0, 0), (1, 1), (1, 2)))
    joined = JoinedMasks((views[0], views[1]), ((0, 0), (50, 10)), parts, SIZE)
    expected = torch.zeros(3, *SIZE, dtype=torch.bool)
    for i, members in enumerate(parts):
        for view, row in members:
            if view == 0:
                expected[i] |= views[0][row]
            else:
                expected[i, 10:, 50:] |= views[1][row]
    assert expected.any(dim=(1, 2)).all() and joined.shape == expected.shape
    assert torch.equal(joined.bitmaps(), expected)
    assert torch.equal(torch.stack(list(joined)), expected)
    for rows in (torch.tensor([2, 0]), torch.tensor([True, False, True]), [1], slice(1, None)):
        assert torch.equal(torch.from_numpy(joined[rows].cpu().detach().numpy()), expected[rows])
    assert torch.equal(joined[-1], expected[-1])


@pytest.fixture
def many() -> Detections:
    """A hundred masks of 12 megapixels, not pasted: as pixels they would be 1.2 GB."""
    lazy, _ = found(1, (3000, 4000))
    return lazy[torch.zeros(100, dtype=torch.int64)]


@contextmanager
def little_memory() -> Iterator[None]:
    """Less than 300 MB more than before, at any time within."""
    if memory.used() is None or not memory.reset_peak():
        pytest.skip("this system does not tell a process how much memory it takes")
    before = memory.used() or 0
    assert memory.reset_peak()
    yield
    assert (memory.peak() or 0) - before < 300_000_000


def test_a_hundred_masks_of_twelve_megapixels_take_little(many: Detections) -> None:
    with little_memory():
        answer = outputs.row("large.jpg", many)
        assert len(answer["detections"]) == 100 and answer["detections"][99]["mask"]["counts"]


def test_outlines_of_a_hundred_large_masks_take_little(many: Detections) -> None:
    smooth = torch.linspace(-1, 1, 28)
    disc = (1 - smooth[:, None] ** 2 - smooth[None] ** 2).clamp(0)
    assert isinstance(many.masks, BoxMasks)
    round_ones = replace(many, masks=replace(many.masks, cells=disc.expand(100, 28, 28)))
    with little_memory():
        answer = round_ones.polygons()
        assert len(answer) == 100 and all(len(rings) == 1 for rings in answer)


def test_tiles_of_a_large_image_take_little() -> None:
    """Twenty masks a view, as large as their views: joined, counted and written, one at a time."""
    image = torch.zeros(3, 3000, 4000, dtype=torch.uint8)

    def find(pixels: list[Tensor]) -> list[Detections]:
        answers = []
        for view in pixels:
            size = (view.shape[1], view.shape[2])
            full = torch.tensor([[0.0, 0.0, size[1], size[0]]]).expand(20, 4)
            answers.append(
                Detections(
                    boxes=full,
                    scores=torch.linspace(0.9, 0.4, 20),
                    labels=torch.arange(20),
                    region=torch.arange(20),
                    size=size,
                    classes=tuple(map(str, range(20))),
                    masks=BoxMasks(torch.ones(20, 28, 28), full, size),
                )
            )
        return answers

    with little_memory():
        joined = detect_in_tiles(find, image, Tiling(size=1600))
        runs = joined.run_lengths()
    assert len(runs) == len(joined) >= 20 and joined.size == (3000, 4000)
    assert isinstance(joined.masks, JoinedMasks)


def test_a_picture_of_a_hundred_large_masks_takes_little(many: Detections) -> None:
    image = torch.full((3, 3000, 4000), 90, dtype=torch.uint8)
    with little_memory():
        picture = draw(image, many)
    assert picture.size == (4000, 3000)


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
