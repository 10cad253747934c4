"""The records that pass between the stages of every detector.

    list[image] --prepare--> Batch --encode--> features --propose--> Regions
                --classify--> Scored --postprocess--> list[Detections]

All are frozen dataclasses of plain tensors. Boxes are (…, 4) xyxy in continuous absolute pixels:
pixel i covers [i, i + 1). Inside a batch boxes lie in the *prepared* image's pixels and rows of all
images are packed, with an `image` column; `Detections` and the labels of a user's image lie in the
pixels of the original, upright image. Sizes are (height, width).

Letters: B images, R regions, K classes, N detections or objects, P keypoints, H W pixels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sightline.bitmaps import Masks, polygons, run_lengths, to_text, window
from sightline.errors import UsageError
from sightline.skeletons import Skeleton

Size = tuple[int, int]
"""(height, width) in pixels."""

Features = tuple[Tensor, ...]
"""What the encoder sees: one (B, C, H, W) map a level, finest first."""


@dataclass(frozen=True)
class Frame:
    """How one original image lies inside its prepared one: the way there and back.

    `original` is the upright image's size, `resized` the size that its pixels have in the batch,
    `offset` the (top, left) corner at which they lie; the rest is padding.
    """

    original: Size
    resized: Size
    offset: tuple[int, int] = (0, 0)

    @property
    def way(self) -> tuple[tuple[float, float], tuple[int, int]]:
        """What (x, y) of the original image are multiplied by, and what is added to them then."""
        y, x = (r / o for r, o in zip(self.resized, self.original, strict=True))
        top, left = self.offset
        return (x, y), (left, top)

    def _scale(self, points: Tensor) -> tuple[Tensor, Tensor]:
        (scale, offset), repeat = self.way, points.shape[-1] // 2
        return points.new_tensor(scale * repeat), points.new_tensor(offset * repeat)

    def to_original(self, points: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Boxes (…, 4) or points (…, 2) from the prepared image to the original one."""
        scale, offset = self._scale(points)
        return (points - offset) / scale

    def to_prepared(self, points: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Boxes (…, 4) or points (…, 2) from the original image to the prepared one."""
        scale, offset = self._scale(points)
        return points * scale + offset


@dataclass(frozen=True)
class Batch:
    """Images as the network sees them: normalised, resized, padded, all of one size; `originals`
    are their upright bytes, only for detectors that look at parts of them again.
    """

    pixels: Float[Tensor, "B 3 H W"]
    frames: tuple[Frame, ...]
    originals: tuple[UInt8[Tensor, "3 _ _"], ...] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> Size:
        """The prepared size, padding included."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        looked = self.originals and tuple(image.to(device) for image in self.originals)
        return replace(self, pixels=self.pixels.to(device), originals=looked)


@dataclass(frozen=True)
class Regions:
    """Where to look: windows, proposals, anchors, cells. Rows of all images are packed.

    `level` is the pyramid level a region belongs to; `scores` an objectness where there is one.
    """

    boxes: Float[Tensor, "R 4"]
    image: Int[Tensor, "R"]
    level: Int[Tensor, "R"]
    scores: Float[Tensor, "R"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Tensor) -> "Regions":
        """A subset, by boolean mask or indices."""
        scores = None if self.scores is None else self.scores[rows]
        return Regions(self.boxes[rows], self.image[rows], self.level[rows], scores)

    def to(self, device: torch.device | str) -> "Regions":
        """The same regions on another device."""
        scores = None if self.scores is None else self.scores.to(device)
        return Regions(self.boxes.to(device), self.image.to(device), self.level.to(device), scores)


@dataclass(frozen=True)
class Scored:
    """What is there: a score for every class of every region, and the refined boxes.

    `scores` is what the threshold is held against: probabilities, or margins for SVMs; a softmax's
    background column is dropped. `boxes` is (R, 4), or (R, K, 4) where offsets are class-specific.
    """

    regions: Regions
    scores: Float[Tensor, "R K"]
    boxes: Float[Tensor, "R 4"] | Float[Tensor, "R K 4"]
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "Scored":
        """The same scores, boxes and regions on another device."""
        extras = {name: value.to(device) for name, value in self.extras.items()}
        return Scored(
            self.regions.to(device), self.scores.to(device), self.boxes.to(device), extras
        )


@dataclass(frozen=True)
class Detections:
    """The answer for one image, best first, in the pixels of the original upright image.

    `region` is the row of the batch's `Regions` that each detection came from. `labels` index
    `classes`; `category_ids`, where known, are the data set's own ids of the same classes.
    `masks` are (N, H, W) booleans, or make them when asked (`Masks`): ask for the form you need,
    `bitmaps()`, `run_lengths()` or `polygons()`. `keypoints` are (N, P, 3): x, y, score; `skeleton`
    says what they mean, where that is known. `tracks` are ids of objects that are followed through
    a video, from 1, and 0 for what has none yet (`sightline.tracking`).
    """

    boxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, "N"]
    labels: Int[Tensor, "N"]
    region: Int[Tensor, "N"]
    size: Size
    classes: tuple[str, ...]
    category_ids: tuple[int, ...] | None = None
    masks: Bool[Tensor, "N H W"] | Masks | None = None
    keypoints: Float[Tensor, "N P 3"] | None = None
    skeleton: Skeleton | None = None
    tracks: Int[Tensor, "N"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Tensor | slice | list[int]) -> "Detections":
        """A subset, by boolean mask, index tensor, list or slice."""
        index = torch.tensor(rows, dtype=torch.int64) if isinstance(rows, list) else rows
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            region=self.region[index],
            masks=None if self.masks is None else self.masks[index],
            keypoints=None if self.keypoints is None else self.keypoints[index],
            tracks=None if self.tracks is None else self.tracks[index],
        )

    def __iter__(self) -> Iterator[tuple[str, float, list[float]]]:
        """(class name, score, [x1, y1, x2, y2]) of each detection."""
        yield from zip(self.names, self.scores.tolist(), self.boxes.tolist(), strict=True)

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.classes[label] for label in self.labels.tolist()]

    def above(self, score: float) -> "Detections":
        """Those with a score greater than `score`."""
        return self[self.scores > score]

    def bitmaps(self) -> Bool[Tensor, "N H W"]:
        """All masks as pixels at once, N · H · W bytes; UsageError where there are no masks."""
        return torch.from_numpy(self._masks().cpu().numpy())

    def run_lengths(self) -> list[dict[str, Any]]:
        """Each mask as COCO's RLE, {"size": [height, width], "counts": text}; UsageError as above.

        One mask at a time, and only the part of the image that it lies in, as in `polygons`.
        """
        masks, size = self._masks(), self.size
        rows = (run_lengths(window(masks, row), size) for row in range(len(self)))
        return [{"size": list(size), "counts": to_text(counts)} for counts in rows]

    def polygons(self) -> list[list[list[int]]]:
        """Each mask as COCO's polygons, [[x1, y1, x2, y2, …], …]; UsageError as above.

        The exact borders of the pixels, in whole numbers: rasterised by COCO's rule they give the
        mask again. One ring a part (4-connected); holes, which COCO's polygons do not know, are cut
        out of their part's ring by lines walked there and back. Without pixels there is none.
        """
        masks = self._masks()
        rows = (polygons(window(masks, row)) for row in range(len(self)))
        return [[ring.astype(int).ravel().tolist() for ring in rings] for rings in rows]

    def _masks(self) -> Masks | Tensor:
        if self.masks is None:
            hint = "models that find masks have mask in their name, such as mask_rcnn"
            raise UsageError("these detections have no masks", code="usage.no_masks", hint=hint)
        return self.masks

    def to_dict(self) -> dict[str, Tensor]:
        """Tensors as torchvision names them; labels here are 0-based, without a background.

        Masks are pixels, (N, H, W) booleans.
        """
        answer = {"boxes": self.boxes, "labels": self.labels, "scores": self.scores}
        if self.masks is not None:
            answer["masks"] = self.bitmaps()
        if self.keypoints is not None:
            answer["keypoints"] = self.keypoints
        return answer

    def to_json(self, masks: str | None = None) -> list[dict[str, Any]]:
        """Plain data: label, score, box [x1, y1, x2, y2] of each, keypoints and track_id if any.

        `masks="rle"` adds "mask" as `run_lengths` gives it, and `masks="polygons"` as `polygons`.
        UsageError for another form, and where there are no masks.
        """
        rows: list[dict[str, Any]] = [
            {"label": name, "score": score, "box": box} for name, score, box in self
        ]
        for key, column in (("keypoints", self.keypoints), ("track_id", self.tracks)):
            for row, value in zip(rows, [] if column is None else column.tolist(), strict=False):
                row[key] = value
        if masks is not None:
            if masks not in ("rle", "polygons"):
                message = f"masks cannot be told in JSON as {masks!r}"
                raise UsageError(message, code="usage.masks", hint="known are rle, polygons")
            told: list[Any] = self.polygons() if masks == "polygons" else self.run_lengths()
            for row, mask in zip(rows, told, strict=True):
                row["mask"] = mask
        return rows

    def to_supervision(self) -> Any:
        """A `supervision.Detections`, where that package is installed."""
        try:
            import supervision
        except ImportError as error:
            message, hint = "the package supervision is not installed", "pip install supervision"
            raise UsageError(message, code="usage.extra_missing", hint=hint) from error
        import numpy

        return supervision.Detections(
            xyxy=self.boxes.numpy(),
            confidence=self.scores.numpy(),
            class_id=self.labels.numpy(),
            mask=None if self.masks is None else self.masks.numpy(),
            tracker_id=None if self.tracks is None else self.tracks.numpy(),
            data={"class_name": numpy.array(self.names)},
        )


@dataclass(frozen=True)
class Targets:
    """What truly is in one image of a batch, in the prepared image's pixels.

    `crowd` marks regions where nothing may be learnt; `masks` are (N, H, W) of the prepared size;
    `keypoints` are (N, P, 3): x, y, visibility 0 (not labelled), 1 (hidden), 2 (visible).
    """

    boxes: Float[Tensor, "N 4"]
    labels: Int[Tensor, "N"]
    crowd: Bool[Tensor, "N"]
    masks: Bool[Tensor, "N H W"] | None = None
    keypoints: Float[Tensor, "N P 3"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> "Targets":
        """The same targets on another device."""
        return Targets(
            self.boxes.to(device),
            self.labels.to(device),
            self.crowd.to(device),
            None if self.masks is None else self.masks.to(device),
            None if self.keypoints is None else self.keypoints.to(device),
        )
