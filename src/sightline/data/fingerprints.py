"""What an image looks like in 64 bits and a thumbnail, to find it again after it was changed.

The hash is the sign of the 64 lowest coefficients of the cosine transform of a grey thumbnail
(the perceptual hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010, with zero in place of the median). Mirroring an image turns the sign of the odd
horizontal frequencies, so the hash of the mirrored image is one exclusive or away.
"""

import io

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, JpegImagePlugin

from sightline import images
from sightline.images import headers, sources
from sightline.images.limits import Limits

SIDE = 48
"""Thumbnails are 48 × 48, whatever the image's shape."""

FREQUENCIES = 8
_LIMITS = Limits()
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _basis() -> Float[ndarray, "8 48"]:
    """The lowest frequencies of the cosine transform (DCT-II) of `SIDE` values."""
    k, x = np.arange(FREQUENCIES)[:, None], np.arange(SIDE)[None]
    return np.cos(np.pi * k * (x + 0.5) / SIDE).astype(np.float32)


BASIS = _basis()
_ODD = (np.arange(FREQUENCIES * FREQUENCIES) % FREQUENCIES) % 2 == 1
MIRROR = np.packbits(_ODD).view(np.uint64)[0]
"""The bits that a horizontal flip turns."""


def read_bytes(path: str) -> bytes:
    """The bytes of an image file; ImageError where they cannot be had."""
    return sources.from_path(path, _LIMITS)


def thumbnail(data: bytes) -> UInt8[ndarray, "48 48"]:
    """The upright image of a file's bytes in grey, squeezed to a square.

    A JPEG is decoded at the smallest scale that is enough, many times faster than in full.
    ImageError where the bytes are no image.
    """
    header = headers.parse(data)
    if header.format != "JPEG":
        return _squeeze(_grey(data))
    _LIMITS.check_pixels(header)
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as picture:
            picture.draft("L", (2 * SIDE, 2 * SIDE))
            grey = picture.convert("L")
    except (OSError, ValueError, SyntaxError):  # the careful reader says what is wrong, and where
        return _squeeze(_grey(data))
    turn = _TURNS.get(header.orientation)
    return _squeeze(grey if turn is None else grey.transpose(turn))


def _grey(data: bytes) -> Image.Image:
    """The whole upright image in grey."""
    pixels = images.read(data).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels).convert("L")


def _squeeze(grey: Image.Image) -> UInt8[ndarray, "48 48"]:
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def hashes(thumbs: UInt8[ndarray, "N 48 48"]) -> ndarray:
    """(N,) uint64, one hash a thumbnail."""
    values = BASIS @ thumbs.astype(np.float32) @ BASIS.T
    bits = values.reshape(len(thumbs), FREQUENCIES**2) > 0
    bits[:, 0] = False  # the mean is always above zero
    codes: ndarray = np.packbits(bits, axis=1).view(np.uint64).reshape(-1)
    return codes


def contrast(thumbs: UInt8[ndarray, "N 48 48"]) -> Float[ndarray, "N"]:
    """The standard deviation of each thumbnail's grey levels."""
    spread: ndarray = thumbs.reshape(len(thumbs), SIDE * SIDE).astype(np.float32).std(axis=1)
    return spread


def _alignments() -> list[tuple[ndarray, ndarray]]:
    """Matrices that cut a margin of up to 6 % off the sides and stretch the rest again."""
    axes = [
        _stretch(SIDE * (1 - cut) / SIDE, cut * place * SIDE)
        for cut in (0.0, 0.03, 0.06)
        for place in ((0.0, 0.5, 1.0) if cut else (0.0,))
    ]
    return [(down, across) for down in axes for across in axes]


def _stretch(scale: float, start: float) -> Float[ndarray, "48 48"]:
    """Linear interpolation at SIDE places, `scale` apart, from `start` on."""
    x = np.clip((np.arange(SIDE) + 0.5) * scale + start - 0.5, 0, SIDE - 1)
    left = np.minimum(x.astype(int), SIDE - 2)
    answer = np.zeros((SIDE, SIDE), np.float32)
    rows = np.arange(SIDE)
    answer[rows, left], answer[rows, left + 1] = 1 - (x - left), x - left
    return answer


ALIGNMENTS = _alignments()


def likeness(a: UInt8[ndarray, "N 48 48"], b: UInt8[ndarray, "N 48 48"]) -> Float[ndarray, "N"]:
    """How alike pairs of thumbnails are, up to 1: the correlation of their gradients.

    The best over small cuts at the sides of the one or the other is taken. Gradients know nothing
    of brightness, and are unlike where only the broad light and shade agree.
    """
    best = np.full(len(a), -1.0, np.float32)
    for fixed, moved in ((a, b), (b, a)):
        edges = _edges(fixed.astype(np.float32))
        for down, across in ALIGNMENTS:
            other = _edges(down @ moved.astype(np.float32) @ across.T)
            np.maximum(best, (edges * other).sum(axis=1), out=best)
    return best


def _edges(thumbs: Float[ndarray, "N 48 48"]) -> Float[ndarray, "N M"]:
    """The gradients of thumbnails as rows of length 1; of an even one, 0."""
    across, down = np.diff(thumbs, axis=2), np.diff(thumbs, axis=1)
    flat = [part.reshape(len(thumbs), SIDE * (SIDE - 1)) for part in (across, down)]
    rows = np.concatenate(flat, axis=1)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: ndarray = rows / np.maximum(length, 1e-6)
    return unit
