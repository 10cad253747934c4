"""Outlines of ellipses and turned rectangles."""

import numpy as np
import pytest

from sightline.data.masks import fill_ring
from sightline.data.outlines import CORNERS, ellipse, rectangle, turned


def test_a_quarter_turn_runs_clockwise_on_the_screen() -> None:
    np.testing.assert_allclose(turned(np.array([[3.0, 2]]), (1, 2), 90), [[1, 4]], atol=1e-12)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 360.0])
def test_an_ellipse_has_its_area_however_it_is_turned(degrees: float) -> None:
    ring = ellipse((40, 30), (20, 10), degrees)
    assert ring.shape == (CORNERS, 2)
    assert abs(fill_ring(ring, (60, 80)).sum() - np.pi * 200) < 12
    wide, high = np.ptp(ring, axis=0)
    if degrees in (0, 360):
        np.testing.assert_allclose((wide, high), (40, 20))
    if degrees == 90:
        np.testing.assert_allclose((wide, high), (20, 40))


def test_a_rectangle_covers_its_pixels() -> None:
    assert fill_ring(rectangle(2, 3, 7, 9), (12, 10)).sum() == 30
