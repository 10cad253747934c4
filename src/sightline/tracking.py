"""Ids for objects across the frames of a video: who is who, by the overlap of boxes or poses.

Tracking by detection at its simplest (SORT's matching without its filter, Bewley 2016): an object
is where it was, or a little further. In each frame known tracks are paired with the detections by
the assignment of the largest total likeness (Kuhn 1955, scipy's `linear_sum_assignment`); a pair
must be of one class and be alike enough. Poses are compared by OKS, boxes by IoU. A track that is
not seen keeps its place for `age` frames, then it ends, and its id is never given again.

All here is arithmetic on what was found: the same frames give the same ids.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as bx
from sightline.errors import UsageError
from sightline.ops.oks import fall_off, mean_over
from sightline.skeletons import DEFAULT_SIGMA
from sightline.types import Detections


@dataclass(frozen=True)
class Tracking:
    """The tracker's numbers.

    `likeness` is the least IoU (boxes) or OKS (poses) of a pair, `age` how many frames in a row a
    track may be unseen, `hits` how many detections it needs before it has an id (1: at once).
    UsageError for numbers that make no sense.
    """

    likeness: float = 0.25
    age: int = 15
    hits: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.likeness <= 1 or self.age < 0 or self.hits < 1:
            raise UsageError(
                f"{self} makes no sense",
                code="usage.out_of_range",
                hint="0 < likeness ≤ 1, age 0 or more, hits 1 or more",
            )


@dataclass(frozen=True)
class Tracks:
    """What is known of T objects: where they were last, and for how long they are known.

    `ids` are 0 for those without one yet, `seen` counts detections, `unseen` the frames since the
    last, `given` is the highest id so far.
    """

    found: Detections
    motion: Float[Tensor, "T 2"]
    ids: Int[Tensor, "T"]
    seen: Int[Tensor, "T"]
    unseen: Int[Tensor, "T"]
    given: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def likeness(tracks: Detections, found: Detections) -> Float[Tensor, "T N"]:
    """How alike each known object and each detection are, 0 … 1; 0 between classes.

    OKS where both have keypoints, else IoU.
    """
    if tracks.keypoints is None or found.keypoints is None:
        alike = bx.iou(tracks.boxes, found.boxes)
    else:
        count = found.keypoints.shape[1]
        bones = found.skeleton or tracks.skeleton
        sigmas = torch.tensor(bones.sigmas if bones else (DEFAULT_SIGMA,) * count)
        areas = bx.area(tracks.boxes)
        alike = pose_likeness(tracks.keypoints, found.keypoints, areas, sigmas)
    return alike * (tracks.labels[:, None] == found.labels[None])


def pose_likeness(
    known: Float[Tensor, "T P 3"],
    found: Float[Tensor, "N P 3"],
    areas: Float[Tensor, "T"],
    sigmas: Float[Tensor, "P"],
) -> Float[Tensor, "T N"]:
    """OKS over the points that both poses have (score > 0); 0 where they share none.

    s² is the known object's area.
    """
    shared = (known[:, None, :, 2] > 0) & (found[None, :, :, 2] > 0)
    wide = areas.clamp(min=1)[:, None, None]
    return mean_over(fall_off(known[:, None, :, :2], found[None, :, :, :2], wide, sigmas), shared)


@dataclass
class Tracker:
    """Gives the detections of one frame after the other their ids: `tracker(found).tracks`.

    An object is looked for where its last steps lead: it goes on by the mean of what it moved by
    lately. Detections keep their order.
    """

    settings: Tracking = field(default_factory=Tracking)
    _known: Tracks | None = None

    def __call__(self, found: Detections) -> Detections:
        """The same detections, with `tracks`; once a frame, in the order of time."""
        self._known, named = follow(self._known, found, self.settings)
        return named


def follow(
    known: Tracks | None, found: Detections, settings: Tracking
) -> tuple[Tracks, Detections]:
    """One frame: (what is known after it, the detections with their ids)."""
    if known is None:
        known = _none(found)
    ahead = _moved(known.found, known.motion)
    rows, columns = _pairs(likeness(ahead, found), settings.likeness)
    fresh = torch.ones(len(found), dtype=torch.bool)
    fresh[columns] = False
    lost = torch.ones(len(known), dtype=torch.bool)
    lost[rows] = False
    lost &= known.unseen < settings.age

    step = bx.centres(found.boxes[columns]) - bx.centres(known.found.boxes[rows])
    motion = torch.zeros(len(found), 2)
    motion[columns] = 0.5 * known.motion[rows] + 0.5 * step
    seen = torch.ones(len(found), dtype=torch.int64)
    seen[columns] = known.seen[rows] + 1
    ids = torch.zeros(len(found), dtype=torch.int64)
    ids[columns] = known.ids[rows]
    new = (ids == 0) & (seen >= settings.hits)
    ids[new] = known.given + 1 + torch.arange(int(new.sum()))

    named = replace(found, tracks=ids)
    still = Tracks(
        _joined(found, ahead[lost]),
        torch.cat([motion, known.motion[lost]]),
        torch.cat([ids, known.ids[lost]]),
        torch.cat([seen, known.seen[lost]]),
        torch.cat([torch.zeros_like(seen), known.unseen[lost] + 1]),
        known.given + int(new.sum()),
    )
    return still, named


def _pairs(alike: Float[Tensor, "T N"], least: float) -> tuple[Tensor, Tensor]:
    """Rows and columns of the pairs of the best assignment, of those that are alike enough."""
    from scipy.optimize import linear_sum_assignment  # half a second, and only videos need it

    allowed = torch.where(alike >= least, alike, torch.zeros_like(alike))
    rows, columns = (torch.from_numpy(part) for part in linear_sum_assignment(-allowed.numpy()))
    kept = allowed[rows, columns] > 0
    return rows[kept], columns[kept]


def _none(found: Detections) -> Tracks:
    nothing = torch.zeros(0, dtype=torch.int64)
    return Tracks(_bare(found[[]]), torch.zeros(0, 2), nothing, nothing, nothing)


def _bare(found: Detections) -> Detections:
    """What a track needs of a detection: masks are large, and not compared."""
    return replace(found, masks=None, tracks=None)


def _moved(found: Detections, by: Float[Tensor, "T 2"]) -> Detections:
    points = found.keypoints
    if points is not None:
        points = torch.cat([points[..., :2] + by[:, None], points[..., 2:]], dim=-1)
    return replace(found, boxes=found.boxes + by.repeat(1, 2), keypoints=points)


def _joined(first: Detections, second: Detections) -> Detections:
    both = first.keypoints is not None and second.keypoints is not None
    points = torch.cat([first.keypoints, second.keypoints]) if both else None  # type: ignore[list-item]
    return replace(
        _bare(first),
        boxes=torch.cat([first.boxes, second.boxes]),
        scores=torch.cat([first.scores, second.scores]),
        labels=torch.cat([first.labels, second.labels]),
        region=torch.cat([first.region, second.region]),
        keypoints=points,
    )
