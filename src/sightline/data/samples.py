"""A data set as a detector's own `fit` sees it: one upright image at a time, and what is in it."""

import torch
from torch import Tensor

from sightline.data.augment import Augmentation
from sightline.data.loader import Loader
from sightline.data.records import Dataset
from sightline.types import Targets

__all__ = ["LabelledImages"]


class LabelledImages:
    """The images of a data set by row, at their own size, never changed (`fitting.Samples`).

    Up to `cache_bytes` of decoded images stay in memory. Of files that cannot be read, `skip_bad`
    (a share of all) are replaced by the next one, as in training; more raise ImageError.
    """

    def __init__(self, dataset: Dataset, skip_bad: float = 0.0, cache_bytes: int = 1 << 30) -> None:
        loader = Loader(dataset, Augmentation(), 1, 0, cache_bytes=cache_bytes)
        self._loader = loader.skip_bad(skip_bad)

    def __len__(self) -> int:
        return len(self._loader.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Targets]:
        """(3, H, W) uint8 RGB, and the objects in its pixels. IndexError beyond the last."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        picture = self._loader.picture(index % len(self))
        pixels = torch.from_numpy(picture.levels[0]).permute(2, 0, 1).contiguous()
        objects = picture.objects
        return pixels, Targets(
            torch.from_numpy(objects.boxes.copy()),
            torch.from_numpy(objects.labels.copy()),
            torch.from_numpy(objects.crowd.copy()),
        )
