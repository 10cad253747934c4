"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh 2016): the pose of one person.

Stages of convolutions each see the image's features and the belief maps of the stage before. The
first sees a part and its surroundings; what the later ones see grows until it is the whole person,
so that what is easy to find (a head) tells where the rest is. A loss at every stage keeps the
gradients alive (section 3).

    b_1 = g_1(F)          b_t = g_t(F', b_{t−1}, centre),  t = 2 … T          (eq. 1, 3)
    f = Σ_t Σ_p Σ_z ‖b_t^p(z) − b_*^p(z)‖²                                    (eq. 5)

The person stands in the middle of its crop, which a Gaussian centre map says. `top_down.TopDown`
makes a detector of it.

Departures. `cpm_368` follows the paper's figure 2 to the number: 9 × 9 and 11 × 11 convolutions,
three poolings, six stages, receptive fields of 160 pixels in the first stage and 400 in the second;
the weights begin at He's scale (2015). Maps of points without a label teach nothing. The light
`cpm_mobilenet_v2` has MobileNetV2 for features, three stages of depthwise 7 × 7 convolutions and
upright crops of 192 × 144 pixels.

Key of shapes: R crops, P parts, C channels, H W pixels of a crop, h w cells of a map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.detectors.person_crops import Look, Variation
from sightline.detectors.top_down import TopDown
from sightline.nets.blocks import ConvNorm, ready
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import Stack
from sightline.ops.pose_targets import part_maps
from sightline.preparation import Preparation
from sightline.skeletons import PERSON, Skeleton


class Trunks(nn.Module):
    """The paper's image features, once for the first stage and once for all others: three 9 × 9
    convolutions, each with its pooling, and a 5 × 5 one (figure 2, c and d).
    """

    stride, channels = 8, 32

    def __init__(self) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(self._trunk() for _ in range(2))

    def _trunk(self) -> nn.Sequential:
        layers = nn.Sequential()
        for channels in (3, 128, 128):
            layers.extend([nn.Conv2d(channels, 128, 9, padding=4), nn.ReLU(), nn.MaxPool2d(2)])
        layers.extend([nn.Conv2d(128, self.channels, 5, padding=2), nn.ReLU()])
        return layers

    def forward(self, pixels: Float[Tensor, "R 3 H W"]) -> tuple[Tensor, ...]:
        """The two maps, at stride 8."""
        x = ready(pixels, self.trunks)
        return tuple(trunk(x) for trunk in self.trunks)


def first_stage(channels: int, maps: int) -> nn.Sequential:
    """g_1 of the paper: a 9 × 9 convolution of 512 channels and two 1 × 1 ones."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 512, 9, padding=4), nn.ReLU()),
        *(nn.Conv2d(512, 512, 1), nn.ReLU()),
        nn.Conv2d(512, maps, 1),
    )


def later_stage(channels: int, maps: int) -> nn.Sequential:
    """g_t of the paper: three 11 × 11 convolutions of 128 channels and two 1 × 1 ones."""
    layers = nn.Sequential()
    for row in range(3):
        layers.extend([nn.Conv2d(128 if row else channels, 128, 11, padding=5), nn.ReLU()])
    layers.extend([nn.Conv2d(128, 128, 1), nn.ReLU(), nn.Conv2d(128, maps, 1)])
    return layers


def light_stage(channels: int, maps: int, width: int = 128, depth: int = 3) -> nn.Sequential:
    """A stage that sees as far (144 pixels further), by depthwise 7 × 7 convolutions."""
    layers = nn.Sequential(ConvNorm(channels, width, 1))
    for _ in range(depth):
        far = ConvNorm(width, width, 7, groups=width, activation=None)
        layers.extend([far, ConvNorm(width, width, 1)])
    layers.append(nn.Conv2d(width, maps, 1))
    return layers


class PoseMachine(nn.Module):
    """Crops to belief maps: features, and stages that read them and each other.

    `encoder` gives one map or two (the later stages read the last); `stages` give a map a part and
    one of the background; `sigma` is the spread of the centre map in pixels.
    """

    def __init__(self, encoder: nn.Module, stages: Sequence[nn.Module], sigma: float) -> None:
        super().__init__()
        self.encoder, self.stages, self.sigma = encoder, nn.ModuleList(stages), sigma
        self.stride = int(encoder.stride)  # type: ignore[arg-type]
        for stage in self.stages:
            for module in stage.modules():
                if isinstance(module, nn.Conv2d) and module.bias is not None:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    nn.init.zeros_(module.bias)
            last = stage[-1]  # type: ignore[index]
            nn.init.normal_(last.weight, std=0.01)
            with torch.no_grad():
                last.bias[-1] = 1.0  # at first all is background

    def forward(self, crops: Float[Tensor, "R 3 H W"]) -> list[Float[Tensor, "R M h w"]]:
        """The belief maps of every stage, those of the background last."""
        features: tuple[Tensor, ...] = self.encoder(crops)
        maps = [self.stages[0](features[0])]
        seen = features[-1]
        middle = self.centre(seen)
        for stage in list(self.stages)[1:]:
            maps.append(stage(torch.cat([seen, maps[-1], middle], dim=1)))
        return [one.float() for one in maps]

    def centre(self, like: Float[Tensor, "R C h w"]) -> Float[Tensor, "R 1 h w"]:
        """exp(−d²/2σ²) of each cell's distance to the middle of the crop (section 4.2)."""
        axes = []
        for side in like.shape[-2:]:
            cells = torch.arange(side, device=like.device) + 0.5 - side / 2
            axes.append((-((cells * self.stride / self.sigma) ** 2) / 2).exp())
        middle = axes[0][:, None] * axes[1][None, :]
        return middle.to(like.dtype).expand(len(like), 1, -1, -1)


@dataclass(frozen=True)
class Beliefs:
    """What the maps should have been: Gaussians on the labelled points, at every stage (eq. 4, 5).

    A part's map is exp(−d²/σ²) with `sigma` in cells, the background's what the parts leave of 1.
    """

    sigma: float = 1.0

    def goals(
        self, points: Float[Tensor, "R P 3"], size: tuple[int, int]
    ) -> Float[Tensor, "R M h w"]:
        """The ideal maps of `points` (x, y in cells; visibility); 0 for points without a label."""
        each = torch.arange(len(points), device=points.device)
        parts = part_maps(points, each, len(points), size, self.sigma)
        return torch.cat([parts, 1 - parts.amax(dim=1, keepdim=True)], dim=1)

    def __call__(
        self, maps: Sequence[Float[Tensor, "R M h w"]], points: Float[Tensor, "R P 3"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The squared distance of each stage's labelled maps, summed; the background counts too."""
        wanted = self.goals(points, (maps[0].shape[2], maps[0].shape[3]))
        known = F.pad((points[..., 2] > 0).float(), (0, 1), value=1.0)[..., None, None]
        return {
            f"stage{number}": ((one - wanted).square() * known).sum()
            for number, one in enumerate(maps, start=1)
        }


def cpm_368(classes: Sequence[str], skeleton: Skeleton = PERSON) -> TopDown:
    """The paper's network: crops of 368 × 368 pixels, six stages, σ of 7 pixels."""
    maps, trunks = len(skeleton.points) + 1, Trunks()
    seen = trunks.channels + maps + 1
    stages = [first_stage(trunks.channels, maps), *(later_stage(seen, maps) for _ in range(5))]
    for module in trunks.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return TopDown(
        classes,
        skeleton,
        PoseMachine(trunks, stages, sigma=21.0),
        Beliefs(sigma=math.sqrt(2) * 7 / trunks.stride),  # the authors write exp(−d²/2σ²)
        Look((368, 368), share=0.64),
        Preparation(shorter=None, longer=480, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0)),
        Variation(),
    )


def cpm_mobilenet_v2(classes: Sequence[str], skeleton: Skeleton = PERSON) -> TopDown:
    """The light one, for CPUs: MobileNetV2, three light stages, crops of 192 × 144 pixels."""
    maps, encoder = len(skeleton.points) + 1, Stack(MobileNetV2(maps=3), (8, 16), 128)
    seen = encoder.channels + maps + 1
    stages = [light_stage(encoder.channels, maps), *(light_stage(seen, maps) for _ in range(2))]
    return TopDown(
        classes,
        skeleton,
        PoseMachine(encoder, stages, sigma=12.0),
        Beliefs(),
        Look((192, 144), share=0.8),
        Preparation(shorter=None, longer=480),
        Variation(),
    )
