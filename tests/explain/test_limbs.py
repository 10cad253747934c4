"""Skeletons by limb: which colour is where, how thick, how strong."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.explain.limbs import draw_person, hue

LIMBS = ((0, 1), (1, 2), (1, 3))


def canvas(size: tuple[int, int] = (200, 120)) -> Image.Image:
    return Image.new("RGB", size, (128, 128, 128))


def person(scale: float = 1.0, score: float = 1.0) -> torch.Tensor:
    places = torch.tensor([[20.0, 20.0], [60.0, 20.0], [60.0, 80.0], [110.0, 60.0]]) * scale
    return torch.cat([places, torch.full((4, 1), score)], dim=1)


def middle(picture: Image.Image, a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    x, y = ((a[:2] + b[:2]) / 2).round().int().tolist()
    return np.asarray(picture)[y, x].astype(int)


def test_every_limb_has_its_own_hue() -> None:
    picture, points = canvas(), person()
    draw_person(picture, points, LIMBS)
    for number, (a, b) in enumerate(LIMBS):
        assert np.abs(middle(picture, points[a], points[b]) - hue(number, 3)).max() <= 2


@pytest.mark.parametrize("count", [4, 17, 19])
def test_hues_go_around_the_circle(count: int) -> None:
    hues = [colorsys.rgb_to_hsv(*(v / 255 for v in hue(i, count)))[0] for i in range(count)]
    assert np.diff(hues) == pytest.approx(np.full(count - 1, 1 / count), abs=0.01)


def test_less_sure_is_fainter() -> None:
    strengths = []
    for score in (1.0, 0.6, 0.25):
        picture, points = canvas(), person(score=score)
        draw_person(picture, points, LIMBS)
        strengths.append(np.abs(middle(picture, points[0], points[1]) - 128).sum())
    assert strengths[0] > strengths[1] > strengths[2] > 30


def test_a_larger_person_has_thicker_limbs() -> None:
    widths = []
    for scale in (1.0, 3.0, 5.0):
        picture, points = canvas((600, 450)), person(scale)
        draw_person(picture, points, LIMBS)
        x, y = ((points[1, :2] + points[2, :2]) / 2).round().int().tolist()
        row = np.asarray(picture)[y, x - 10 : x + 11]  # here the second limb is alone
        widths.append(int((row != 128).any(axis=1).sum()))
    assert widths[0] < widths[1] < widths[2]


def test_what_was_not_found_is_not_drawn() -> None:
    picture, points = canvas(), person()
    points[2] = 0
    draw_person(picture, points, LIMBS)
    pixels = np.asarray(picture)
    assert (pixels[60, 60] == 128).all()
    assert (pixels[0:5, 0:5] == 128).all()
    alone = canvas()
    draw_person(alone, torch.zeros(4, 3), LIMBS)
    assert (np.asarray(alone) == 128).all()


def test_beyond_the_border() -> None:
    seen = []
    for shift in (-90.0, -50.0, 90.0, 1000.0):
        picture, points = canvas(), person()
        points[:, :2] += shift
        draw_person(picture, points, LIMBS)
        assert picture.size == (200, 120)
        seen.append(bool((np.asarray(picture) != 128).any()))
    assert seen == [False, True, True, False]
