"""What a detector cannot reach in a data set, before it is trained or asked for a single answer.

An object that no anchor, prior or window overlaps by half is one that nothing is taught, or no
answer fits; two objects in one cell of YOLO v1, or with one prior of YOLO v2 and v3, leave one of
them without an answer; what proposals miss, nothing behind them finds; and a few pixels at the size
that the network sees show little. Regions that depend on an image's size alone are made once a
size; those that depend on its pixels are looked for in a sample of the images.

The labels are not wrong: every finding is a warning about this data with this model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from sightline import boxes as geometry
from sightline import images
from sightline.data.records import Dataset, Example, Fault
from sightline.detectors.yolo_v1 import YoloV1
from sightline.detectors.yolo_v2 import YoloV2
from sightline.evaluate.proposals import proposer
from sightline.pipeline import Detector
from sightline.types import Batch, Features, Size

ENOUGH = 0.5
"""The IoU from which on a region counts as one that meets an object."""

TINY = 8.0
"""Pixels that an object's sides have, in the geometric mean, where it can still be seen."""

SAMPLE = 50
"""Images whose proposals are looked for, of each split."""

Heard = Callable[[int, int], None]


def blind_spots(
    detector: Detector,
    splits: Mapping[str, Dataset],
    trained: bool,
    sample: int = SAMPLE,
    heard: Heard = lambda done, total: None,
) -> list[Fault]:
    """Everything that the objects of `splits` and the detector's geometry tell, crowds aside.

    Codes: `reach.tiny`, `reach.no_region`, `reach.one_cell`, `reach.proposal`, and the note
    `reach.ceiling` of each split. Proposals that are learnt (`trained` says that they are) or
    searched are those of `sample` images, evenly taken; `heard(done, total)` is told of all images.
    """
    look = _Look(detector, trained)
    total, done, answer = sum(len(part) for part in splits.values()), 0, list[Fault]()
    for name, dataset in splits.items():
        chosen = set(np.linspace(0, len(dataset) - 1, min(sample, len(dataset))).round().tolist())
        best: list[float] = []
        for place, example in enumerate(dataset):
            goals = np.flatnonzero(~example.objects.crowd)
            if len(goals):
                answer += look.at(example, goals)
                if place in chosen and look.proposes:
                    answer += look.proposals(example, goals, best)
            done += 1
            heard(done, total)
        if best:
            answer.append(_ceiling(name, dataset, np.array(best), min(sample, len(dataset))))
    return answer


def _ceiling(name: str, dataset: Dataset, best: Float[ndarray, "G"], images: int) -> Fault:
    reached = (best >= ENOUGH).mean()
    message = (
        f"{reached:.1%} of {len(best)} objects in {images} sampled images of {name} have a "
        f"proposal of IoU {ENOUGH:g}, {(best >= 0.7).mean():.1%} one of 0.7"
    )
    hint = "nothing behind the proposals can find more"
    return Fault("reach.ceiling", message, str(dataset.root), f"split {name}", hint, "note")


