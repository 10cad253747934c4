"""How people are looked at: the window around each, its pixels, and who can be learnt from.

Key of shapes: B images, R people, P points, C channels, H W pixels of an image, h w of a crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.errors import UsageError
from sightline.matching import chance
from sightline.ops.checks import require_fraction
from sightline.ops.crops import crops
from sightline.preparation import Preparation
from sightline.types import Size, Targets


@dataclass(frozen=True)
class Look:
    """How people are looked at: crops of `size` (height, width) pixels.

    A box takes the `share` of its crop along the side that binds; the rest is what lies around it.
    People who were found with a `score` or less are not looked at, and at most `limit` of an image,
    the best ones. With `flip` the mirrored crop is looked at as well, and the mean of both is the
    answer. Of two poses with an OKS above `alike` the better one stays. Raises UsageError
    (usage.out_of_range).
    """

    size: Size = (192, 144)
    share: float = 0.8
    score: float = 0.1
    limit: int = 30
    flip: bool = False
    alike: float = 0.9

    def __post_init__(self) -> None:
        require_fraction("alike", self.alike)
        if min(self.size) < 1 or not 0 < self.share <= 1 or self.limit < 1:
            raise UsageError(f"{self} makes no sense", code="usage.out_of_range")

    def windows(self, boxes: Float[Tensor, "R 4"]) -> Float[Tensor, "R 4"]:
        """The window of each box: about its middle, of the crop's shape, at least a pixel."""
        aspect = self.size[1] / self.size[0]
        width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1.0).unbind(dim=1)
        tall = torch.maximum(height, width / aspect) / self.share / 2
        half = torch.stack([tall * aspect, tall], dim=1)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        return torch.cat([middle - half, middle + half], dim=1)


def look_at(
    image: UInt8[Tensor, "3 H W"],
    window: Float[Tensor, "4"],
    size: Size,
    preparation: Preparation,
) -> Float[Tensor, "1 3 h w"]:
    """One window of an image, normalised; only the part of the image under it is touched."""
    height, width = image.shape[1:]
    x1, y1, x2, y2 = window.tolist()
    left, top = min(max(0, int(x1) - 1), width - 1), min(max(0, int(y1) - 1), height - 1)
    right, bottom = max(left + 1, int(x2) + 2), max(top + 1, int(y2) + 2)
    pixels = preparation.normalise(image[:, top:bottom, left:right])
    moved = window - window.new_tensor([left, top, left, top])
    zero = torch.zeros(1, device=image.device)
    return crops(pixels[None], moved[None], zero, zero.long(), size)


@dataclass(frozen=True)
class Labelled:
    """People of a batch with labelled points: their boxes, points and images."""

    boxes: Float[Tensor, "R 4"]
    points: Float[Tensor, "R P 3"]
    image: Int[Tensor, "R"]

    def __len__(self) -> int:
        return len(self.boxes)


def labelled(
    targets: Sequence[Targets], pixels: Float[Tensor, "B 3 H W"], parts: int, limit: int
) -> Labelled:
    """Those with a labelled point of the images `pixels`, crowds left out; `limit` by chance."""
    boxes, image = [pixels.new_zeros(0, 4)], [torch.zeros(0).long().to(pixels.device)]
    points = [pixels.new_zeros(0, parts, 3)]
    for index, truth in enumerate(targets):
        if truth.keypoints is not None:
            rows = ((truth.keypoints[..., 2] > 0).any(dim=1) & ~truth.crowd).nonzero()[:, 0]
            boxes.append(truth.boxes[rows])
            points.append(truth.keypoints[rows])
            image.append(torch.full_like(rows, index))
    every = Labelled(torch.cat(boxes), torch.cat(points), torch.cat(image))
    some = torch.randperm(len(every), generator=chance(pixels))[:limit].to(pixels.device)
    return Labelled(every.boxes[some], every.points[some], every.image[some])


@dataclass(frozen=True)
class Variation:
    """How people are shown who are learnt from: as a detector may leave them, and turned.

    A step has at most `limit` people, each in a window up to `scale` times larger or smaller, moved
    by up to the share `shift` of its sides, and turned by up to `turn` degrees.
    """

    limit: int = 32
    scale: float = 1.35
    shift: float = 0.1
    turn: float = 30.0

    def __call__(
        self, windows: Float[Tensor, "R 4"], draw: torch.Generator
    ) -> tuple[Float[Tensor, "R 4"], Float[Tensor, "R"]]:
        """The windows as they are shown, and the angle of each in radians."""
        change = (2 * torch.rand(len(windows), 4, generator=draw) - 1).to(windows)
        sides = windows[:, 2:] - windows[:, :2]
        middle = (windows[:, :2] + windows[:, 2:]) / 2 + change[:, :2] * self.shift * sides
        half = sides / 2 * self.scale ** change[:, 2:3]
        return torch.cat([middle - half, middle + half], dim=1), (
            change[:, 3] * self.turn
        ).deg2rad()
