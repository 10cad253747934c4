"""The colour spaces that Selective Search looks at an image in (Uijlings 2013, section 3.2).

All are bytes, (C, H, W): every channel fills 0 … 255, so that one threshold serves all of them.
"""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from sightline.errors import UsageError
from sightline.ops.dispatch import kernel

SPACES = ("hsv", "lab", "rgi", "h", "i")
"""HSV; CIE L*a*b* of sRGB under D65; normalised red and green, and intensity; hue; intensity."""

_BYTES = np.arange(256) / 255
LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4)
"""The light that a byte of sRGB stands for."""

STEPS = 16384
_LIGHT = np.arange(STEPS + 1) / STEPS
ROOT = np.where(_LIGHT > 216 / 24389, np.cbrt(_LIGHT), (24389 / 27 * _LIGHT + 16) / 116)
"""CIE's f(t) at t = i / STEPS: read from a table, so that a kernel gives the same bytes."""

XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
)
"""Linear sRGB to X, Y, Z relative to the white point."""


def require_space(name: str) -> None:
    """Raise UsageError (usage.colour_space) unless `name` is one of `SPACES`."""
    if name not in SPACES:
        raise UsageError(
            f"no colour space is called {name!r}",
            code="usage.colour_space",
            hint=f"one of {', '.join(SPACES)}",
        )


@kernel
def colours(image: UInt8[ndarray, "3 H W"], space: str) -> UInt8[ndarray, "C H W"]:
    """An RGB image in one of `SPACES`: C is 3, or 1 for "h" and "i".

    Hue counts 256 steps around the circle, 0 for grey; a* and b* are 1.275 bytes each (−100 … 100
    fill the byte); black is a third red and green. Raises UsageError (usage.colour_space) for
    another name.
    """
    require_space(space)
    if space == "i":
        return _intensity(image)[None]
    if space == "h":
        return _hsv(image)[:1]
    if space == "hsv":
        return _hsv(image)
    return _lab(image) if space == "lab" else _rgi(image)


def _bytes(values: ndarray) -> ndarray:
    """Rounded, and held in 0 … 255."""
    answer: ndarray = np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)
    return answer


def _intensity(image: ndarray) -> ndarray:
    r, g, b = image.astype(np.int64)
    answer: ndarray = ((77 * r + 150 * g + 29 * b + 128) >> 8).astype(np.uint8)
    return answer


def _hsv(image: ndarray) -> ndarray:
    r, g, b = image.astype(np.float64)
    most = np.maximum(np.maximum(r, g), b)
    span = most - np.minimum(np.minimum(r, g), b)
    d = np.maximum(span, 1)
    sixth = np.where(most == r, (g - b) / d, np.where(most == g, 2 + (b - r) / d, 4 + (r - g) / d))
    hue = np.floor(np.where(sixth < 0, sixth + 6, sixth) * (256 / 6) + 0.5).astype(np.int64) & 255
    return np.stack([hue.astype(np.uint8), _bytes(255 * span / np.maximum(most, 1)), _bytes(most)])


def _lab(image: ndarray) -> ndarray:
    r, g, b = LINEAR[image]
    light = [row[0] * r + row[1] * g + row[2] * b for row in XYZ]
    x, y, z = (ROOT[np.minimum((STEPS * t + 0.5).astype(np.int64), STEPS)] for t in light)
    lightness, red, yellow = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    chroma = [_bytes(1.275 * axis + 128) for axis in (red, yellow)]
    return np.stack([_bytes(2.55 * lightness), *chroma])


def _rgi(image: ndarray) -> ndarray:
    r, g, b = image.astype(np.float64)
    total = r + g + b
    parts = [np.where(total > 0, 255 * c / np.maximum(total, 1), 85) for c in (r, g)]
    return np.stack([_bytes(parts[0]), _bytes(parts[1]), _intensity(image)])
