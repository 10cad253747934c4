"""Proposals of images, searched once: kept in memory, and on disk where there is a folder.

R-CNN and Fast R-CNN take their regions from a search outside of the network, which costs more than
the network itself. It sees the *prepared* pixels, as bytes; what it gives for a picture depends on
these and on its own parameters alone, and both together are the key under which it is kept.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline import files
from sightline.preparation import Preparation
from sightline.types import Batch, Regions

__all__ = ["ProposalStore", "Proposer", "Search", "batch_regions"]

Search = Callable[[UInt8[Tensor, "3 H W"]], Float[Tensor, "R 4"]]
"""From the bytes of a picture to boxes in its pixels, best first."""


@runtime_checkable
class Proposer(Protocol):
    """A search that needs no network: a detector of one class, "object"."""

    @property
    def method(self) -> str:
        """All that decides the boxes of given pixels."""
        ...

    def search(self, image: UInt8[Tensor, "3 H W"]) -> Float[Tensor, "R 4"]:
        """Boxes in the image's pixels, best first."""
        ...


MAGIC = b"sightline boxes 1\n"
DIGEST = 32  # bytes of SHA-256 between the magic and the boxes


class ProposalStore:
    """Boxes by the picture they were found in and the method that found them.

    In `folder` every picture has a file of its own (None: memory only), written in one step, so
    that any number of processes may share it; one that is damaged is searched and written anew.
    In front of it the last used boxes, up to `limit` bytes, stay in memory. Threads may share one;
    a detector's copies do.
    """

    def __init__(self, folder: Path | None = None, limit: int = 64 << 20) -> None:
        self.folder, self.limit = folder, limit
        self.searched = 0
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "ProposalStore":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process gets: the folder, and a memory of its own."""
        return ProposalStore, (self.folder, self.limit)

    def boxes(
        self, image: UInt8[Tensor, "3 H W"], search: Search, method: str
    ) -> Float[Tensor, "R 4"]:
        """What `search` finds in `image`, on the CPU: looked up, or searched (`searched` counts).

        `method` names everything besides the pixels that decides the answer: mode, seed, limit,
        version. Raises ResourceError where `folder` cannot be written.
        """
        key = self.key(image, method)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        path = self._path(key)
        found = None if path is None else _read(path)
        if found is None:
            with torch.inference_mode(False):  # what is kept may be learnt from later
                found = search(image.cpu()).detach().float().cpu().clone()
            with self._lock:
                self.searched += 1
            if path is not None:
                files.write_bytes(path, _packed(found))
        self._keep(key, found)
        return found

    @staticmethod
    def key(image: UInt8[Tensor, "3 H W"], method: str) -> str:
        """SHA-256 of the method, the picture's shape and its bytes, as 64 hexadecimal digits."""
        total = hashlib.sha256(f"{method}\n{tuple(image.shape)}\n".encode())
        total.update(image.cpu().contiguous().numpy().tobytes())
        return total.hexdigest()

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / key[:2] / f"{key}.boxes"

    def _keep(self, key: str, found: Tensor) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = found
                self._bytes += found.nbytes
            while self._bytes > self.limit:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


def _packed(boxes: Float[Tensor, "R 4"]) -> bytes:
    data = boxes.numpy().astype("<f4").tobytes()
    return MAGIC + hashlib.sha256(data).digest() + data


def _read(path: Path) -> Float[Tensor, "R 4"] | None:
    """The boxes of a file; None where there is none, or it is not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(MAGIC) + DIGEST
    total, rest = data[len(MAGIC) : start], data[start:]
    if not data.startswith(MAGIC) or total != hashlib.sha256(rest).digest() or len(rest) % 16:
        return None
    return torch.from_numpy(np.frombuffer(rest, "<f4").astype(np.float32).reshape(-1, 4))


def batch_regions(batch: Batch, preparation: Preparation, search: Search) -> Regions:
    """The proposals of every image of a batch, best first, in prepared pixels.

    Searched is the picture without what surrounds it: the padding of its frame, and then whole rows
    and columns at its border of exactly the padding's colour, with which training fills the canvas.
    `scores` fall with the rank, from 1 on. An image of which nothing is proposed has no regions.
    """
    pixels = preparation.restore(batch.pixels).cpu()
    found = []
    for picture, frame in zip(pixels, batch.frames, strict=True):
        (top, left), (height, width) = frame.offset, frame.resized
        inner = picture[:, top : top + height, left : left + width]
        rows, columns = _painted(inner, preparation.padding)
        boxes = search(inner[:, rows, columns].contiguous())
        corner = boxes.new_tensor([left + columns.start, top + rows.start])
        found.append(boxes + corner.repeat(2))
    counts = torch.tensor([len(boxes) for boxes in found])
    image = torch.arange(len(found)).repeat_interleave(counts)
    scores = [1 - torch.arange(len(boxes)) / max(1, len(boxes)) for boxes in found]
    regions = Regions(torch.cat(found), image, torch.zeros_like(image), torch.cat(scores))
    return regions.to(batch.pixels.device)


def _painted(picture: UInt8[Tensor, "3 H W"], colour: tuple[int, int, int]) -> tuple[slice, slice]:
    """The rows and columns that are left when borders of one colour are cut; all of a picture that
    has no other colour.
    """
    other = (picture != torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1)).any(dim=0)
    sides = []
    for dim in (1, 0):
        there = other.any(dim=dim).nonzero()[:, 0]
        if len(there) == 0:
            return slice(0, other.shape[0]), slice(0, other.shape[1])
        sides.append(slice(int(there[0]), int(there[-1]) + 1))
    return sides[0], sides[1]
