"""One image's candidates held against its objects.

Key of shapes: G objects, C pairs of region and class, R regions of the image.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.explain.records import ObjectFate
from sightline.explain.truth import Judged, Truth
from sightline.explain.words import Stage
from sightline.pipeline import Trace
from sightline.reasons import Outcome, PairFates


@dataclass(frozen=True)
class Scene:
    """Overlaps of an image's pairs and regions with its objects, in pixels of the original.

    `rows` are the regions of the image, `iou` from where on one lies on an object.
    """

    trace: Trace
    found: PairFates
    truth: Truth
    judged: Judged
    index: int
    iou: float
    rows: Int[Tensor, "R"]
    regions: Float[Tensor, "R G"]
    pairs: Float[Tensor, "C G"]

    @classmethod
    def of(
        cls,
        trace: Trace,
        found: PairFates,
        truth: Truth,
        judged: Judged,
        index: int,
        iou: float,
    ) -> "Scene":
        """The overlaps of all regions and of all pairs with all objects."""
        regions = trace.scored.regions
        rows = (regions.image == index).nonzero()[:, 0]
        frame = trace.batch.frames[index]

        def held(boxes: Tensor) -> Tensor:
            moved = geometry.clip(frame.to_original(boxes.detach().cpu().float()), frame.original)
            return geometry.iou(moved.double(), truth.boxes)

        about = (trace, found, truth, judged, index, iou, rows.cpu())
        return cls(*about, held(regions.boxes[rows]), held(found.pairs.boxes))

    def reach(self, row: int) -> Float[Tensor, "R"]:
        """How far each region overlaps an object, before or after it was moved for its class."""
        boxes = self.trace.scored.boxes[self.rows.to(self.trace.scored.boxes.device)]
        if boxes.ndim == 3:
            boxes = boxes[:, max(0, int(self.truth.labels[row]))]
        frame = self.trace.batch.frames[self.index]
        moved = geometry.clip(frame.to_original(boxes.detach().cpu().float()), frame.original)
        own = geometry.iou(moved.double(), self.truth.boxes[row : row + 1])[:, 0]
        return torch.maximum(own, self.regions[:, row])

    def near(self, row: int, which: Bool[Tensor, "C"]) -> Tensor:
        """The pairs of `which` that lie on an object: by their boxes, or else by their regions."""
        by_box = which & (self.pairs[:, row] >= self.iou)
        if bool(by_box.any()):
            return by_box.nonzero()[:, 0]
        region = torch.searchsorted(self.rows, self.found.pairs.region)
        return (which & (self.regions[region, row] >= self.iou)).nonzero()[:, 0]

    def tell(self, row: int, stage: Stage, **more: Any) -> ObjectFate:
        """The record of an object."""
        box = tuple(self.truth.boxes[row].tolist())
        label = int(self.truth.labels[row])
        return ObjectFate(row, self.truth.names[row], label, box, stage, **more)

    def of_pair(self, row: int, stage: Stage, pair: int, why: Outcome | None = None) -> ObjectFate:
        """The record of an object, with the candidate that came furthest."""
        found = self.found
        return self.tell(
            row,
            stage,
            why=Outcome(int(found.outcome[pair])) if why is None else why,
            region=int(found.pairs.region[pair]),
            score=float(found.pairs.scores[pair]),
            overlap=float(self.pairs[pair, row]),
            by=int(found.by[pair]),
            iou=float(found.iou[pair]),
        )


def answered(scene: Scene, row: int, place: int, stage: Stage) -> ObjectFate:
    """The record of an object that has an answer, or nearly."""
    shown = scene.trace.detections[scene.index]
    return scene.tell(
        row,
        stage,
        why=Outcome.KEPT,
        region=int(shown.region[place]),
        score=float(shown.scores[place]),
        overlap=float(scene.judged.table[place, row]),
        by=place,
        iou=1.0,
    )
