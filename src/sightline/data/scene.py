"""What lies on a canvas: the labels of one training picture, as they are moved, cut and covered.

A canvas is (S, S, 3) uint8; boxes are float32 xyxy in its pixels. Letters: N objects, P keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from sightline.data.placement import Placement
from sightline.data.records import Objects, Segment
from sightline.errors import DatasetError
from sightline.types import Size, Targets

__all__ = ["Keep", "Scene"]

MASK_BYTES = 1 << 30
"""The most that the masks of one canvas may take: 10,000 objects at 320 × 320."""


@dataclass(frozen=True)
class Scene:
    """What lies on a canvas. `masks` are (N, S, S), all False where an object's is not known."""

    boxes: Float[ndarray, "N 4"]
    labels: Int[ndarray, "N"]
    crowd: Bool[ndarray, "N"]
    masks: Bool[ndarray, "N S S"] | None = None
    keypoints: Float[ndarray, "N P 3"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: ndarray) -> "Scene":
        """The objects chosen by a boolean mask or an index array."""
        return Scene(
            self.boxes[rows],
            self.labels[rows],
            self.crowd[rows],
            None if self.masks is None else self.masks[rows],
            None if self.keypoints is None else self.keypoints[rows],
        )

    @classmethod
    def place(
        cls,
        objects: Objects,
        placement: Placement,
        size: Size,
        flips: Sequence[int] | None,
        keep: "Keep",
    ) -> "Scene":
        """The objects of a picture that still count once it is placed on a canvas of `size`."""
        whole = placement.boxes(objects.boxes)
        boxes = placement.inside(whole)
        rows = np.flatnonzero(keep(whole, boxes, objects.crowd))
        scene = cls(boxes[rows].astype(np.float32), objects.labels[rows], objects.crowd[rows])
        masks = keypoints = None
        if keep.masks and objects.segments is not None:
            masks = _masks([objects.segments[i] for i in rows], placement, size)
        if objects.keypoints is not None:
            keypoints = placement.keypoints(objects.keypoints[rows], flips)
        scene = cls(scene.boxes, scene.labels, scene.crowd, masks, keypoints)
        return scene if masks is None else scene.tightened(whole[rows] != boxes[rows], keep)

    def tightened(self, cut: Bool[ndarray, "N sides"], keep: "Keep") -> "Scene":
        """The boxes of cut objects drawn in to what is left of their masks; lost ones dropped."""
        assert self.masks is not None
        boxes, good = self.boxes.copy(), np.ones(len(self), bool)
        for i in np.flatnonzero(cut.any(axis=1)):
            columns, rows = self.masks[i].any(axis=0), self.masks[i].any(axis=1)
            if columns.any():  # else the mask is not known, or nothing of it is left
                xs, ys = np.flatnonzero(columns), np.flatnonzero(rows)
                boxes[i] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
                good[i] = self.crowd[i] or (boxes[i, 2:] - boxes[i, :2]).min() >= keep.min_size
        return Scene(boxes, self.labels, self.crowd, self.masks, self.keypoints)[good]

    @classmethod
    def join(cls, scenes: "Sequence[Scene]") -> "Scene":
        """All objects of several scenes on one canvas, in their order.

        Where only some scenes have masks or keypoints, those of the others are all zero.
        """
        return cls(
            np.concatenate([scene.boxes for scene in scenes]),
            np.concatenate([scene.labels for scene in scenes]),
            np.concatenate([scene.crowd for scene in scenes]),
            _join([scene.masks for scene in scenes], [len(scene) for scene in scenes]),
            _join([scene.keypoints for scene in scenes], [len(scene) for scene in scenes]),
        )

    def behind(self, stencil: Bool[ndarray, "S S"], keep: "Keep") -> "Scene":
        """What is left once something opaque covers `stencil`.

        Masks lose what is covered and their boxes shrink to the rest; objects of which less than
        `keep.min_visible` is left go; keypoints under the cover become hidden (visibility 1).
        """
        corners, good, cut = np.rint(self.boxes).astype(int), ~self.crowd, np.zeros(len(self), bool)
        masks = None if self.masks is None else self.masks & ~stencil
        for i, (x1, y1, x2, y2) in enumerate(corners):
            if self.masks is not None and masks is not None and self.masks[i].any():
                before, after = int(self.masks[i].sum()), int(masks[i].sum())
                cut[i] = after < before
            else:
                covered = stencil[y1:y2, x1:x2]
                before, after = covered.size, int(covered.size - covered.sum())
            good[i] = self.crowd[i] or (after > 0 and after >= keep.min_visible * before)
        keypoints = None
        if self.keypoints is not None:
            keypoints = self.keypoints.copy()
            x, y = (np.clip(keypoints[..., i].astype(int), 0, len(stencil) - 1) for i in (0, 1))
            keypoints[..., 2] = np.minimum(keypoints[..., 2], np.where(stencil[y, x], 1, 2))
        scene = Scene(self.boxes, self.labels, self.crowd, masks, keypoints)[good]
        return scene if masks is None else scene.tightened(cut[good, None], keep)

    def targets(self) -> Targets:
        """The same as tensors."""
        return Targets(
            torch.from_numpy(np.ascontiguousarray(self.boxes)),
            torch.from_numpy(np.ascontiguousarray(self.labels)),
            torch.from_numpy(np.ascontiguousarray(self.crowd)),
            None if self.masks is None else torch.from_numpy(self.masks),
            None if self.keypoints is None else torch.from_numpy(self.keypoints),
        )


