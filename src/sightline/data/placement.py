"""Where a picture lies on a canvas, and with it everything that is labelled in it.

One `Placement` moves pixels, boxes, masks and keypoints, so that they cannot disagree. A canvas is
(S, S, 3) uint8; boxes are float32 xyxy in its pixels. Letters: N objects, P keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from sightline.data.masks import rasterise
from sightline.data.records import Objects, Polygons, Segment
from sightline.ops.warp import halve, paint
from sightline.types import Size

__all__ = ["Picture", "Placement"]

EVERYWHERE = np.zeros((0, 0), bool)


@dataclass(frozen=True)
class Picture:
    """A decoded image and what is in it; halved copies stand ready for shrinking.

    `levels[i]` is (H / 2ⁱ, W / 2ⁱ, 3) uint8.
    """

    levels: tuple[UInt8[ndarray, "_ _ 3"], ...]
    objects: Objects

    @classmethod
    def of(cls, pixels: UInt8[ndarray, "H W 3"], objects: Objects, count: int = 4) -> "Picture":
        """A picture with up to `count` levels, none of them with a side under 2."""
        levels = [np.ascontiguousarray(pixels)]
        while len(levels) < count and min(levels[-1].shape[:2]) >= 4:
            levels.append(halve(levels[-1]))
        return cls(tuple(levels), objects)

    @property
    def size(self) -> Size:
        """(height, width) of the upright image."""
        return self.levels[0].shape[0], self.levels[0].shape[1]

    @property
    def nbytes(self) -> int:
        """What the pixels of all levels take."""
        return sum(level.nbytes for level in self.levels)


@dataclass(frozen=True)
class Placement:
    """The map (sx, tx, sy, ty) from a picture to a canvas, x ↦ sx · x + tx, and its window.

    Nothing outside `clip` (left, top, right, bottom; whole pixels) is drawn. A negative sx mirrors.
    """

    affine: Float[ndarray, "4"]
    clip: Int[ndarray, "4"]

    @property
    def mirrored(self) -> bool:
        """Left and right have changed places."""
        return bool(self.affine[0] < 0)

    @cached_property
    def shrink(self) -> float:
        """How many pixels of the picture fall on one of the canvas, along a side."""
        return float(1 / np.sqrt(abs(self.affine[0] * self.affine[2])))

    def paint(
        self,
        canvas: UInt8[ndarray, "S S 3"],
        picture: Picture,
        colour: Float[ndarray, "3 4"],
        stencil: Bool[ndarray, "a b"] = EVERYWHERE,
    ) -> None:
        """Draw the picture, from the level that shrinks least by more than a half."""
        level = round(np.log2(max(self.shrink, 1)))
        level = min(level, len(picture.levels) - 1)
        affine = self.affine * np.array([1 << level, 1, 1 << level, 1], float)
        paint(canvas, picture.levels[level], affine, self.clip, colour, stencil)

    def points(self, points: Float[ndarray, "*n two"]) -> Float[ndarray, "*n two"]:
        """Points (…, 2) of the picture, on the canvas, whether inside the window or not."""
        moved: ndarray = points * self.affine[0::2] + self.affine[1::2]
        return moved

    def boxes(self, boxes: Float[ndarray, "N 4"]) -> Float[ndarray, "N 4"]:
        """Boxes of the picture on the canvas, not clipped."""
        moved = self.points(boxes.reshape(-1, 2, 2).astype(np.float64)).reshape(-1, 4)
        if self.mirrored:
            moved = moved[:, [2, 1, 0, 3]]
        return moved

    def inside(self, boxes: Float[ndarray, "N 4"]) -> Float[ndarray, "N 4"]:
        """Boxes of the canvas, clipped to the window."""
        clipped: ndarray = np.clip(boxes, self.clip[[0, 1, 0, 1]], self.clip[[2, 3, 2, 3]])
        return clipped

    def mask(self, segment: Segment, size: Size) -> Bool[ndarray, "H W"]:
        """A mask of the picture as pixels of a canvas of `size`: polygons are moved, then drawn;
        run lengths are drawn, then sampled at the canvas pixels' centres.
        """
        x1, y1, x2, y2 = (int(value) for value in self.clip)
        answer = np.zeros(size, bool)
        if isinstance(segment, Polygons):
            corner = np.array([x1, y1], float)
            rings = tuple(self.points(ring) - corner for ring in segment.rings)
            answer[y1:y2, x1:x2] = rasterise(Polygons(rings), (y2 - y1, x2 - x1))
            return answer
        bitmap = rasterise(segment, segment.size)
        sx, tx, sy, ty = self.affine
        xs = np.floor((np.arange(x1, x2) + 0.5 - tx) / sx).astype(np.int64)
        ys = np.floor((np.arange(y1, y2) + 0.5 - ty) / sy).astype(np.int64)
        good_x, good_y = (xs >= 0) & (xs < bitmap.shape[1]), (ys >= 0) & (ys < bitmap.shape[0])
        sampled = bitmap[np.where(good_y, ys, 0)[:, None], np.where(good_x, xs, 0)]
        answer[y1:y2, x1:x2] = sampled & good_y[:, None] & good_x
        return answer

    def keypoints(
        self, keypoints: Float[ndarray, "N P 3"], flips: Sequence[int] | None
    ) -> Float[ndarray, "N P 3"]:
        """Keypoints on the canvas; visibility 0 outside the window, left and right exchanged."""
        answer = keypoints.copy()
        if self.mirrored and flips is not None:
            answer = answer[:, list(flips)]
        answer[..., :2] = self.points(answer[..., :2])
        x1, y1, x2, y2 = self.clip
        x, y = answer[..., 0], answer[..., 1]
        hidden = (answer[..., 2] <= 0) | (x < x1) | (x >= x2) | (y < y1) | (y >= y2)
        answer[hidden] = 0
        return answer
