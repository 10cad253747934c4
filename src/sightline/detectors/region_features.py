"""What R-CNN's network says of the regions of labelled images: computed once, kept on disk.

Features of two thousand regions an image are too many for memory, and are looked at several times.
Each image has a file of its own, written in one step, so that work that was stopped goes on where
it was. A file's name tells what it depends on: the picture, its objects, the network.

Key of shapes: R regions, N objects, D features, M regions near an object, G numbers of their cells.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sightline import boxes as bx
from sightline import files
from sightline.errors import ResourceError
from sightline.types import Targets

ENDING = ".features"
DIGEST = 32  # bytes of SHA-256 before the tensors


@dataclass(frozen=True)
class Page:
    """One image's regions: its proposals first, then its true boxes, in prepared pixels.

    `features` are for the machines; `cells`, for the regression, are those of the rows `near`:
    proposals that overlap an object enough. Both are kept in half precision.
    """

    boxes: Float[Tensor, "R 4"]
    features: Float[Tensor, "R D"]
    near: Int[Tensor, "M"]
    cells: Float[Tensor, "M G"]
    truth: Targets

    @property
    def own(self) -> Int[Tensor, "N"]:
        """The plain objects: rows of `truth`, in the order of the last regions."""
        return (~self.truth.crowd).nonzero()[:, 0]

    @property
    def proposals(self) -> int:
        """How many of the regions were proposed."""
        return len(self.boxes) - len(self.own)

    def overlaps(self, classes: int) -> Float[Tensor, "R K"]:
        """How much each region has of the objects of each class: the highest IoU with one, or the
        share of it that lies in a crowd.
        """
        crowd, labels = self.truth.crowd, self.truth.labels
        whole = self.truth.boxes
        shared = torch.where(crowd, bx.coverage(self.boxes, whole), bx.iou(self.boxes, whole))
        answer = torch.zeros(len(self.boxes), classes)
        return answer.scatter_reduce(1, labels.expand(len(self.boxes), -1), shared, "amax")


def digest(*parts: str | bytes | Tensor) -> str:
    """SHA-256 of texts, bytes and tensors, as hexadecimal digits."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            value = part.detach().cpu().contiguous()
            total.update(f"{value.dtype}{tuple(value.shape)}".encode())
            total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            data = part.encode() if isinstance(part, str) else part
            total.update(f"{len(data)}:".encode() + data)
    return total.hexdigest()


class FeatureStore:
    """Pages in `folder`, of one network: those of others are removed from it.

    `computed` counts the pages that were not there.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self.folder = folder / network[:16]
        self.computed = 0
        for other in folder.glob("*/") if folder.is_dir() else ():
            if other != self.folder and len(other.name) == 16 and not other.is_symlink():
                for path in other.glob(f"*{ENDING}"):
                    path.unlink(missing_ok=True)
        files.make_folder(self.folder)
        files.tidy(self.folder)

    def page(self, name: str, truth: Targets, compute: Callable[[], Page]) -> Path:
        """The file of a page, computed and written if it is not there whole.

        `truth` are its objects in prepared pixels. Raises ResourceError where it cannot be written.
        """
        path = self.folder / f"{name}{ENDING}"
        if read(path, truth) is None:
            page = compute()
            tensors = {
                "boxes": page.boxes.float(),
                "features": page.features.half(),
                "near": page.near,
                "cells": page.cells.half(),
            }
            data = save({key: value.contiguous() for key, value in tensors.items()})
            files.write_bytes(path, hashlib.sha256(data).digest() + data)
            self.computed += 1
        return path


def read(path: Path, truth: Targets) -> Page | None:
    """A page from its file; None where there is none, or it is not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    total, rest = data[:DIGEST], data[DIGEST:]
    if total != hashlib.sha256(rest).digest():
        return None
    try:
        found = load(rest)
        return Page(found["boxes"], found["features"], found["near"], found["cells"], truth)
    except (SafetensorError, KeyError):
        return None


@dataclass(frozen=True)
class Book:
    """The pages of a data set, each read when it is asked for; ResourceError if one has gone."""

    paths: Sequence[Path]
    truths: Sequence[Targets]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Page:
        page = read(self.paths[index], self.truths[index])
        if page is None:
            raise ResourceError(
                "the features that were written here are not there any more",
                code="resource.lost",
                path=self.paths[index],
                hint="run again: what is missing is computed anew",
            )
        return page

    def having(self, label: int) -> list[int]:
        """The images with a plain object of a class."""
        return [
            row
            for row, truth in enumerate(self.truths)
            if bool(((truth.labels == label) & ~truth.crowd).any())
        ]
