"""Masks against pycocotools: the same pixels, the same text."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from sightline.data import masks
from sightline.data.records import Polygons
from sightline.masks import BoxMasks
from sightline.types import Detections

coordinate = st.floats(-20, 60, allow_nan=False, width=32)


def theirs(rings: list[list[float]], size: tuple[int, int]) -> np.ndarray:
    return coco.decode(coco.merge(coco.frPyObjects(rings, *size))).astype(bool)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=12))
def test_rings_fill_the_same_pixels(points: list[tuple[float, float]]) -> None:
    ring = np.array(points, np.float64)
    expected = theirs([ring.ravel().tolist()], (23, 37))
    assert (masks.fill_ring(ring, (23, 37)) == expected).all()
    assert (masks.fill_ring.reference(ring, (23, 37)) == expected).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_text_is_the_same(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((11, 17)) < share
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    runs = masks.encode(mask)
    assert masks.to_text(runs) == expected
    assert (masks.decode(masks.from_text(expected, (11, 17))) == mask).all()


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_masks_are_the_same(shared: Path, split: str) -> None:
    labels = json.loads((shared / f"data/coco/annotations/masks_{split}.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in labels["images"]}
    compared = 0
    for row in labels["annotations"]:
        size = sizes[row["image_id"]]
        segment = row["segmentation"]
        if isinstance(segment, dict):
            ours = masks.decode(masks.from_counts(segment["counts"], size))
            expected = coco.decode(coco.frPyObjects(segment, *size)).astype(bool)
        else:
            rings = tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in segment)
            ours = masks.rasterise(Polygons(rings), size)
            expected = theirs(segment, size)
        assert (ours == expected).all(), row["id"]
        compared += 1
    assert compared == {"train": 2437, "val": 553}[split]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(4, 28))
def test_what_was_found_reads_the_same_there(seed: int, share: float, cells: int) -> None:
    """Run lengths and polygons of masks that nobody pasted yet."""
    random = torch.Generator().manual_seed(seed)
    size = (23, 37)
    boxes = torch.tensor([[-3.0, 2.5, 20.2, 18.0], [10.0, 1.0, 36.5, 30.0], [5.0, 5.0, 5.2, 5.2]])
    values = (torch.rand(3, cells, 5, generator=random) + share - 0.5).clamp(0, 1)
    found = Detections(
        boxes=boxes,
        scores=torch.tensor([0.9, 0.8, 0.7]),
        labels=torch.zeros(3, dtype=torch.int64),
        region=torch.arange(3),
        size=size,
        classes=("cat",),
        masks=BoxMasks(values, boxes, size),
    )
    pixels = found.bitmaps().numpy()
    for mask, runs, rings in zip(pixels, found.run_lengths(), found.polygons(), strict=True):
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert runs == {"size": list(size), "counts": expected["counts"].decode()}
        assert (theirs(rings, size) == mask).all() if rings else not mask.any()
