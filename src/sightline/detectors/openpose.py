"""OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields (Cao 2017; 2019).

Everybody's pose in one pass, whose time does not grow with the people: maps of where parts are, and
beside them vector fields that say which parts belong together. The limb between two candidate parts
is as likely as the field along it points from one to the other.

Departures. The background's map is learnt and not used. People without labelled points, and crowds,
are known by boxes, not by masks: what lies in them teaches nothing, unless it belongs to a labelled
person. Points come out in the data set's own order; the neck only helps to join them. Limbs that do
not join all points are added to (`skeletons.joined`). The networks of 2017 and 2019 are the
published ones; `openpose_mobilenet_v2` has the second's order of stages, on a light backbone, and
cells near a part or on a limb count more than others, because most cells are empty.

Key of shapes: B images, N people, P parts, L limbs, h w cells of a map of stride s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.detectors.bottom_up import Association, BottomUp, Decoding
from sightline.detectors.losses import normaliser
from sightline.nets import openpose as nets
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import Stack
from sightline.ops.pose_targets import affinity_fields, part_maps
from sightline.preparation import Preparation
from sightline.skeletons import NECK, PERSON, SHOULDERS, Skeleton, joined, with_neck
from sightline.types import Batch, Features, Size, Targets

Neck = Literal["auto", "yes", "no"]
"""Whether the network also looks for the middle of the shoulders, where OpenPose's limbs start;
"auto" if the skeleton has shoulders.
"""

BYTES_TO_HALF = Preparation(
    shorter=None, longer=656, divisor=8, mean=(128 / 255,) * 3, std=(256 / 255,) * 3
)
"""Bytes / 256 − ½, as the published networks read them; 656 pixels at most."""


def limb_middles(
    people: Float[Tensor, "N P 3"], limbs: Int[Tensor, "L 2"]
) -> Float[Tensor, "N L 3"]:
    """Where the middles of limbs are; they are labelled where both ends are."""
    first, second = people[:, limbs[:, 0]], people[:, limbs[:, 1]]
    seen = torch.minimum(first[..., 2], second[..., 2])
    return torch.cat([(first[..., :2] + second[..., :2]) / 2, seen[..., None]], dim=2)


def add_neck(people: Float[Tensor, "N P 3"], bones: Skeleton) -> Float[Tensor, "N Q 3"]:
    """The people with their neck as last point."""
    ends = torch.tensor([[bones.points.index(name) for name in SHOULDERS]], device=people.device)
    return torch.cat([people, limb_middles(people, ends)], dim=1)


@dataclass(frozen=True)
class Truth:
    """What the answers should be: the fields or middles, the part maps, and where it counts.

    `fields` is (B, 2L or L, h, w), `maps` (B, P + 1, h, w) with the background last, and `counts`
    (B, 1, h, w) is 0 where people are not labelled.
    """

    fields: Tensor
    maps: Tensor
    counts: Tensor


@dataclass(frozen=True)
class PoseCriterion:
    """Squared differences at every stage, but where people are not labelled (eqs. 5 and 6).

    `sigma` of part maps and half the `width` of limbs are in pixels of the prepared image. Cells
    where a part's map or a limb's field is not empty count `near` times in that channel.
    """

    association: Association = "pafs"
    sigma: float = 9.9
    width: float = 8.0
    near: float = 1.0

    def truth(self, targets: Sequence[Targets], parts: Skeleton, grid: Size, stride: int) -> Truth:
        """Maps and fields of the people in the images, and where anything can be learnt."""
        people, hidden = [], []
        owner: list[int] = []
        for row, target in enumerate(targets):
            hidden.append(_unlabelled(target, grid, stride))
            if target.keypoints is not None and len(target):
                known = target.keypoints[~target.crowd]
                people.append(known)
                owner.extend([row] * len(known))
        count = len(parts.points)
        joint = torch.cat(people) if people else targets[0].boxes.new_zeros(0, count, 3)
        cells = joint / joint.new_tensor([stride, stride, 1.0])
        rows = torch.tensor(owner, dtype=torch.int64, device=cells.device)
        limbs = torch.tensor(parts.limbs, dtype=torch.int64).view(-1, 2)
        images, sigma = len(targets), self.sigma / stride
        maps = part_maps(cells, rows, images, grid, sigma)
        if self.association == "pafs":
            fields = affinity_fields(cells, rows, limbs, images, grid, self.width / stride)
        else:
            fields = part_maps(limb_middles(cells, limbs), rows, images, grid, sigma)
        found = (maps > 0).any(dim=1) | (fields != 0).any(dim=1)
        counts = (found | ~torch.stack(hidden))[:, None].to(maps.dtype)
        background = 1 - maps.amax(dim=1, keepdim=True)
        return Truth(fields, torch.cat([maps, background], dim=1), counts)

    def __call__(
        self, answers: nets.Stages, targets: Sequence[Targets], parts: Skeleton, stride: int
    ) -> dict[str, Tensor]:
        """The sum over stages and channels of the mean over the cells of the batch, by part."""
        grid = (answers[1][0].shape[2], answers[1][0].shape[3])
        truth = self.truth(targets, parts, grid, stride)
        total = normaliser(truth.counts.new_tensor(float(truth.counts.numel())))
        losses = {}
        for name, stages, wanted in (
            ("fields" if self.association == "pafs" else "middles", answers[0], truth.fields),
            ("parts", answers[1], truth.maps),
        ):
            counts = truth.counts
            if self.near != 1.0:
                counts = counts * torch.where(_near(wanted, name), self.near, 1.0)
            wrong = sum((((one.float() - wanted) ** 2) * counts).sum() for one in stages)
            losses[name] = torch.as_tensor(wrong) / total
        return losses


def _near(wanted: Tensor, name: str) -> Tensor:
    """Where a channel is not empty: both of a field's have the same cells, the background none."""
    there = wanted != 0
    if name == "fields":
        pairs = there.view(len(wanted), -1, 2, *wanted.shape[2:])
        return pairs.any(dim=2, keepdim=True).expand_as(pairs).flatten(1, 2)
    if name == "parts":
        there[:, -1] = False
    return there


