"""What detectors have in common that answer everything in one pass over an encoder's maps."""

from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor, nn

from sightline.anchors import Anchors, every_region
from sightline.preparation import Preparation
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored


class OnePass(nn.Module):
    """Prepare, encode, select the best: all but `propose`, `classify` and `loss`."""

    classes: tuple[str, ...]

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        preparation: Preparation,
        selection: Selection,
    ) -> None:
        super().__init__()
        self.classes, self.encoder = tuple(classes), encoder
        self.preparation, self.selection = preparation, selection

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The maps that are answered for."""
        features: Features = self.encoder(batch.pixels)
        return features

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The best of each level above the threshold, then NMS by the selection's rule."""
        return select(scored, batch, self.selection, self.classes)


class Anchored(OnePass):
    """The regions are every anchor of every cell: all but `classify` and `loss`."""

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        anchors: Anchors,
        preparation: Preparation,
        selection: Selection,
    ) -> None:
        super().__init__(classes, encoder, preparation, selection)
        self.anchors = anchors

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every anchor of every cell of every level."""
        grids = [(x.shape[-2], x.shape[-1]) for x in features]
        boxes, level = self.anchors.boxes(grids, batch.size)
        return every_region(boxes, level, len(batch)).to(batch.pixels.device)
