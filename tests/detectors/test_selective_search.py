"""Selective Search: a hierarchy worked out by hand, its order, strange images, and real objects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray
from skimage import data
from torch import Tensor

import sightline
from sightline import catalogue, pipeline
from sightline.data import open_dataset
from sightline.detectors.selective_search import (
    Hierarchies,
    SelectiveSearch,
    selective_search,
)
from sightline.detectors.strategies import FAST, QUALITY, Order, Strategies
from sightline.errors import UsageError
from sightline.evaluate.proposals import evaluate_proposals
from sightline.images import read
from sightline.ops.appearance import count, derivatives, texture_bins
from sightline.ops.grouping import group
from sightline.ops.segments import segment, smooth, sorted_edges
from sightline.types import Regions


def cat(height: int = 90, width: int = 130) -> Tensor:
    crop = data.chelsea()[40 : 40 + height, 60 : 60 + width]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).contiguous()


def stripes(*widths: tuple[int, int], height: int = 10) -> ndarray:
    """One channel of upright stripes: (width, grey level) each."""
    row = np.concatenate([np.full(width, level, np.uint8) for width, level in widths])
    return np.tile(row, (1, height, 1))


def parts(labels: ndarray, looks: ndarray) -> object:
    return count(labels, looks, texture_bins(*derivatives(looks)))


def test_a_segmentation_by_hand() -> None:
    """Edges of 0 build three stripes; that of 10 joins two of them if k / size allows it."""
    planes = stripes((4, 50), (4, 60), (4, 200)).astype(np.float32)
    edges, weights = sorted_edges(planes)
    assert len(edges) == 4 * 120 - 3 * 12 - 3 * 10 + 2  # each direction lacks a row or a column
    assert set(weights.tolist()) == {0, 10 * 32, 140 * 32}
    # 40 pixels tolerate k / 40: 10 when k is 400, and nothing like 140
    two = segment(edges, weights, (10, 12), 400.0, 1)
    assert two[0].tolist() == [0] * 8 + [1] * 4
    three = segment(edges, weights, (10, 12), 399.0, 1)
    assert three[0].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    # what is too small is joined along the lightest edge that leads out of it
    assert segment(edges, weights, (10, 12), 399.0, 41)[0].tolist() == [0] * 12


def test_smoothing_keeps_the_mean_and_flat_images() -> None:
    flat = np.full((3, 7, 9), 93, np.uint8)
    assert np.allclose(smooth(flat), 93, atol=1e-4)
    spot = np.zeros((1, 15, 15), np.uint8)
    spot[0, 7, 7] = 255
    assert smooth(spot).sum() == pytest.approx(255, rel=1e-5)
    assert smooth(spot)[0, 7, 7] == pytest.approx(255 / (2 * np.pi * 0.64), rel=0.02)


def test_gaussian_derivatives_measure_a_slope() -> None:
    ramp = np.tile(np.arange(0, 240, 20, dtype=np.uint8), (1, 12, 1))
    across, down = derivatives(ramp)
    assert np.allclose(across[0, :, 4:-4], 20, atol=1e-3)
    assert np.allclose(down, 0, atol=1e-3)
    planes = texture_bins(across, down)[:, 6, 6]
    # 20 a pixel along 0°, 14.1 along 45°, nothing along 90°, −14.1 along 135°; a bin spans 8
    assert planes.tolist() == [2, 1, planes[2], 11] and planes[2] in (0, 10)


def test_a_hierarchy_by_hand() -> None:
    """Stripes a b c of 3, 2, 5 columns: size merges a + b first, colour b + c, which look alike."""
    looks = stripes((3, 20), (2, 205), (5, 206))  # bins 1, 20 and 20 of 25
    labels = np.repeat(np.array([[0] * 3 + [1] * 2 + [2] * 5], np.int32), 10, axis=0)
    segments = parts(labels, looks)
    assert segments.size.tolist() == [30, 20, 50]
    assert segments.pairs.tolist() == [[0, 1], [1, 2]]
    assert segments.boxes.tolist() == [[0, 0, 3, 10], [3, 0, 5, 10], [5, 0, 10, 10]]
    assert segments.colour.sum(axis=1).tolist() == [30, 20, 50]
    by_size = group(segments, "s")
    assert by_size.children.tolist() == [[-1, -1]] * 3 + [[0, 1], [2, 3]]
    assert by_size.boxes[3:].tolist() == [[0, 0, 5, 10], [0, 0, 10, 10]]
    alike = group(segments, "c")
    assert alike.children.tolist() == [[-1, -1]] * 3 + [[1, 2], [0, 3]]
    assert alike.boxes[3].tolist() == [3, 0, 10, 10]


def test_fill_merges_what_lies_inside_another() -> None:
    """A ring, a disc in it, a stripe beside: disc and ring leave no gap, the others do."""
    labels = np.full((10, 14), 0, np.int32)
    labels[3:7, 3:7] = 1
    labels[:4, 10:] = 2
    labels[4:, 10:] = 3
    segments = parts(labels, np.zeros((1, 10, 14), np.uint8))
    assert group(segments, "f").children[4].tolist() == [0, 1]


@pytest.fixture(scope="module")
def trace() -> pipeline.Trace:
    return pipeline.run(selective_search(), [cat(), cat().flip(2)])


def test_a_trace_shows_segments_and_merges(trace: pipeline.Trace) -> None:
    segments = trace.features[0]
    assert segments.shape == (2, 4, 90, 130)
    regions, children = trace.scored.regions, trace.scored.extras["children"]
    assert isinstance(regions, Hierarchies)
    assert children.shape == (len(regions), 2)
    for image in range(2):
        for strategy in range(8):
            rows = ((regions.image == image) & (regions.level == strategy)).nonzero()[:, 0]
            leaves = int(segments[image, strategy // 2].max()) + 1
            assert len(rows) == 2 * leaves - 1
            merged = children[rows]
            assert (merged[:leaves] == -1).all()
            assert sorted(merged[leaves:].flatten().tolist()) == rows[:-1].tolist()
            assert (merged[leaves:] < rows[leaves:, None]).all()
            for row, pair in zip(rows[leaves:], merged[leaves:], strict=True):
                a, b = regions.boxes[pair]
                both = torch.cat([torch.minimum(a, b)[:2], torch.maximum(a, b)[2:]])
                assert torch.equal(regions.boxes[row], both)
            assert regions.boxes[rows[-1]].tolist() == [0, 0, 130, 90]


def test_segments_are_the_leaves(trace: pipeline.Trace) -> None:
    labels, boxes = trace.features[0][0, 3], trace.regions.boxes
    rows = ((trace.regions.image == 0) & (trace.regions.level == 6)).nonzero()[:, 0]
    for label in range(int(labels.max()) + 1):
        y, x = (labels == label).nonzero(as_tuple=True)
        inside = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert boxes[rows[label]].tolist() == [int(v) for v in inside]


def test_no_box_comes_twice_and_the_best_comes_first(trace: pipeline.Trace) -> None:
    for found in trace.detections:
        assert len(found.boxes.unique(dim=0)) == len(found)
        assert (found.scores.diff() <= 0).all()
        mine = trace.scored.regions.image == trace.scored.regions.image[found.region[0]]
        every = trace.scored.boxes[mine]
        assert len(every.unique(dim=0)) == len(found)
        for box, score in zip(found.boxes[:20], found.scores[:20], strict=True):
            same = (every == box).all(dim=1)
            assert trace.scored.scores[mine][same].max() == score


def test_the_seed_draws_the_order_and_nothing_else() -> None:
    first, again, other = (SelectiveSearch(seed=seed).search(cat()) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first.unique(dim=0), other.unique(dim=0))


def test_what_is_nearly_a_better_one_comes_last() -> None:
    boxes = torch.tensor([[0, 0, 100, 90], [0, 0, 99, 90], [50, 0, 100, 90], [0, 0, 100, 90]])
    image, level = torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    regions = Regions(boxes.float(), image, level, 1 / torch.tensor([1.0, 2.0, 4000.0, 3.0]))
    finder = SelectiveSearch()
    batch = finder.prepare([cat()])
    scored = finder.classify(batch, (), regions)
    drawn = np.random.default_rng(0).random(4) * [1, 2, 4000, 3]
    assert drawn.argmin() in (0, 1, 3) and drawn.argmax() == 2
    order = scored.scores[:, 0].argsort(descending=True).tolist()
    assert order[:2] == [int(drawn.argmin()), 2]
    assert scored.scores[2, 0].item() == pytest.approx(1 / (1 + drawn[2]))
    (found,) = finder.postprocess(batch, (), scored)
    assert len(found) == 3


def test_what_looks_at_one_thing_alone_stands_behind() -> None:
    assert FAST.weights.tolist() == [1] * 8
    weights = QUALITY.weights.view(5, 4, 4)  # spaces, ks, similarities
    for row, k in enumerate(QUALITY.ks):
        share = (50 / k) ** 1.2
        assert weights[0, row].tolist() == pytest.approx([share * x for x in (1, 1, 9, 9)])
        assert weights[3, row].tolist() == pytest.approx([share * x for x in (9, 9, 81, 81)])
    image, box = torch.zeros(2, dtype=torch.int64), torch.tensor([[0, 0, 9, 9], [20, 0, 40, 9]])
    regions = Regions(box.float(), image, torch.tensor([0, 2]), torch.ones(2))
    finder = SelectiveSearch(strategies=replace(QUALITY, order=Order()))
    scores = finder.classify(finder.prepare([cat()]), (), regions).scores[:, 0]
    drawn = np.random.default_rng(0).random(2)
    assert scores.tolist() == pytest.approx([1 / (1 + drawn[0]), 1 / (1 + 9 * drawn[1])])


def test_small_boxes_a_few_pixels_apart_are_one_proposal() -> None:
    """Shifted by 4 pixels: 16 / 24 of boxes of 20 pixels, with 8 more a side 32 / 40."""
    boxes = torch.tensor([[0, 0, 20, 20], [4, 0, 24, 20], [0, 0, 100, 90]]).float()
    ranks = torch.tensor([2.0, 1.0, 3.0])
    assert Order(nearly=0.75).different(boxes, ranks).tolist() == [1, 0, 2]
    assert Order(nearly=0.75, slack=8.0).different(boxes, ranks).tolist() == [1, 2]
    assert Order(nearly=0.81, slack=8.0).different(boxes, ranks).tolist() == [1, 0, 2]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_less_chance_is_a_root_of_the_number_drawn(chance: float) -> None:
    image, box = torch.zeros(2, dtype=torch.int64), torch.tensor([[0, 0, 9, 9], [20, 0, 40, 9]])
    regions = Regions(box.float(), image, image, 1 / torch.tensor([1.0, 7.0]))
    finder = SelectiveSearch(strategies=replace(FAST, order=Order(chance=chance)))
    scores = finder.classify(finder.prepare([cat()]), (), regions).scores[:, 0]
    drawn = np.random.default_rng(0).random(2) ** chance
    assert scores.tolist() == pytest.approx([1 / (1 + drawn[0]), 1 / (1 + 7 * drawn[1])])


def test_ranks_by_hand() -> None:
    """Two trees, of 4 and of 2 regions; the largest box is the whole image's, 100 × 40."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 100, 40], [0, 0, 20, 10], [50, 10, 60, 50]])
    positions, strategy = torch.tensor([4.0, 1.0, 2.0, 1.0]), torch.tensor([0, 0, 1, 1])
    weights = torch.tensor([1.0, 3.0])

    def ranks(**given: float) -> list[float]:
        found: list[float] = Order(**given).ranks(positions, strategy, boxes, weights).tolist()
        return found

    assert ranks() == [4, 1, 6, 3]
    assert ranks(spread=0.5) == [4 + 2, 1 + 2, 3 * (2 + 1), 3 * (1 + 1)]
    assert ranks(large=0.5) == pytest.approx([4 / 40**0.5, 1, 6 / 20**0.5, 3 / 10**0.5])
    assert ranks(long=1.0) == [4, 2.5, 12, 12]