def _unlabelled(target: Targets, grid: Size, stride: int) -> Tensor:
    """The cells that lie in the box of a crowd, or of a person without any labelled point."""
    rows = target.crowd.clone()
    if target.keypoints is None:
        rows[:] = True
    else:
        rows |= ~(target.keypoints[..., 2] > 0).any(dim=1)
    hidden = torch.zeros(grid, dtype=torch.bool, device=target.boxes.device)
    for x1, y1, x2, y2 in (target.boxes[rows] / stride).tolist():
        top, left = max(int(y1), 0), max(int(x1), 0)
        hidden[top : max(int(-(-y2 // 1)), 0), left : max(int(-(-x2 // 1)), 0)] = True
    return hidden


class Network(NamedTuple):
    """Features of stride `encoder.stride`, and the stages that look at them."""

    encoder: Stack | nets.Features
    stages: nn.Module


class OpenPose(BottomUp):
    """Features, stages, decoding. `skeleton` is the data set's, which comes out; the network's
    `parts` are the same points, or these and the neck, with limbs that join them all.
    """

    learns_poses = True

    def __init__(
        self,
        classes: Sequence[str],
        skeleton: Skeleton,
        parts: Skeleton,
        network: Network,
        criterion: PoseCriterion,
        preparation: Preparation,
        decoding: Decoding,
    ) -> None:
        stride = network.encoder.stride
        super().__init__(classes, skeleton, parts, stride, preparation, decoding)
        self.encoder, self.stages, self.criterion = *network, criterion

    def answers(self, pixels: Float[Tensor, "B 3 H W"]) -> nets.Stages:
        """Fields (or maps of middles) and part maps of every stage."""
        found: nets.Stages = self.stages(self.encoder(pixels)[0])
        return found

    def maps(self, pixels: Float[Tensor, "B 3 H W"]) -> Features:
        """The last stage's part maps, background last, and its fields (or maps of middles)."""
        fields, maps = self.answers(pixels)
        return maps[-1].float(), fields[-1].float()

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by part, over all stages; images without people are welcome."""
        answers = self.answers(batch.pixels)
        people = [self._seen(target) for target in targets]
        return self.criterion(answers, people, self.parts, self.stride)

    def _seen(self, target: Targets) -> Targets:
        """The targets with the points that the network looks for."""
        if target.keypoints is None or len(self.parts.points) == len(self.skeleton.points):
            return target
        return replace(target, keypoints=add_neck(target.keypoints, self.skeleton))


def _parts(skeleton: Skeleton, neck: Neck) -> Skeleton:
    """The points that the network looks for, and limbs that join them all."""
    shoulders = set(SHOULDERS) <= set(skeleton.points) and NECK not in skeleton.points
    wanted = shoulders if neck == "auto" else neck == "yes"
    return joined(with_neck(skeleton) if wanted else skeleton)


def _channels(parts: Skeleton, association: Association) -> tuple[int, int]:
    """How many channels the fields (or maps of middles) and the part maps have."""
    each = 2 if association == "pafs" else 1
    return each * len(parts.limbs), len(parts.points) + 1


def _published(
    classes: Sequence[str],
    skeleton: Skeleton,
    neck: Neck,
    association: Association,
    stages: Callable[[int, int, int], nn.Module],
) -> OpenPose:
    """The stages of a paper on VGG-19's front."""
    parts, encoder = _parts(skeleton, neck), nets.Features()
    network = Network(encoder, stages(encoder.channels, *_channels(parts, association)))
    criterion, decoding = PoseCriterion(association), Decoding(association=association)
    return OpenPose(classes, skeleton, parts, network, criterion, BYTES_TO_HALF, decoding)


def openpose_2017_vgg19(
    classes: Sequence[str],
    skeleton: Skeleton = PERSON,
    neck: Neck = "auto",
    association: Association = "pafs",
) -> OpenPose:
    """The first paper's: VGG-19's front, two branches, six stages."""
    return _published(classes, skeleton, neck, association, nets.TwoBranches)


def openpose_2019_vgg19(
    classes: Sequence[str],
    skeleton: Skeleton = PERSON,
    neck: Neck = "auto",
    association: Association = "pafs",
) -> OpenPose:
    """The second paper's: four stages of fields, then two of maps, of triplets of 3×3."""
    return _published(classes, skeleton, neck, association, nets.in_turn)


def openpose_mobilenet_v2(
    classes: Sequence[str],
    skeleton: Skeleton = PERSON,
    neck: Neck = "auto",
    association: Association = "pafs",
) -> OpenPose:
    """The light one, for CPUs: MobileNetV2's maps of strides 8, 16 and 32 as one of 96 channels,
    two stages of fields and one of maps, 512 pixels.
    """
    parts, encoder = _parts(skeleton, neck), Stack(MobileNetV2(), (8, 16, 32), 96)
    network = Network(encoder, nets.light(encoder.channels, *_channels(parts, association)))
    criterion, decoding = PoseCriterion(association, near=4.0), Decoding(association=association)
    preparation = Preparation(shorter=None, longer=512)
    return OpenPose(classes, skeleton, parts, network, criterion, preparation, decoding)
