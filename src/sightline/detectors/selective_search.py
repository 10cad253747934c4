"""Selective Search (Uijlings 2013): a few thousand boxes that hold nearly every object, unlearnt.

Segments of an image that look alike belong together, and what "alike" means differs from object to
object. So segments are merged bottom up, the most similar neighbours first, until one region is
left; every region met on the way is a proposal; and this is done in several colour spaces, with
several similarities, from coarser and finer segments, because no single way is right for all.

A detector of one class, "object", without weights. `search` is the shortcut for those that judge
its regions.

Key of shapes: B images, S segmentations, C channels of all colour spaces, R regions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline import boxes as geometry
from sightline.detectors.strategies import FAST, MODES, Mode, Strategies
from sightline.errors import UsageError
from sightline.kernels.cpu.threads import share
from sightline.ops.appearance import AXES, count, derivatives, texture_bins
from sightline.ops.colour_spaces import colours
from sightline.ops.grouping import Tree, group
from sightline.ops.segments import segment, smooth, sorted_edges
from sightline.preparation import Preparation
from sightline.types import Batch, Detections, Features, Frame, Regions, Scored

WIDTH_500 = Preparation(None, 500, divisor=1, mean=(0, 0, 0), std=(1, 1, 1), enlarge=False)
"""As R-CNN looks at its images: at most 500 pixels wide or high, never enlarged."""


VERSION = 4
"""Counts changes of the code that change a box or the order."""


@dataclass(frozen=True)
class Hierarchies(Regions):
    """Regions that were merged from each other; `level` is the strategy that met them.

    Of each tree the segments come first, then every merge; its last row is the whole image.
    `children` are the two rows that a region was merged from, −1 for segments; `scores` 1 / its
    position, counted from the whole image down.
    """

    children: Int[Tensor, "R 2"] | None = None


class SelectiveSearch(nn.Module):
    """A detector of one class that looks at how an image falls apart.

    `limit` is how many proposals an image gets at most (None: all), `seed` what their order is
    drawn with.
    """

    def __init__(
        self,
        classes: Sequence[str] = ("object",),
        strategies: Strategies = FAST,
        limit: int | None = None,
        seed: int = 0,
        preparation: Preparation = WIDTH_500,
    ) -> None:
        super().__init__()
        if len(classes) != 1:
            raise UsageError(
                f"proposals are of one class, not of {len(classes)}",
                code="usage.class_count",
                hint="it finds objects without knowing what they are",
            )
        if limit is not None and limit < 1:
            raise UsageError(f"limit is {limit}, not 1 or more", code="usage.out_of_range")
        self.classes = tuple(classes)
        self.strategies, self.limit, self.seed = strategies, limit, seed
        self.preparation = preparation

    @property
    def method(self) -> str:
        """All that decides the boxes of given pixels, for those who keep them."""
        ways = f"{self.strategies}, limit {self.limit}, seed {self.seed}"
        return f"selective search {VERSION}: {ways}"

    def search(self, image: UInt8[Tensor, "3 H W"]) -> Float[Tensor, "N 4"]:
        """Boxes of an RGB image, best first, in its own pixels: it is looked at as it is."""
        size = (image.shape[1], image.shape[2])
        batch = Batch(self.preparation.normalise(image)[None], (Frame(size, size),))
        features = self.encode(batch)
        scored = self.classify(batch, features, self.propose(batch, features))
        return self.postprocess(batch, features, scored)[0].boxes

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Shrink images of one size to what is looked at."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """Three maps of one size: segmentations (B, S, H, W), numbers of segments, −1 outside of
        the picture; colours (B, C, H, W), bytes; textures (B, 4 C, H, W), bins.
        """
        spaces, ks = self.strategies.spaces, self.strategies.ks
        channels = [1 if len(space) == 1 else 3 for space in spaces]
        starts = np.cumsum([0, *channels])
        shape = (len(batch), 0, *batch.size)
        segments = np.full((shape[0], len(spaces) * len(ks), *shape[2:]), -1, np.int32)
        seen = np.zeros((shape[0], starts[-1], *shape[2:]), np.uint8)
        textures = np.zeros((shape[0], AXES * starts[-1], *shape[2:]), np.uint8)
        jobs = list(product(enumerate(self._pictures(batch)), range(len(spaces))))

        def work(job: tuple[tuple[int, np.ndarray], int]) -> None:
            (image, picture), space = job
            place = (slice(picture.shape[1]), slice(picture.shape[2]))
            first, last = starts[space], starts[space + 1]
            looks = colours(picture, spaces[space])
            seen[image, first:last, *place] = looks
            textures[image, AXES * first : AXES * last, *place] = texture_bins(*derivatives(looks))
            edges, weights = sorted_edges(smooth(looks))
            for i, k in enumerate(ks):
                labels = segment(edges, weights, picture.shape[1:], float(k), k)
                segments[image, space * len(ks) + i, *place] = labels

        _each(jobs, work)
        return tuple(torch.from_numpy(maps) for maps in (segments, seen, textures))

    def _pictures(self, batch: Batch) -> list[np.ndarray]:
        """The bytes of each image, without its padding."""
        pixels = self.preparation.restore(batch.pixels.detach()).cpu()
        sizes = [frame.resized for frame in batch.frames]
        return [p[:, :h, :w].numpy() for p, (h, w) in zip(pixels, sizes, strict=True)]

    def propose(self, batch: Batch, features: Features) -> Hierarchies:
        """Every region met by every strategy, image by image."""
        segments, seen, textures = (maps.numpy() for maps in features)
        spaces, ks = self.strategies.spaces, self.strategies.ks
        letters = self.strategies.similarities
        starts = np.cumsum([0, *(1 if len(space) == 1 else 3 for space in spaces)])
        jobs = list(product(range(len(batch)), range(len(spaces) * len(ks))))
        trees: dict[tuple[int, int], list[Tree]] = {}

        def work(job: tuple[int, int]) -> None:
            image, which = job
            height, width = batch.frames[image].resized
            first, last = starts[which // len(ks)], starts[which // len(ks) + 1]
            parts = count(
                np.ascontiguousarray(segments[image, which, :height, :width]),
                seen[image, first:last, :height, :width],
                textures[image, AXES * first : AXES * last, :height, :width],
            )
            trees[job] = [group(parts, similarity) for similarity in letters]

        _each(jobs, work)
        return _packed([(image, trees[image, which]) for image, which in jobs], len(batch))

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """The order: rank × a power of a random number, small ones first, as score 1 / (1 + that).

        What overlaps a better region nearly, as the order has it, stands behind all others.
        """
        assert regions.scores is not None
        order, weights = self.strategies.order, self.strategies.weights
        positions, scores = 1 / regions.scores, torch.empty(len(regions))
        for image in range(len(batch)):  # each anew, so that neighbours change nothing
            rows = (regions.image == image).nonzero()[:, 0]
            if not len(rows):
                continue
            drawn = torch.from_numpy(np.random.default_rng(self.seed).random(len(rows)))
            boxes = regions.boxes[rows]
            ranks = order.ranks(positions[rows], regions.level[rows], boxes, weights)
            ranks = ranks * drawn**order.chance
            behind = torch.ones(len(rows), dtype=torch.bool)
            behind[order.different(boxes, ranks)] = False
            ranks[behind] += ranks.max() + 1
            scores[rows] = (1 / (1 + ranks)).float()
        extras = {}
        if isinstance(regions, Hierarchies) and regions.children is not None:
            extras["children"] = regions.children
        return Scored(regions, scores[:, None], regions.boxes, extras)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """Of equal boxes the best one; the best `limit`, in the original image's pixels."""
        answers = []
        for index, frame in enumerate(batch.frames):
            rows = (scored.regions.image == index).nonzero()[:, 0]
            order = scored.scores[rows, 0].sort(descending=True, stable=True).indices
            rows = rows[order]
            rows = rows[_first_of_equals(scored.boxes[rows])][: self.limit]
            answers.append(
                Detections(
                    boxes=geometry.clip(frame.to_original(scored.boxes[rows]), frame.original),
                    scores=scored.scores[rows, 0],
                    labels=torch.zeros_like(rows),
                    region=rows,
                    size=frame.original,
                    classes=self.classes,
                )
            )
        return answers