@dataclass(frozen=True)
class Keep:
    """Which objects still count: `min_visible` of the area left, and no side under `min_size`.

    With `centre` their centre must be in sight too. A crowd region stays as long as anything of it
    is in sight. `masks` says whether to draw them.
    """

    min_visible: float
    min_size: float
    masks: bool
    centre: bool = False

    def __call__(
        self, whole: Float[ndarray, "N 4"], left: Float[ndarray, "N 4"], crowd: Bool[ndarray, "N"]
    ) -> Bool[ndarray, "N"]:
        """Which of the boxes stay, given all of each and what is left of it."""
        finite = np.isfinite(whole).all(axis=1)
        whole, left = (np.where(finite[:, None], boxes, 0) for boxes in (whole, left))
        sides, all_sides = left[:, 2:] - left[:, :2], whole[:, 2:] - whole[:, :2]
        before, after = all_sides.prod(axis=1), sides.prod(axis=1)
        smallest = sides.min(axis=1, initial=np.inf)
        good = (after >= self.min_visible * before) & (smallest >= self.min_size)
        if self.centre:  # what is left holds the centre just where the window does
            middle = (whole[:, :2] + whole[:, 2:]) / 2
            good &= ((left[:, :2] <= middle) & (middle <= left[:, 2:])).all(axis=1)
        seen: ndarray = finite & (smallest > 0) & (good | crowd)
        return seen


def _masks(
    segments: Sequence[Segment | None], placement: Placement, size: Size
) -> Bool[ndarray, "N H W"]:
    """The masks on the canvas; DatasetError where they would take too much memory."""
    if len(segments) * size[0] * size[1] > MASK_BYTES:
        raise DatasetError(
            f"the masks of {len(segments)} objects at {size[0]} × {size[1]} pixels do not fit",
            code="loader.too_many_masks",
            hint="train at a smaller size, or without masks",
        )
    answer = np.zeros((len(segments), *size), bool)
    for i, segment in enumerate(segments):
        if segment is not None:
            answer[i] = placement.mask(segment, size)
    return answer


def _join(parts: Sequence[ndarray | None], counts: Sequence[int]) -> ndarray | None:
    """Rows of all parts; zeros for those that are None, None where all are."""
    known = next((part for part in parts if part is not None), None)
    if known is None:
        return None
    return np.concatenate(
        [
            np.zeros((count, *known.shape[1:]), known.dtype) if part is None else part
            for part, count in zip(parts, counts, strict=True)
        ]
    )