@dataclass
class _Look:
    """A detector, and what was made for one prepared size."""

    detector: Detector
    trained: bool
    made: dict[Size, tuple[Features, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first = proposer(self.detector)
        self.searches = bool(getattr(self.detector, "searches", False))
        self.proposes = self.searches or (self.first is not self.detector and self.trained)

    def at(self, example: Example, goals: ndarray) -> Iterator[Fault]:
        """What an image's size and its objects tell."""
        blank = torch.zeros(3, *example.size, dtype=torch.uint8)
        batch = self.detector.prepare([blank])
        boxes = torch.from_numpy(example.objects.boxes[goals]).float()
        boxes = batch.frames[0].to_prepared(boxes)
        yield from _tiny(example, goals, boxes)
        poses = getattr(self.detector, "learns_poses", False)
        if self.searches or poses or len(boxes) == 0:
            return
        features, regions = self._regions(batch)
        if isinstance(self.detector, YoloV1):
            cell = self.detector.grid.cell_of(geometry.centres(boxes), batch.size)
            where = f"one cell of {self.detector.grid.side} × {self.detector.grid.side}"
            yield from _shared(example, goals, cell, where)
            return
        if isinstance(self.detector, YoloV2):
            place = self.detector.cells(features).responsible(boxes)
            yield from _shared(example, goals, place, "one prior of one cell")
        yield from _unmet(example, goals, boxes, regions)

    def _regions(self, batch: Batch) -> tuple[Features, Tensor]:
        """The maps and regions of a blank image of this prepared size."""
        if batch.size not in self.made:
            with torch.inference_mode():
                features = self.first.encode(batch)
                self.made[batch.size] = (features, self.first.propose(batch, features).boxes.cpu())
        return self.made[batch.size]

    @torch.inference_mode()
    def proposals(self, example: Example, goals: ndarray, best: list[float]) -> Iterator[Fault]:
        """What is proposed in the pixels; `best` gets each object's highest overlap."""
        batch = self.detector.prepare([images.read(example.path)])
        regions = self.detector.propose(batch, self.detector.encode(batch)).boxes.cpu()
        boxes = torch.from_numpy(example.objects.boxes[goals]).float()
        reached = _best(batch.frames[0].to_prepared(boxes), regions)
        best += reached.tolist()
        for row, value in zip(goals.tolist(), reached.tolist(), strict=True):
            if value < ENOUGH:
                message = f"the best of {len(regions)} proposals overlaps it by {value:.2f}"
                hint = "the model cannot find it, however well it judges"
                yield _fault("reach.proposal", message, example, row, hint)


def _best(boxes: Float[Tensor, "G 4"], regions: Float[Tensor, "R 4"]) -> Float[Tensor, "G"]:
    """The highest IoU of any region with each object."""
    if not len(regions):
        return torch.zeros(len(boxes))
    return geometry.iou(boxes, regions.float()).amax(dim=1)


def _tiny(example: Example, goals: ndarray, boxes: Float[Tensor, "G 4"]) -> Iterator[Fault]:
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp(min=0).sqrt()
    for row, side in zip(goals.tolist(), sides.tolist(), strict=True):
        if side < TINY:
            message = f"about {side:.1f} pixels a side at the size that the model sees"
            hint = "train and detect at a larger size, or in tiles"
            yield _fault("reach.tiny", message, example, row, hint)


def _unmet(
    example: Example, goals: ndarray, boxes: Float[Tensor, "G 4"], regions: Tensor
) -> Iterator[Fault]:
    for row, value in zip(goals.tolist(), _best(boxes, regions).tolist(), strict=True):
        if value < ENOUGH:
            message = f"the best of {len(regions)} regions overlaps it by {value:.2f}"
            hint = "its shape or size is not among the model's: see sightline anchors"
            yield _fault("reach.no_region", message, example, row, hint)


def _shared(example: Example, goals: ndarray, place: Tensor, where: str) -> Iterator[Fault]:
    """Objects of which one alone is answered for: a fault a place, of all but one of them."""
    owner: dict[int, list[int]] = {}
    for row, cell in zip(goals.tolist(), place.tolist(), strict=True):
        owner.setdefault(cell, []).append(row)
    for rows in owner.values():
        if len(rows) > 1:
            numbers = ", ".join(str(row + 1) for row in rows)
            message = f"objects {numbers} have {where}: the model answers for one of them"
            hint = "a finer grid, or a method with more regions, keeps them apart"
            yield _fault("reach.one_cell", message, example, rows[1], hint)


def _fault(code: str, message: str, example: Example, row: int, hint: str) -> Fault:
    identity: Any = int(example.objects.ids[row])
    pointer = f"object {row + 1} (id {identity})"
    return Fault(code, message, str(example.path), pointer, hint, "warning", identity)
