"""Colour spaces in one pass over the pixels: see `sightline.ops.colour_spaces` for each one."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled
from sightline.ops.colour_spaces import LINEAR, ROOT, STEPS, XYZ, require_space

Array = np.ndarray[Any, Any]


@compiled
def _byte(value: float) -> Any:
    return np.uint8(np.floor(min(max(value, 0.0), 255.0) + 0.5))


@compiled
def _intensity(image: Array, out: Array) -> None:
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            r, g, b = np.int32(image[0, y, x]), np.int32(image[1, y, x]), np.int32(image[2, y, x])
            out[y, x] = np.uint8((77 * r + 150 * g + 29 * b + 128) >> 8)


@compiled
def _hsv(image: Array, out: Array) -> None:
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            r, g, b = float(image[0, y, x]), float(image[1, y, x]), float(image[2, y, x])
            most = max(r, g, b)
            span = most - min(r, g, b)
            d = max(span, 1.0)
            if most == r:
                sixth = (g - b) / d
            elif most == g:
                sixth = 2 + (b - r) / d
            else:
                sixth = 4 + (r - g) / d
            if sixth < 0:
                sixth += 6
            out[0, y, x] = np.uint8(int(np.floor(sixth * (256 / 6) + 0.5)) & 255)
            if out.shape[0] > 1:
                out[1, y, x] = _byte(255 * span / max(most, 1.0))
                out[2, y, x] = _byte(most)


@compiled
def _lab(image: Array, out: Array, linear: Array, root: Array, xyz: Array) -> None:
    light = np.empty(3)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            r, g, b = linear[image[0, y, x]], linear[image[1, y, x]], linear[image[2, y, x]]
            for row in range(3):
                t = xyz[row, 0] * r + xyz[row, 1] * g + xyz[row, 2] * b
                light[row] = root[min(int(STEPS * t + 0.5), STEPS)]
            out[0, y, x] = _byte(2.55 * (116 * light[1] - 16))
            out[1, y, x] = _byte(1.275 * (500 * (light[0] - light[1])) + 128)
            out[2, y, x] = _byte(1.275 * (200 * (light[1] - light[2])) + 128)


@compiled
def _rgi(image: Array, out: Array) -> None:
    _intensity(image, out[2])
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            r, g, b = float(image[0, y, x]), float(image[1, y, x]), float(image[2, y, x])
            total = r + g + b
            if total > 0:
                out[0, y, x] = _byte(255 * r / total)
                out[1, y, x] = _byte(255 * g / total)
            else:
                out[0, y, x] = out[1, y, x] = 85


def colours(image: Array, space: str) -> Array:
    """The kernel of `ops.colour_spaces.colours`."""
    require_space(space)
    image = np.ascontiguousarray(image)
    out = np.empty((1 if len(space) == 1 else 3, *image.shape[1:]), np.uint8)
    if space == "i":
        _intensity(image, out[0])
    elif space in ("h", "hsv"):
        _hsv(image, out)
    elif space == "lab":
        _lab(image, out, LINEAR, ROOT, XYZ)
    else:
        _rgi(image, out)
    return out
