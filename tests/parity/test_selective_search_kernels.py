"""Every kernel of Selective Search gives the bytes of its definition, on images of all kinds."""

from dataclasses import fields

import numpy as np
import pytest
from numpy import ndarray
from skimage import data

from sightline.errors import UsageError
from sightline.ops.appearance import Segments, count, derivatives, texture_bins
from sightline.ops.colour_spaces import SPACES, colours
from sightline.ops.grouping import group
from sightline.ops.segments import convolve, gaussian, segment, smooth, sorted_edges

SIMILARITIES = ("ctsf", "tsf", "ct", "f", "s")


def cat() -> ndarray:
    return np.ascontiguousarray(data.chelsea()[60:110, 80:150].transpose(2, 0, 1))


def noise(height: int, width: int, levels: int = 256) -> ndarray:
    rng = np.random.default_rng(height * width)
    return rng.integers(0, levels, (3, height, width), dtype=np.uint8)


IMAGES = {
    "a cat": cat(),
    "noise": noise(31, 24),
    "ties": noise(30, 21, 2) * np.uint8(255),
    "one colour": np.full((3, 9, 8), 77, np.uint8),
    "black": np.zeros((3, 5, 6), np.uint8),
    "white": np.full((3, 4, 7), 255, np.uint8),
    "one row": noise(1, 40),
    "one column": noise(33, 1),
    "one pixel": noise(1, 1),
    "two pixels": noise(1, 2),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("space", SPACES)
def test_every_step_has_the_bytes_of_its_definition(image: ndarray, space: str) -> None:
    looks = colours(image, space)
    assert np.array_equal(looks, colours.reference(image, space))
    taps, planes = gaussian(0.8), looks.astype(np.float32)
    smoothed = smooth(looks)
    assert np.array_equal(smoothed, convolve.reference(planes, taps, taps))
    edges, weights = sorted_edges(smoothed)
    for mine, wanted in zip((edges, weights), sorted_edges.reference(smoothed), strict=True):
        assert np.array_equal(mine, wanted)
    slopes = derivatives(looks)
    textures = texture_bins(*slopes)
    assert np.array_equal(textures, texture_bins.reference(*slopes))
    for k, least in ((50.0, 50), (3.0, 1), (20.0, 7)):
        labels = segment(edges, weights, image.shape[1:], k, least)
        wanted = segment.reference(edges, weights, image.shape[1:], k, least)
        assert labels.dtype == wanted.dtype and np.array_equal(labels, wanted)
    parts = count(labels, looks, textures)
    same(parts, count.reference(labels, looks, textures))
    for similarity in SIMILARITIES:
        tree, true = group(parts, similarity), group.reference(parts, similarity)
        assert np.array_equal(tree.boxes, true.boxes)
        assert np.array_equal(tree.children, true.children)


def same(mine: Segments, wanted: Segments) -> None:
    for field in fields(Segments):
        a, b = getattr(mine, field.name), getattr(wanted, field.name)
        assert a.dtype == b.dtype and np.array_equal(a, b), field.name


@pytest.mark.slow
def test_a_region_with_very_many_neighbours() -> None:
    """A sea and two hundred islands: the heap and the chains outgrow their first room."""
    labels = np.zeros((41, 21), np.int32)
    labels[1::2, 1::2] = np.arange(1, 201).reshape(20, 10)
    rng = np.random.default_rng(0)
    looks = rng.integers(0, 256, (3, 41, 21), dtype=np.uint8)
    parts = count(labels, looks, texture_bins(*derivatives(looks)))
    for similarity in ("ctsf", "s"):
        tree, true = group(parts, similarity), group.reference(parts, similarity)
        assert np.array_equal(tree.children, true.children)
        assert np.array_equal(tree.boxes, true.boxes)


def test_colours_beside_scikit_image() -> None:
    """The standard conversions, to the rounding of a byte: HSV, and CIE L*a*b*."""
    from skimage.color import rgb2hsv, rgb2lab

    image = noise(64, 65)
    picture = image.transpose(1, 2, 0)
    hsv = rgb2hsv(picture) * [256, 255, 255]
    far = np.abs(colours(image, "hsv").transpose(1, 2, 0) - hsv)
    far[..., 0] = np.minimum(far[..., 0], 256 - far[..., 0])
    assert far.max() < 0.502
    assert np.array_equal(colours(image, "h")[0], colours(image, "hsv")[0])
    lab = rgb2lab(picture) * [2.55, 1.275, 1.275] + [0, 128, 128]
    assert np.abs(colours(image, "lab").transpose(1, 2, 0) - np.clip(lab, 0, 255)).max() < 1


@pytest.mark.parametrize("which", ["reference", "kernel"])
def test_names_that_are_none(which: str) -> None:
    image = noise(4, 5)
    for call, arguments, code in (
        (colours, (image, "cmyk"), "usage.colour_space"),
        (group, (count(np.zeros((4, 5), np.int32), image, np.zeros_like(image)), "x"), None),
        (group, (count(np.zeros((4, 5), np.int32), image, np.zeros_like(image)), ""), None),
        (group, (count(np.zeros((4, 5), np.int32), image, np.zeros_like(image)), "ss"), None),
    ):
        run = call.reference if which == "reference" else call
        with pytest.raises(UsageError) as caught:
            run(*arguments)
        assert caught.value.code == (code or "usage.similarity")
