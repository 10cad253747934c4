"""Outlines of shapes that label files name by a few numbers: ellipses, and turned rectangles.

Points are (n, 2), x and y in pixels, y down.
"""

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

CORNERS = 64
"""Corners of an ellipse's outline."""

Pair = tuple[float, float]


def turned(points: Float[ndarray, "n 2"], centre: Pair, degrees: float) -> Float[ndarray, "n 2"]:
    """Points turned about a centre, clockwise as seen on the screen."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = (points - centre).T
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1) + centre


def ellipse(centre: Pair, radii: Pair, degrees: float = 0.0) -> Float[ndarray, "n 2"]:
    """`CORNERS` points on an ellipse, its axes of `radii` along x and y, then turned."""
    turns = np.arange(CORNERS) * (2 * math.pi / CORNERS)
    ring = np.stack(
        [centre[0] + radii[0] * np.cos(turns), centre[1] + radii[1] * np.sin(turns)], axis=1
    )
    return turned(ring, centre, degrees) if degrees % 360 else ring


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Float[ndarray, "4 2"]:
    """The corners of a rectangle, clockwise as seen on the screen."""
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
