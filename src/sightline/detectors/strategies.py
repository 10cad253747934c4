"""Which ways of grouping Selective Search tries (Uijlings 2013, section 3.2 and table 5)."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import require_fraction
from sightline.ops.colour_spaces import require_space
from sightline.ops.grouping import require_similarity

Mode = Literal["fast", "quality"]

ALONE = 9.0
"""How many times further behind stands what a strategy finds that looks at one channel alone, or
compares by one measure alone.
"""


@dataclass(frozen=True)
class Strategies:
    """Which ways of grouping are tried: all combinations (section 3.2).

    `spaces` are names of `ops.colour_spaces`; `ks` thresholds of the segmentation, and at once
    the least size of a segment in pixels; `similarities` letters of `ops.grouping`. Segmentations
    are numbered space by space, strategies segmentation by segmentation. Regions that overlap by
    more than `nearly` are one proposal, met twice. Raises UsageError.
    """

    spaces: tuple[str, ...] = ("hsv", "lab")
    ks: tuple[int, ...] = (50, 100)
    similarities: tuple[str, ...] = ("ctsf", "tsf")
    nearly: float = 0.9

    def __post_init__(self) -> None:
        require_fraction("nearly", self.nearly)
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
        """What the ranks of each strategy are multiplied by."""
        every = product(self.spaces, self.ks, self.similarities)
        return torch.tensor([ALONE ** ((len(s) == 1) + (len(t) == 1)) for s, _, t in every])


FAST = Strategies()
"""The paper's 8."""

QUALITY = Strategies(
    ("hsv", "lab", "rgi", "h", "i"), (50, 100, 150, 300), ("ctsf", "tsf", "f", "s"), 0.8
)
"""The paper's 80."""

MODES: dict[str, Strategies] = {"fast": FAST, "quality": QUALITY}
