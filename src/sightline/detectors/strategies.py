"""Which ways of grouping Selective Search tries, and in which order it proposes what they meet
(Uijlings 2013, sections 3.2 and 3.3, table 5).
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import require_fraction
from sightline.ops.colour_spaces import require_space
from sightline.ops.grouping import require_similarity
from sightline.ops.nms import nms

Mode = Literal["fast", "quality"]


@dataclass(frozen=True)
class Order:
    """In which order regions are proposed: rank × (a random number)^`chance`, small ones first.

    The paper's rank is the position i in the hierarchy, 1 for the whole image; here it is
    i + `spread` · n of n regions, so that small ones get a turn too. It counts `alone` times where
    a strategy looks at one channel alone, and where it compares by one measure alone; and in
    proportion to (share of the image)^`large`, (longer / shorter side)^`long` and (1 / k)^`fine`.
    Regions that overlap by more than `nearly` are one proposal, met twice: all but the best stand
    behind all others. They are measured with `slack` pixels more on every side: what a shift of a
    few pixels changes is little, however small they are. Raises UsageError.
    """

    alone: float = 9.0
    nearly: float = 0.9
    spread: float = 0.0
    large: float = 0.0
    long: float = 0.0
    fine: float = 0.0
    chance: float = 1.0
    slack: float = 0.0

    def __post_init__(self) -> None:
        require_fraction("nearly", self.nearly)
        others = (self.spread, self.large, self.long, self.fine, self.chance, self.slack)
        if self.alone < 1 or min(others) < 0:
            raise UsageError(
                f"no order: {self}",
                code="usage.out_of_range",
                hint="alone is 1 at least, all others 0",
            )

    def ranks(
        self,
        positions: Float[Tensor, "R"],
        strategy: Int[Tensor, "R"],
        boxes: Float[Tensor, "R 4"],
        weights: Float[Tensor, "strategies"],
    ) -> Float[Tensor, "R"]:
        """The ranks of one image's regions, before chance; `weights` are those of strategies."""
        counts = positions.new_zeros(len(weights))
        counts = counts.scatter_reduce(0, strategy, positions, "amax")
        ranks = weights[strategy] * (positions + self.spread * counts[strategy])
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
        shares = sides.prod(dim=1)
        shares = shares / shares.max()
        longer = sides.amax(dim=1) / sides.amin(dim=1)
        return ranks * shares**self.large * longer**self.long

    def different(self, boxes: Float[Tensor, "R 4"], ranks: Float[Tensor, "R"]) -> Int[Tensor, "M"]:
        """The rows that are not nearly a better one, the smallest rank first."""
        grown = boxes + boxes.new_tensor([-1, -1, 1, 1]) * self.slack
        return nms(grown, (1 / (1 + ranks)).float(), self.nearly)


@dataclass(frozen=True)
class Strategies:
    """Which ways of grouping are tried: all combinations (section 3.2).

    `spaces` are names of `ops.colour_spaces`; `ks` thresholds of the segmentation, and at once
    the least size of a segment in pixels; `similarities` letters of `ops.grouping`. Segmentations
    are numbered space by space, strategies segmentation by segmentation. Raises UsageError.
    """

    spaces: tuple[str, ...] = ("hsv", "lab")
    ks: tuple[int, ...] = (50, 100)
    similarities: tuple[str, ...] = ("ctsf", "tsf")
    order: Order = Order()

    def __post_init__(self) -> None:
        for space in self.spaces:
            require_space(space)
        for letters in self.similarities:
            require_similarity(letters)
        if not (self.spaces and self.ks and self.similarities) or min(self.ks) < 1:
            raise UsageError(
                f"no strategies: {self}",
                code="usage.out_of_range",
                hint="name a colour space, a k of at least 1, and a similarity",
            )

    @property
    def weights(self) -> Float[Tensor, "strategies"]:
        """What the ranks of each strategy are multiplied by; 1 for the first k."""
        order, every = self.order, product(self.spaces, self.ks, self.similarities)
        return torch.tensor(
            [
                order.alone ** ((len(s) == 1) + (len(t) == 1)) * (self.ks[0] / k) ** order.fine
                for s, k, t in every
            ]
        )


FAST = Strategies()
"""The paper's 8."""

QUALITY = Strategies(
    ("hsv", "lab", "rgi", "h", "i"),
    (50, 100, 150, 300),
    ("ctsf", "tsf", "f", "s"),
    Order(nearly=0.8, spread=0.25, large=0.4, long=1.0, fine=1.2, chance=0.5, slack=8.0),
)
"""The paper's 80."""

MODES: dict[str, Strategies] = {"fast": FAST, "quality": QUALITY}
