"""Sliding windows with histograms of oriented gradients (Dalal and Triggs 2005).

A window of fixed size in cells is held to every place of every level of an image pyramid, and a
linear support vector machine says of each window what is in it. The claim: locally normalised
histograms of gradients are enough for a linear classifier to find people; what is taken for one
where there is none is learnt once more, as hard negatives.

A window's descriptor and the machine's weights are multiplied number by number, so a machine is a
*template*: held to the map of all blocks like a filter (`classify`) it scores all windows of a
level at once, and nothing but rounding differs from cutting out every window (`classify_windows`).

Departures. Windows of several shapes, each with a machine a class of its own; an object teaches the
machine of the shape nearest to its ratio of sides. A pixel votes for one orientation and one cell,
without interpolation or a Gaussian over the block, and gradients see beyond the window's border:
without that no map could be shared. Windows have one cell of margin, not two. Colours are used as
they are, without a square root.

Key of shapes: B images, R windows, K classes, S shapes, h w blocks of a window.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline.detectors.hard_negatives import Learner, Mining
from sightline.detectors.hog_pyramid import HogPyramid
from sightline.detectors.linear_machine import NEVER
from sightline.fitting import Desk, Samples
from sightline.ops.correlate import correlate
from sightline.ops.hog import CELL, LENGTH, hog
from sightline.preparation import Preparation
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored, Size

MINING = Mining()

UNCHANGED = (1 / 255, 1 / 255, 1 / 255)
"""The standard deviations that leave bytes as they are."""


class HogSvm(nn.Module):
    """Every window of an image pyramid, scored by the margins of linear machines.

    All that is learnt lies in buffers: `template_s` (K, 36, h, w) and `bias` (S, K). A machine
    without samples, and so a detector that was never fitted, finds nothing.
    """

    scores_are_margins = True
    bias: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        pyramid: HogPyramid,
        preparation: Preparation,
        selection: Selection,
        mining: Mining = MINING,
    ) -> None:
        super().__init__()
        self.classes, self.pyramid = tuple(classes), pyramid
        self.preparation, self.selection, self.mining = preparation, selection, mining
        for number, (height, width) in enumerate(pyramid.blocks):
            empty = torch.zeros(len(self.classes), LENGTH, height, width)
            self.register_buffer(f"template_{number}", empty)
        self.register_buffer("bias", torch.full((len(pyramid.shapes), len(self.classes)), NEVER))

    @property
    def templates(self) -> list[Float[Tensor, "K 36 _ _"]]:
        """The weights of the machines of each shape."""
        return [getattr(self, f"template_{number}") for number in range(len(self.pyramid.shapes))]

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize images of one size; colours stay bytes, as floats."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The blocks of every level of the pyramid."""
        return self.pyramid.maps(batch.pixels)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every window that lies on a level. `level` is the pyramid's · S + the shape."""
        boxes, level = self.pyramid.windows(batch.size)
        count, images = len(boxes), len(batch)
        regions = Regions(
            boxes.repeat(images, 1),
            torch.arange(images).repeat_interleave(count),
            level.repeat(images),
        )
        return regions.to(batch.pixels.device)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """The machines' margins: templates held to the maps of whole levels."""
        table = [self.margins([level[i] for level in features]) for i in range(len(batch))]
        scores = torch.stack(table)[regions.image, self._rows(regions, batch.size)]
        return Scored(regions, scores, regions.boxes)

    def margins(self, maps: Sequence[Float[Tensor, "36 _ _"]]) -> Float[Tensor, "A K"]:
        """Margins of all A windows of one image, in the order of `HogPyramid.windows`."""
        rows = [self.bias.new_zeros(0, len(self.classes))]
        for level in maps:
            for number, (height, width) in enumerate(self.pyramid.blocks):
                if height <= level.shape[1] and width <= level.shape[2]:
                    found = correlate(level, self.templates[number])
                    rows.append(found.flatten(1).T + self.bias[number])
        return torch.cat(rows)

    def classify_windows(self, batch: Batch, regions: Regions) -> Scored:
        """The definition of `classify`: each window cut out with the pixels around it, described,
        and multiplied by the weights.
        """
        rows = [
            (self.templates[shape] * blocks).sum((1, 2, 3)) + self.bias[shape]
            for shape, blocks in self._described(batch, regions)
        ]
        scores = torch.stack(rows) if rows else self.bias.new_zeros(0, len(self.classes))
        return Scored(regions, scores, regions.boxes)

    def _described(
        self, batch: Batch, regions: Regions
    ) -> Iterator[tuple[int, Float[Tensor, "36 _ _"]]]:
        """Shape and descriptor of each window."""
        places = self.pyramid.cells(regions.boxes, regions.level, batch.size)
        levels: dict[int, list[Tensor]] = {}
        for row in range(len(regions)):
            image, (level, shape) = (
                int(regions.image[row]),
                divmod(int(regions.level[row]), len(self.pyramid.shapes)),
            )
            if image not in levels:
                levels = {image: list(self.pyramid.images(batch.pixels[image]))}
            y, x = places[row].tolist()
            height, width = self.pyramid.blocks[shape]
            above, left = min(y, 1), min(x, 1)  # a cell of context, where there is one
            window = levels[image][level][
                :,
                CELL * (y - above) : CELL * (y + height + 2),
                CELL * (x - left) : CELL * (x + width + 2),
            ]
            yield shape, hog(window)[:, above : above + height, left : left + width]

    def _rows(self, regions: Regions, size: Size) -> Int[Tensor, "R"]:
        """Which row of `margins` each window has."""
        places = torch.tensor(self.pyramid.places(size), device=regions.boxes.device)
        cells = self.pyramid.cells(regions.boxes, regions.level, size)
        first, _, columns = places[regions.level].unbind(1)
        return first + cells[:, 0] * columns + cells[:, 1]

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The threshold, then NMS class by class over all levels and shapes."""
        return select(scored, batch, self.selection, self.classes)

    def fit(self, samples: Samples, desk: Desk) -> None:
        """Learn one linear machine for each class and shape, in place; see `hard_negatives`."""
        Learner(self, self.mining, desk).learn(samples)


Windows = Literal["any", "people"]
"""Which shapes the windows have."""

SHAPES: dict[str, tuple[Size, ...]] = {
    "any": ((10, 5), (7, 7), (5, 10)),
    "people": ((12, 4), (11, 5), (10, 6), (8, 7)),
}
"""(height, width) in cells: of any object, or of people who stand, sit, or are seen in part."""


def hog_svm(classes: Sequence[str], windows: Windows = "any") -> HogSvm:
    """Three shapes, or five upright ones for people; eight levels an octave; 512 pixels.

    The paper's people stand, 96 pixels high in a window of 64 × 128.
    """
    return HogSvm(
        classes,
        HogPyramid(SHAPES[windows]),
        Preparation(shorter=None, longer=512, divisor=1, mean=(0.0, 0.0, 0.0), std=UNCHANGED),
        Selection(score=-1.0, iou=0.5, limit=100, per_level=None),
    )
