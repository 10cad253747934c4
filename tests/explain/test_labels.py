"""Words at boxes in a figure: each is seen, and none leaves the picture."""

import numpy as np
import pytest

from sightline.evaluate.pictures import new_figure
from sightline.explain.canvas import note, scene

RED, GREEN = (255, 0, 0), (0, 255, 0)
SIZE = (120, 160)


def seen(*boxes: tuple[float, float, float, float]) -> dict[tuple[int, int, int], np.ndarray]:
    """The pixels (rows, columns) of the grounds of a red word and then a green one."""
    figure = new_figure(3.2, 2.4)
    figure.set_layout_engine("none")  # the panel is where it is put
    axes = figure.add_axes((0.125, 0.25, 0.75, 0.5))
    scene(axes, np.full((*SIZE, 3), 128, np.uint8), "")
    for box, shade in zip(boxes, ("#ff0000", "#00ff00"), strict=False):
        note(axes, box, "one word", shade)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    return {one: np.argwhere((pixels == one).all(2)) for one in (RED, GREEN)}


def test_of_two_words_at_one_box_both_are_seen() -> None:
    box = (40.0, 50.0, 120.0, 110.0)
    alone, both = seen(box), seen(box, box)
    assert len(alone[RED]) > 200
    assert len(both[RED]) >= 0.9 * len(alone[RED])
    assert len(both[GREEN]) >= 0.9 * len(alone[RED])


def test_the_last_word_has_the_place_above_the_box() -> None:
    box = (40.0, 50.0, 120.0, 110.0)
    alone, both = seen(box), seen(box, box)
    np.testing.assert_array_equal(both[GREEN].min(0), alone[RED].min(0))
    assert (both[RED].min(0) > both[GREEN].min(0)).any()


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.0, 160.0, 120.0),
        (150.0, 5.0, 160.0, 20.0),
        (-30.0, -20.0, 10.0, 10.0),
        (140.0, 110.0, 200.0, 150.0),
        (70.0, 60.0, 70.0, 60.0),
    ],
    ids=["all", "right", "upper left", "lower right", "a point"],
)
def test_words_keep_in_the_picture(box: tuple[float, float, float, float]) -> None:
    place = seen(box)[RED]
    whole = seen((40.0, 50.0, 120.0, 110.0))[RED]
    assert len(place) >= 0.9 * len(whole)
    figure = new_figure(3.2, 2.4)
    height, width = (figure.get_size_inches() * figure.dpi)[::-1]
    low, high = place.min(0), place.max(0)
    assert low[0] >= 0.25 * height - 2
    assert high[0] <= 0.75 * height + 2
    assert low[1] >= 0.125 * width - 2
    assert high[1] <= 0.875 * width + 2