def test_a_limit_keeps_the_best() -> None:
    every, few = SelectiveSearch().search(cat()), SelectiveSearch(limit=7).search(cat())
    assert torch.equal(few, every[:7])
    assert len(SelectiveSearch(limit=10**6).search(cat())) == len(every)


def test_large_images_are_shrunk_small_ones_are_not() -> None:
    finder = selective_search()
    small = finder.prepare([cat()])
    assert small.size == (90, 130)
    assert torch.equal((small.pixels[0] * 255).round().byte(), cat())
    large = pipeline.run(replace_longer(finder, 100), [cat()])
    assert large.batch.size == (69, 100)
    assert large.detections[0].size == (90, 130)
    assert large.detections[0].boxes[:, 2].max() == 130
    assert torch.equal(finder.search(cat()), pipeline.detect(selective_search(), [cat()])[0].boxes)


def replace_longer(finder: SelectiveSearch, longer: int) -> SelectiveSearch:
    finder.preparation = replace(finder.preparation, longer=longer)
    return finder


def test_padding_is_not_looked_at() -> None:
    finder = SelectiveSearch()
    wanted = finder.search(cat())
    finder.preparation = replace(finder.preparation, divisor=64, mean=(0.5, 0.4, 0.3))
    found = pipeline.run(finder, [cat()])
    assert found.batch.size == (128, 192)
    assert torch.equal(found.detections[0].boxes, wanted)
    assert (found.features[0][:, :, 90:] == -1).all()


