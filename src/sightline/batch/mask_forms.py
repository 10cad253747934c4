"""Masks in files: run lengths, polygons, or a picture of each.

Pictures are one PNG a detection, of the image's size, 255 on the object and 0 elsewhere, in
`masks/NAME/0001.png` and so on, in the order of the detections. One picture with an index for each
object would lose pixels where masks overlap, which those of instances do, and holds 255 at most.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from torch import Tensor

from sightline.bitmaps import Ring, bridge, polygons, window
from sightline.errors import UsageError
from sightline.files import atomic_write, tidy
from sightline.types import Detections

FORMS = ("rle", "polygons", "bitmaps")
"""How masks can come out."""

NUMBERED = re.compile(r"\d{4,}\.png")


def check_form(form: str) -> str:
    """`form` itself; UsageError (`usage.masks`) where it is none of `FORMS`."""
    if form not in FORMS:
        raise UsageError(
            f"masks cannot be written as {form!r}",
            code="usage.masks",
            hint=f"known are {', '.join(FORMS)}",
        )
    return form


def picture(stem: str, number: int) -> str:
    """Where the picture of detection `number`, the first being 1, lies below the folder."""
    return f"masks/{stem}/{number:04d}.png"


def one_outline_each(found: Detections) -> Iterator[Ring]:
    """Each mask as a single ring around the same pixels: lines walked both ways join its parts.

    A mask without pixels gives its box's corners, so that no detection is lost.
    """
    assert found.masks is not None
    for row, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()):
        rings = polygons(window(found.masks, row))
        yield bridge(rings) if rings else np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


@dataclass
class MaskPictures:
    """Writes the picture of each mask; those of an earlier run for the same image go."""

    folder: Path
    names: Mapping[str, str]

    def add(self, key: str, image: UInt8[Tensor, "3 H W"], found: Detections) -> None:
        """One image's masks, one after the other."""
        stem = self.names[key]
        tidy(self.folder / "masks" / stem, NUMBERED)
        if found.masks is None:
            return
        for row in range(len(found)):
            pixels = np.zeros(found.size, np.uint8)
            top, left, inner = window(found.masks, row)
            height, width = inner.shape
            pixels[top : top + height, left : left + width][inner] = 255
            with atomic_write(self.folder / picture(stem, row + 1)) as temporary:
                Pillow.fromarray(pixels).save(temporary, "PNG")

    def close(self) -> None:
        """Every picture is complete already."""
