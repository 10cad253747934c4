"""Pictures: what is drawn where."""

import numpy as np
import pytest
import torch

from sightline.explain.draw import Style, colour, draw, ink, veil
from sightline.skeletons import skeleton
from sightline.types import Detections

SIZE = (120, 200)


def found(*boxes: list[float], names: tuple[str, ...] = ("cat", "dog")) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.linspace(0.9, 0.5, count),
        torch.arange(count) % len(names),
        torch.arange(count),
        SIZE,
        names,
    )


def grey() -> torch.Tensor:
    return torch.full((3, *SIZE), 128, dtype=torch.uint8)


def test_the_box_lies_on_its_own_pixels_and_the_image_stays() -> None:
    image = grey()
    pixels = np.asarray(draw(image, found([40, 50, 90, 100]), Style(line=1)))
    assert pixels.shape == (*SIZE, 3)
    lines = (pixels == np.array(colour(0))).all(axis=2)
    assert lines[50:100, 40].all()
    assert lines[50:100, 89].all()
    assert lines[99, 40:90].all()
    assert not lines[52:98, 42:88].any()
    assert (image == 128).all()


def test_nothing_found_changes_nothing() -> None:
    assert (np.asarray(draw(grey(), found())) == 128).all()


@pytest.mark.parametrize(
    "box",
    [[0, 0, 200, 120], [-30, -30, 10, 10], [190, 110, 260, 300], [5, 5, 5, 5], [0, 0, 1, 1]],
)
def test_boxes_at_the_border_and_beyond(box: list[float]) -> None:
    picture = draw(grey(), found(box))
    assert picture.size == (200, 120)
    assert (np.asarray(picture) != 128).any()


@pytest.mark.parametrize("label", range(80))
def test_labels_can_be_read(label: int) -> None:
    def luminance(shade: tuple[int, int, int]) -> float:
        parts = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (v / 255 for v in shade)
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted([luminance(colour(label)), luminance(ink(colour(label)))])
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_classes_side_by_side_differ() -> None:
    shades = np.array([colour(label) for label in range(80)], float)
    for near in range(1, 4):
        assert (np.linalg.norm(shades[near:] - shades[:-near], axis=1) > 60).all()


def test_labels_keep_off_each_other() -> None:
    twins = found([60, 60, 120, 110], [60, 60, 120, 110], [60, 60, 120, 110])
    pixels = np.asarray(draw(grey(), twins, Style(line=1, scores=False)))
    for label in (0, 1):
        assert (pixels == np.array(colour(label))).all(axis=2).sum() > 200


def test_masks_and_keypoints() -> None:
    from dataclasses import replace

    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 60:90, 50:80] = True
    points = torch.tensor([[[150.0, 80.0, 0.9], [180.0, 80.0, 0.9], [20.0, 20.0, 0.0]]])
    answer = replace(found([40, 50, 90, 100]), masks=masks, keypoints=points)
    pixels = np.asarray(draw(grey(), answer, Style(line=1, limbs=((0, 1), (1, 2)))))
    shade = np.array(colour(0))
    assert (pixels[75, 65] != 128).any()
    assert np.abs(pixels[75, 65].astype(int) - (128 + 0.45 * (shade - 128))).max() <= 1
    assert pixels[80, 165, 0] > 200 > pixels[80, 165, 1]  # the first limb is red
    assert (pixels[20, 20] == 128).all()


def test_limbs_are_those_of_the_skeleton_unless_others_are_given() -> None:
    from dataclasses import replace

    points = torch.tensor([[[150.0, 80.0, 0.9], [180.0, 80.0, 0.9], [150.0, 30.0, 0.9]]])
    answer = replace(found([40, 50, 90, 100]), keypoints=points, skeleton=skeleton("abc", [(0, 1)]))

    def drawn(style: Style) -> tuple[bool, bool]:
        pixels = np.asarray(draw(grey(), answer, style))
        return bool((pixels[80, 165] != 128).any()), bool((pixels[55, 150] != 128).any())

    assert drawn(Style(line=1)) == (True, False)
    assert drawn(Style(line=1, limbs=((0, 2),))) == (False, True)
    assert drawn(Style(line=1, limbs=())) == (False, False)


def test_masks_over_each_other_are_veiled_as_on_the_whole_image() -> None:
    """Each mask alone, over the whole image, in the order of the scores: the same pixels."""
    random = np.random.default_rng(7)
    masks = np.zeros((5, *SIZE), bool)
    masks[0, 10:70, 20:90] = random.random((60, 70)) < 0.8
    masks[1, 30:120, 60:200] = True
    masks[2, 0:50, 0:75] = True
    masks[4, 119, 199] = True  # and the fourth is empty
    image = torch.from_numpy(random.integers(0, 256, (3, *SIZE), np.uint8))
    answer = found(*[[0, 0, 1, 1]] * 5)
    expected = image.permute(1, 2, 0).numpy().astype(np.float32)
    for row in reversed(range(5)):
        tint = np.array(colour(row % 2), np.float32)
        expected[masks[row]] += np.float32(0.45) * (tint - expected[masks[row]])
        around = np.pad(masks[row], 1)
        inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
        expected[masks[row] & ~inner] = tint
    shades = [colour(label) for label in answer.labels.tolist()]
    pixels = image.permute(1, 2, 0).numpy()
    veiled = veil(pixels, torch.from_numpy(masks), shades, Style().veil)
    assert (veiled == expected.round().astype(np.uint8)).all()
    assert (veiled != pixels).any()


def test_strange_names_are_drawn() -> None:
    assert draw(grey(), found([40, 50, 90, 100], names=("a\nb\x1b[31m", "é猫"))).size == (200, 120)


def test_who_is_followed_has_the_colour_of_the_id() -> None:
    from dataclasses import replace

    pair = found([10, 30, 60, 90], [100, 30, 150, 90], names=("cat",))
    pixels = np.asarray(draw(grey(), replace(pair, tracks=torch.tensor([7, 12])), Style(line=2)))
    for x, track in ((10, 7), (100, 12)):
        assert (pixels[60, x] == np.array(colour(track))).all()
    texts = draw(grey(), replace(pair, tracks=torch.tensor([7, 12]), scores=pair.scores))
    without = draw(grey(), replace(pair, tracks=torch.tensor([7, 0])))
    assert (
        np.asarray(texts)[15:30, 100:150].tolist() != np.asarray(without)[15:30, 100:150].tolist()
    )
