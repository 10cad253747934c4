"""Decoded images, kept in memory while there is room."""

import threading

import numpy as np

from sightline.data.placement import Picture
from sightline.data.records import Dataset
from sightline.errors import DatasetError, SightlineError
from sightline.images import read

__all__ = ["PictureCache"]


class PictureCache:
    """The pictures of a data set by row, decoded on first use; any number of threads may ask.

    The first ones that fit into `limit` bytes stay; the rest are decoded anew each time, because
    in random order throwing out one for another gains nothing.
    """

    def __init__(self, dataset: Dataset, limit: int) -> None:
        self.dataset, self.limit = dataset, limit
        self.nbytes = 0
        self._kept: dict[int, Picture] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, row: int) -> Picture:
        """Picture `row`. Raises ImageError for a file that cannot be read, DatasetError for one
        whose size is not what the labels speak of.
        """
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        picture = self._decode(row)
        with self._lock:
            if row not in self._kept and self.nbytes + picture.nbytes <= self.limit:
                self._kept[row] = picture
                self.nbytes += picture.nbytes
        return picture

    def _decode(self, row: int) -> Picture:
        example = self.dataset[row]
        try:
            pixels = np.ascontiguousarray(read(example.path).permute(1, 2, 0).numpy())
        except SightlineError as error:
            error.path = error.path or str(example.path)
            raise
        if pixels.shape[:2] != tuple(example.size):
            raise DatasetError(
                f"the image is {pixels.shape[0]} × {pixels.shape[1]} (height × width), but the "
                f"labels speak of {example.size[0]} × {example.size[1]}",
                code="image.size_mismatch",
                path=example.path,
                hint="read the data set again if the file has changed",
            )
        return Picture.of(pixels, example.objects)
