"""A pose machine that needs no training: its parts are red, green and blue dots."""

import torch
from torch import Tensor, nn

from sightline.detectors.cpm import Beliefs
from sightline.detectors.person_crops import Look, Variation
from sightline.detectors.top_down import TopDown
from sightline.preparation import Preparation
from sightline.skeletons import skeleton

STAR = skeleton(("left_arm", "right_arm", "top"), ())
COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
"""A red, a green and a blue dot are the left arm, the right arm and the top."""


class Dots(nn.Module):
    """A machine that needs no training: where a crop is red, green or blue."""

    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.seen = nn.Identity(), [0]

    def forward(self, crops: Tensor) -> list[Tensor]:
        self.seen[0] += len(crops)
        small = nn.functional.avg_pool2d(crops, 4)
        return [torch.cat([small, 1 - small.amax(dim=1, keepdim=True)], dim=1)]


LOOK = Look((64, 48), share=1.0)


def model(look: Look = LOOK) -> TopDown:
    black = Preparation(shorter=None, longer=100, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return TopDown(("person",), STAR, Dots(), Beliefs(), look, black, Variation()).eval()


def picture(*stars: list[tuple[int, int]]) -> Tensor:
    """(3, 90, 120) with the three dots of each star, 5 × 5 pixels about (x, y)."""
    image = torch.zeros(3, 90, 120, dtype=torch.uint8)
    for star in stars:
        for (x, y), colour in zip(star, COLOURS, strict=True):
            image[:, y - 2 : y + 3, x - 2 : x + 3] = colour[:, None, None]
    return image


ONE, TWO = [(15, 40), (35, 40), (25, 20)], [(75, 60), (100, 60), (90, 30)]


def middles(star: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(star) + 0.5
