"""What must hold for segments and their tree, whatever the image."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray

from sightline.detectors.selective_search import SelectiveSearch
from sightline.ops.appearance import count, derivatives, texture_bins
from sightline.ops.colour_spaces import SPACES, colours
from sightline.ops.grouping import SIMILARITIES, group
from sightline.ops.segments import segment, smooth, sorted_edges

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
images = sizes.flatmap(
    lambda size: st.one_of(
        arrays(np.uint8, (3, *size)),
        arrays(np.uint8, (3, *size), elements=st.sampled_from([0, 255])),
    )
)
similarities = st.sets(st.sampled_from(SIMILARITIES), min_size=1).map(lambda s: "".join(sorted(s)))


def connected(mask: ndarray) -> bool:
    """Whether pixels hang together by sides and corners."""
    todo, seen = [tuple(np.argwhere(mask)[0])], np.zeros_like(mask)
    while todo:
        y, x = todo.pop()
        if not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]):
            continue
        if mask[y, x] and not seen[y, x]:
            seen[y, x] = True
            todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return bool(seen.sum() == mask.sum())


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(SPACES), st.integers(1, 60), st.integers(1, 30))
def test_segments_cover_the_image_hang_together_and_are_large_enough(
    image: ndarray, space: str, k: int, least: int
) -> None:
    size = image.shape[1:]
    labels = segment(*sorted_edges(smooth(colours(image, space))), size, float(k), least)
    numbers, counts = np.unique(labels, return_counts=True)
    assert numbers.tolist() == list(range(len(numbers)))
    first = [int(np.flatnonzero(labels.ravel() == n)[0]) for n in numbers]
    assert first == sorted(first)
    assert len(numbers) == 1 or counts.min() >= least
    assert all(connected(labels == n) for n in numbers)


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(SPACES), similarities)
def test_a_hierarchy_is_a_tree(image: ndarray, space: str, similarity: str) -> None:
    looks = colours(image, space)
    labels = segment(*sorted_edges(smooth(looks)), image.shape[1:], 10.0, 4)
    parts = count(labels, looks, texture_bins(*derivatives(looks)))
    n, (height, width) = len(parts.size), image.shape[1:]
    assert parts.size.sum() == height * width
    assert (parts.colour.sum(axis=1) == len(looks) * parts.size).all()
    assert (parts.texture.sum(axis=1) == 4 * len(looks) * parts.size).all()
    tree = group(parts, similarity)
    assert tree.boxes.shape == (2 * n - 1, 4) and tree.children.shape == (2 * n - 1, 2)
    assert (tree.children[:n] == -1).all()
    merged = tree.children[n:]
    assert sorted(merged.ravel().tolist()) == list(range(2 * n - 2))  # every region but the root
    assert (merged < np.arange(n, 2 * n - 1)[:, None]).all()
    assert tree.boxes[-1].tolist() == [0, 0, width, height]
    for row in range(n, 2 * n - 1):
        a, b = tree.boxes[tree.children[row]]
        around = [*np.minimum(a, b)[:2], *np.maximum(a, b)[2:]]
        assert tree.boxes[row].tolist() == around


@settings(max_examples=25, deadline=None)
@given(images, st.integers(0, 2**32))
def test_every_box_lies_within_the_image_once(image: ndarray, seed: int) -> None:
    height, width = image.shape[1:]
    found = SelectiveSearch(seed=seed).search(torch.from_numpy(image))
    x1, y1, x2, y2 = found.unbind(1)
    assert (x1 >= 0).all() and (x1 < x2).all() and (x2 <= width).all()
    assert (y1 >= 0).all() and (y1 < y2).all() and (y2 <= height).all()
    assert len(found.unique(dim=0)) == len(found)
    assert [0, 0, width, height] in found.tolist()
    assert torch.equal(found, SelectiveSearch(seed=seed).search(torch.from_numpy(image)))