def _each(jobs: Sequence, work: Callable) -> None:  # type: ignore[type-arg]
    """Do all jobs, over as many threads as torch is allowed; each writes a place of its own."""

    def run(first: int, end: int) -> None:
        for job in jobs[first:end]:
            work(job)

    share(len(jobs), 1, run)


def _packed(found: Iterable[tuple[int, list[Tree]]], images: int) -> Hierarchies:
    """All trees of all images under each other, in their order."""
    boxes, children, image, level, positions = [], [], [], [], []
    strategy, row, last = 0, 0, -1
    for index, trees in found:
        strategy = strategy if index == last else 0
        last = index
        for tree in trees:
            count = len(tree.boxes)
            boxes.append(tree.boxes)
            children.append(np.where(tree.children < 0, -1, tree.children + row))
            image.append(np.full(count, index))
            level.append(np.full(count, strategy))
            positions.append(np.arange(count, 0, -1))
            strategy, row = strategy + 1, row + count
    return Hierarchies(
        boxes=torch.from_numpy(np.concatenate(boxes)).float(),
        image=torch.from_numpy(np.concatenate(image)),
        level=torch.from_numpy(np.concatenate(level)),
        scores=1 / torch.from_numpy(np.concatenate(positions)).float(),
        children=torch.from_numpy(np.concatenate(children)).long(),
    )


def _first_of_equals(boxes: Float[Tensor, "N 4"]) -> Int[Tensor, "M"]:
    """The first row of each different box, in order."""
    words = boxes.float().contiguous().numpy().view(np.int64)
    order = np.lexsort((words[:, 1], words[:, 0]))  # stable: of equals the first row stays first
    ordered = words[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return torch.from_numpy(np.sort(order[new]))


def selective_search(classes: Sequence[str] = ("object",), mode: Mode = "fast") -> SelectiveSearch:
    """The paper's fast or quality strategies, at most 500 pixels a side."""
    return SelectiveSearch(classes, MODES[mode])
