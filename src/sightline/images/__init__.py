"""Anything that holds one image to upright RGB bytes.

    pixels = read("photo.jpg")         # (3, H, W) uint8
    height, width = read_size("photo.jpg")

Six formats are read, recognised by their first bytes and not by their name: JPEG (MPO's first
image too), PNG, WebP, GIF, BMP and TIFF. Everything else is refused by name, no other parser is
ever started, and a size is refused before any memory is taken for it. The rules, everywhere alike:

- EXIF's orientation is applied; one that makes no sense counts as upright. Other metadata, colour
  profiles included, are ignored.
- Of animations and pages the first frame is read.
- Grey is repeated in the three channels. Alpha is dropped: every pixel keeps its stored colour.
- 16 bits are divided by 257 (in colour within one level); CMYK becomes (1 − ink) · (1 − black).
- An image that ends too early is an error, never half grey. Damage inside a JPEG, BMP or TIFF that
  leaves its structure whole cannot be told from a picture, since they hold no checksum.

Nothing global is read or set, of Pillow or otherwise, so any number of threads may read at once.
"""

import logging
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from sightline.errors import ImageError
from sightline.images import headers, sources
from sightline.images.arrays import from_array
from sightline.images.limits import Limits
from sightline.images.pixels import decode, from_pillow
from sightline.types import Size

__all__ = ["Limits", "Source", "read", "read_format", "read_size"]

LOG = logging.getLogger(__name__)

Source = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
    | Image.Image | np.ndarray | Tensor
)  # fmt: skip
"""What `read` takes."""

DEFAULT = Limits()

HEAD = 64 * 2**10
"""Enough for the header of nearly every file."""

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
}
"""The endings of each format's files, the usual one first."""


def read(source: Any, limits: Limits = DEFAULT) -> UInt8[Tensor, "3 H W"]:
    """The upright RGB image of a path, of bytes, a binary file, a PIL image, an array or a tensor.

    A file is read from where it stands. A PIL image is turned upright by its EXIF data. Arrays:
    uint8 as it is (and not copied where possible), uint16 divided by 257, bool as black and white,
    floats from 0 to 1; (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels in the order RGB
    (OpenCV's BGR cannot be told apart: reverse it). Where both ends of a shape could be the
    channels, a tensor is (C, H, W) and an array an error. The limits hold for what is decoded, not
    for arrays.

    The answer may be a permuted view, with the three bytes of a pixel side by side: that is how
    decoders leave it and what `Preparation` reads fastest.

    Raises ImageError with the path, where there is one: image.empty, .unsupported, .truncated,
    .corrupt, .too_many_pixels, .too_large_bytes, .bad_dimensions, .unsupported_mode, .non_finite,
    .ambiguous, .timeout, .not_found, .not_a_file, .permission or .unreadable; and ResourceError.
    """
    if isinstance(source, np.ndarray | Tensor):
        return from_array(source)
    if isinstance(source, Image.Image):
        return from_pillow(source, limits)
    name = _name(source)
    try:
        data = _data(source, limits)
        header = headers.parse(data)
        limits.check_pixels(header)
        pixels = decode(data, header, limits)
    except ImageError as error:
        error.path = error.path or name
        raise
    if name is not None and Path(name).suffix.lower() not in SUFFIXES[header.format]:
        LOG.info("%r holds a %s", name, header.format)
    return pixels


def read_size(source: Any) -> Size:
    """(height, width) of the upright image in a path, bytes or a binary file, from its header.

    Raises ImageError as `read` does, but nothing is decoded: damage further on goes unseen, and
    no limit is held against the size.
    """
    return _header(source).size


def read_format(source: Any) -> str:
    """What a path, bytes or a binary file holds, by its first bytes: JPEG, PNG, WEBP, GIF, BMP or
    TIFF. Raises ImageError as `read_size` does.
    """
    return _header(source).format


def _header(source: Any) -> headers.Header:
    name = _name(source)
    try:
        head = _data(source, DEFAULT, HEAD)
        try:
            return headers.parse(head)
        except ImageError as error:
            if error.code != "image.truncated" or len(head) != HEAD:  # there is no more
                raise
        rest = _data(source, DEFAULT)
        return headers.parse(head + rest if name is None else rest)
    except ImageError as error:
        error.path = error.path or name
        raise


def _name(source: Any) -> str | None:
    """The path as text, where the source is one."""
    return os.fsdecode(source) if isinstance(source, str | os.PathLike) else None


def _data(source: Any, limits: Limits, head: int | None = None) -> bytes:
    """The bytes of a path or a file, or the first `head` of them; bytes are given whole."""
    if isinstance(source, bytes | bytearray | memoryview):
        limits.check_bytes(len(source))
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return sources.from_path(source, limits, head)
    if callable(getattr(source, "read", None)):
        return sources.from_file(source, limits, head)
    raise ImageError(
        f"no image can be made of a {type(source).__name__}",
        code="image.unsupported",
        hint="pass a path, bytes, a binary file, a PIL image, an array or a tensor",
    )
