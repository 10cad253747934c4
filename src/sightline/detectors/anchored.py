"""What all detectors have in common whose regions are every anchor of every cell."""

from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor, nn

from sightline.anchors import Anchors
from sightline.preparation import Preparation
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored


class Anchored(nn.Module):
    """Prepare, encode, propose every anchor, select the best: all but `classify` and `loss`."""

    classes: tuple[str, ...]

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        anchors: Anchors,
        preparation: Preparation,
        selection: Selection,
    ) -> None:
        super().__init__()
        self.classes, self.encoder, self.anchors = tuple(classes), encoder, anchors
        self.preparation, self.selection = preparation, selection

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The maps whose cells have anchors."""
        features: Features = self.encoder(batch.pixels)
        return features

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every anchor of every cell of every level."""
        grids = [(x.shape[-2], x.shape[-1]) for x in features]
        return self.anchors.regions(grids, batch.size, len(batch)).to(batch.pixels.device)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The best of each level above the threshold, then NMS by the selection's rule."""
        return select(scored, batch, self.selection, self.classes)