@pytest.mark.parametrize("strategies", [FAST, QUALITY], ids=["fast", "quality"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 300), (290, 1), (2, 3), (40, 30)])
def test_strange_images(size: tuple[int, int], strategies: Strategies) -> None:
    """A single colour is a single segment; so is what is smaller than a segment may be."""
    for image in (
        torch.zeros(3, *size, dtype=torch.uint8),
        torch.full((3, *size), 255, dtype=torch.uint8),
    ):
        found = SelectiveSearch(strategies=strategies).search(image)
        assert found.tolist() == [[0, 0, size[1], size[0]]]
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, *size), generator=rng, dtype=torch.uint8)
    found = SelectiveSearch(strategies=strategies).search(noise)
    assert [0, 0, size[1], size[0]] in found.tolist()
    assert (found[:, :2] < found[:, 2:]).all()


def test_modes_of_the_catalogue() -> None:
    assert catalogue.options_of("selective_search") == {"mode": ("fast", "quality")}
    fast = sightline.load("selective_search")
    slow = sightline.load("selective_search", score=None, options={"mode": "quality"})
    assert isinstance(slow.detector, SelectiveSearch) and slow.detector.strategies == QUALITY
    assert slow.classes == fast.classes == ("object",)
    found, wanted = slow(cat()), SelectiveSearch(strategies=QUALITY).search(cat())
    assert torch.equal(found.boxes, wanted)
    some = fast(cat())
    assert 0 < len(some) < len(found) and (some.scores > 0.3).all()


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: selective_search(("cat", "dog")), "usage.class_count"),
        (lambda: SelectiveSearch(limit=0), "usage.out_of_range"),
        (lambda: Strategies(spaces=("cmyk",)), "usage.colour_space"),
        (lambda: Strategies(similarities=("x",)), "usage.similarity"),
        (lambda: Strategies(ks=(0,)), "usage.out_of_range"),
        (lambda: Strategies(ks=()), "usage.out_of_range"),
        (lambda: Order(nearly=1.5), "usage.out_of_range"),
        (lambda: Order(large=-0.1), "usage.out_of_range"),
        (lambda: Order(slack=-1.0), "usage.out_of_range"),
        (lambda: Order(alone=0.5), "usage.out_of_range"),
        (lambda: sightline.load("selective_search", options={"mode": "slow"}), "usage.option"),
        (lambda: sightline.load("retinanet", options={"mode": "fast"}), "usage.option"),
    ],
)
def test_what_makes_no_sense(call: object, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == code


@pytest.mark.slow
def test_it_finds_the_objects_of_real_images(shared: Path) -> None:
    """On the first 25 images of Pascal VOC nearly every object has a box of an IoU of 0.5."""
    dataset = open_dataset(shared / "data" / "voc2012_100").subset(range(25))
    finder = SelectiveSearch()
    found = [finder.search(read(example.path)).numpy() for example in dataset]
    report = evaluate_proposals(dataset, found)
    assert report.recall(0.5) > 0.9
    assert report.figures(1000).mabo > 0.7
    assert report.figures().mabo > 0.77
