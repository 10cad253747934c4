"""Pixels, boxes, masks and keypoints must move together."""

from dataclasses import replace

import numpy as np
import pytest

from sightline.data.augment import Augmentation, Supply, colour_change, compose
from sightline.data.placement import Picture, Placement
from sightline.data.records import Objects, Polygons
from sightline.data.scene import Keep, Scene
from sightline.errors import DatasetError, UsageError
from sightline.ops import warp

PAINTS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255], [0, 255, 255]], np.uint8
)
BOXES = np.array(
    [
        [30, 40, 110, 120],
        [150, 20, 260, 100],
        [60, 150, 130, 230],
        [190, 130, 280, 220],
        [300, 60, 360, 200],
        [20, 250, 330, 300],
    ],
    float,
)
PLAIN = Augmentation(brightness=0, contrast=0, saturation=0, hue=0, mosaic=0)
SIZE = 320


def square(box: np.ndarray) -> Polygons:
    x1, y1, x2, y2 = box
    return Polygons((np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float),))


def rectangles(rows: list[int], masks: bool = False) -> Picture:
    """A grey picture, 310 × 380, with the coloured rectangles of `rows`: label i has PAINTS[i]."""
    pixels = np.full((310, 380, 3), 128, np.uint8)
    for i in rows:
        x1, y1, x2, y2 = BOXES[i].astype(int)
        pixels[y1:y2, x1:x2] = PAINTS[i]
    segments = [square(BOXES[i]) for i in rows] if masks else None
    return Picture.of(pixels, Objects.of(BOXES[rows], rows, segments))


def drawn(augmentation: Augmentation, seed: int, masks: bool = False) -> tuple[np.ndarray, Scene]:
    pictures = [rectangles([0, 2, 4], masks), rectangles([1, 3, 5], masks)]
    supply = Supply(
        pictures[seed % 2],
        lambda rng: pictures[int(rng.integers(2))],
        lambda rng: pictures[int(rng.integers(2))],
    )
    canvas = np.empty((SIZE, SIZE, 3), np.uint8)
    return canvas, compose(supply, canvas, np.random.default_rng(seed), augmentation)


def is_paint(canvas: np.ndarray, label: int) -> np.ndarray:
    return np.abs(canvas.astype(int) - PAINTS[label]).max(axis=2) < 100


@pytest.mark.parametrize("seed", range(40))
def test_single_pictures_are_found_again_where_their_boxes_are(seed: int) -> None:
    canvas, scene = drawn(PLAIN, seed)
    assert len(set(scene.labels.tolist())) == len(scene)
    for box, label in zip(scene.boxes, scene.labels, strict=True):
        ys, xs = np.nonzero(is_paint(canvas, label))
        found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(box, found, atol=1)


def test_stretched_pictures_fill_the_square_and_their_boxes_with_them() -> None:
    plain = replace(Augmentation.none(), stretch=True)
    canvas, scene = drawn(plain, 0)
    assert not (canvas == np.array(plain.fill)).all(axis=2).any()
    x, y = SIZE / 380, SIZE / 310
    np.testing.assert_allclose(scene.boxes, BOXES[[0, 2, 4]] * [x, y, x, y], atol=1e-4)
    for box, label in zip(scene.boxes, scene.labels, strict=True):
        ys, xs = np.nonzero(is_paint(canvas, label))
        np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1)


PATCHES = replace(PLAIN, scale=(1.0, 1.0), ratio=1.0, stretch=True, min_visible=0.0)


@pytest.mark.parametrize(
    "change", [{"zoom_out": 1.0}, {"crop": 1.0}, {"zoom_out": 1.0, "crop": 1.0, "stretch": False}]
)
@pytest.mark.parametrize("seed", range(8))
def test_views_are_found_again_where_their_boxes_are(change: dict[str, float], seed: int) -> None:
    canvas, scene = drawn(replace(PATCHES, **change), seed, masks=True)
    assert scene.masks is not None and len(scene) > 0
    for box, label, mask in zip(scene.boxes, scene.labels, scene.masks, strict=True):
        ys, xs = np.nonzero(is_paint(canvas, label))
        found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(box, found, atol=1.5)  # a quarter of the size blurs
        assert (mask != is_paint(canvas, label)).sum() <= 2 * (mask.sum() ** 0.5 + 4) * 4


def test_a_picture_zoomed_out_is_all_there_and_smaller() -> None:
    shares = []
    for seed in range(20):
        canvas, scene = drawn(replace(PATCHES, zoom_out=1.0, zoom_most=3.0), seed)
        assert len(scene) == 3  # nothing is lost
        shown = (canvas != np.array(PATCHES.fill)).any(axis=2)
        ys, xs = np.nonzero(shown)
        area = (np.ptp(xs) + 1) * (np.ptp(ys) + 1)
        assert shown.sum() == area  # one rectangle, and the fill around it
        shares.append(area / SIZE**2)
    assert 1 / 9 - 0.01 < min(shares) < 0.2 and max(shares) > 0.6


def test_of_a_patch_objects_stay_whose_centre_it_holds() -> None:
    """And what is left of them is their box, however little; others go, however much is left."""
    cut, lost = 0, 0
    for seed in range(24):
        canvas, scene = drawn(replace(PATCHES, crop=1.0, flip=0.0), seed)
        for label in (0, 2, 4) if seed % 2 == 0 else (1, 3, 5):
            painted = is_paint(canvas, label)
            if label in scene.labels:
                cut += bool(painted[0].any() or painted[-1].any())
            else:
                lost += bool(painted.any())
                touches = [painted[0], painted[-1], painted[:, 0], painted[:, -1]]
                assert not painted.any() or any(edge.any() for edge in touches)
    assert cut > 4 and lost > 4


def test_without_views_no_random_numbers_are_drawn() -> None:
    """So that runs of recipes that know none are what they were."""
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    picture = rectangles([0, 2])
    supply = Supply(picture, lambda rng: picture, lambda rng: picture)
    canvas = np.empty((64, 64, 3), np.uint8)
    compose(supply, canvas, rng, replace(PLAIN, flip=0.5))
    other.random()  # mosaic or not
    other.uniform(-1, 1, 2), other.random(3)  # scale and ratio, position and flip
    other.uniform(-1, 1, 4), other.random(2)  # colours, paste and mixup
    assert rng.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("seed", range(40))
def test_mosaics_have_their_colours_under_the_boxes_and_not_beside_them(seed: int) -> None:
    canvas, scene = drawn(replace(PLAIN, mosaic=1.0), seed)
    assert len(scene) > 0
    union = {label: np.zeros((SIZE, SIZE), bool) for label in range(6)}
    for box, label in zip(scene.boxes, scene.labels, strict=True):
        x1, y1 = np.ceil(box[:2] + 1).astype(int)
        x2, y2 = np.floor(box[2:] - 1).astype(int)
        assert is_paint(canvas[y1:y2, x1:x2], label).all()
        x1, y1 = np.floor(np.maximum(box[:2] - 1, 0)).astype(int)
        x2, y2 = np.ceil(box[2:] + 1).astype(int)
        union[int(label)][y1:y2, x1:x2] = True
    # Paint that no box holds: only slivers of objects that were dropped as hardly visible.
    keep_all = replace(PLAIN, mosaic=1.0, min_visible=0.0, min_size=0.0)
    _, everything = drawn(keep_all, seed)
    assert len(everything) >= len(scene)
    if len(everything) == len(scene):
        for label, region in union.items():
            assert not (is_paint(canvas, label) & ~region).any()


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(15))
def test_masks_lie_in_their_boxes_on_their_colours(seed: int, mosaic: float) -> None:
    canvas, scene = drawn(replace(PLAIN, mosaic=mosaic, copy_paste=1.0), seed, masks=True)
    assert scene.masks is not None
    for box, label, mask in zip(scene.boxes, scene.labels, scene.masks, strict=True):
        ys, xs = np.nonzero(mask)
        np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1)
        core = mask.copy()
        for axis in (0, 1):
            for shift in (-2, -1, 1, 2):
                core &= np.roll(mask, shift, axis)
        assert is_paint(canvas, label)[core].all()


def test_run_lengths_and_polygons_give_the_same_mask() -> None:
    from sightline.data.masks import encode, rasterise

    runs = encode(rasterise(square(BOXES[0]), (310, 380)))
    for sx in (0.7, -0.7, 1.4):
        affine = np.array([sx, 200.0, 0.8, -20.5])
        placement = Placement(affine, np.array([90, 10, 310, 90]))
        a, b = (placement.mask(s, (SIZE, SIZE)) for s in (square(BOXES[0]), runs))
        assert a.sum() > 500
        assert (a != b).sum() <= 2 * (80 + 60)  # at most the outline differs


def test_keypoints_move_swap_sides_and_vanish_outside() -> None:
    points = np.array([[[100, 50, 2], [300, 60, 1], [0, 0, 0]]], np.float32)
    window = np.array([0, 0, 300, 300])
    plain = Placement(np.array([1.0, 10.0, 2.0, 5.0]), window)
    moved = plain.keypoints(points, (1, 0, 2))
    np.testing.assert_allclose(moved, [[[110, 105, 2], [0, 0, 0], [0, 0, 0]]])
    mirrored = Placement(np.array([-1.0, 350.0, 1.0, 0.0]), window)
    moved = mirrored.keypoints(points, (1, 0, 2))
    np.testing.assert_allclose(moved, [[[50, 60, 1], [250, 50, 2], [0, 0, 0]]])
    np.testing.assert_allclose(
        mirrored.keypoints(points, None), [[[250, 50, 2], [50, 60, 1], [0, 0, 0]]]
    )


def test_what_is_pasted_hides_what_is_behind() -> None:
    masks = np.zeros((3, 100, 100), bool)
    masks[0, 10:50, 10:50] = masks[1, 60:90, 60:90] = masks[2, 10:20, 60:90] = True
    keypoints = np.array([[[20, 20, 2], [45, 45, 1]]] * 3, np.float32)
    boxes = np.array([[10, 10, 50, 50], [60, 60, 90, 90], [60, 10, 90, 20]], np.float32)
    scene = Scene(boxes, np.arange(3), np.zeros(3, bool), masks, keypoints)
    stencil = np.zeros((100, 100), bool)
    stencil[:, :30] = stencil[55:, 55:] = True
    left = scene.behind(stencil, Keep(0.3, 2, True))
    assert left.labels.tolist() == [0, 2]  # the second is covered whole
    np.testing.assert_array_equal(left.boxes, [[30, 10, 50, 50], [60, 10, 90, 20]])
    assert left.masks is not None and not (left.masks & stencil).any()
    assert left.keypoints is not None
    assert left.keypoints[0, :, 2].tolist() == [1, 1]
    without = replace(scene, masks=None).behind(stencil, Keep(0.3, 2, False))
    assert without.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(without.boxes, boxes[[0, 2]])


def test_crowds_stay_while_in_sight_and_others_while_enough_is_left() -> None:
    whole = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, np.nan, 1]])
    left = np.array([[8, 0, 10, 10], [8, 0, 10, 10], [10, 0, 10, 10], [0, 0, np.nan, 1]])
    crowd = np.array([False, True, True, False])
    assert Keep(0.3, 1, False)(whole, left, crowd).tolist() == [False, True, False, False]
    assert Keep(0.2, 2, False)(whole, left, crowd).tolist() == [True, True, False, False]
    assert Keep(0.2, 2.5, False)(whole, left, crowd).tolist() == [False, True, False, False]
    centred = Keep(0.0, 2, False, centre=True)  # the centre is in sight of the last two
    whole = np.array([[0.0, 0, 10, 10]] * 4)
    left = np.array([[6.0, 0, 10, 10], [6, 0, 10, 10], [4, 0, 10, 10], [5, 5, 10, 10]])
    assert centred(whole, left, np.array([False, True, False, False])).tolist() == [
        False, True, True, True,
    ]  # fmt: skip


def test_none_is_a_letterbox_at_the_top_left() -> None:
    canvas, scene = drawn(Augmentation.none(), 0)
    np.testing.assert_allclose(scene.boxes, BOXES[[0, 2, 4]] * SIZE / 380, atol=1e-4)
    bottom = round(310 * SIZE / 380)
    assert (canvas[bottom:] == (124, 116, 104)).all()
    assert (canvas[:bottom] != (124, 116, 104)).any(axis=2).all()


def test_a_picture_without_objects_and_none_to_paste() -> None:
    picture = Picture.of(np.zeros((20, 30, 3), np.uint8), Objects.of([], []))
    supply = Supply(picture, lambda rng: picture, lambda rng: None)
    canvas = np.empty((64, 64, 3), np.uint8)
    busy = Augmentation(mosaic=0.5, mixup=1, copy_paste=1)
    scene = compose(supply, canvas, np.random.default_rng(0), busy)
    assert scene.targets().boxes.shape == (0, 4)


def test_mixup_keeps_the_objects_of_both() -> None:
    canvas, scene = drawn(replace(PLAIN, mixup=1.0, scale=(0.9, 0.9), mixup_alpha=1e6), 0)
    assert len(scene) == 6
    x1, y1, x2, y2 = scene.boxes[0].astype(int)
    assert 100 < canvas[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3, 0].mean() < 230  # half red, half grey


def test_colour_changes_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    still = colour_change(rng, PLAIN)
    np.testing.assert_array_equal(still, np.eye(3, 4))
    for options in ({"saturation": 0.9}, {"hue": 0.5}):  # grey stays grey
        change = colour_change(rng, replace(PLAIN, **options))
        np.testing.assert_allclose(change @ [90, 90, 90, 1], [90, 90, 90], rtol=1e-5)
        assert abs(change @ [200, 50, 20, 1] - [200, 50, 20]).max() > 1
    change = colour_change(rng, replace(PLAIN, contrast=0.9))  # mid grey stays
    np.testing.assert_allclose(change @ [128, 128, 128, 1], 128, rtol=1e-5)
    change = colour_change(rng, replace(PLAIN, brightness=0.9)) @ [100, 50, 10, 1]
    np.testing.assert_allclose(change / change[2], [10, 5, 1], rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"flip": 1.1}, {"scale": (1.0, 0.5)}, {"scale": (0.0, 1.0)}, {"ratio": 0.9}, {"hue": 0.6},
     {"mosaic": -0.1}, {"fill": (0, 0, 256)}, {"brightness": 1.0}, {"mixup_alpha": 0.0},
     {"min_size": -1.0}, {"translate": float("nan")}, {"zoom_out": 1.1}, {"crop": -0.1},
     {"zoom_most": 0.9}, {"crop_ratio": 0.5}, {"crop_scale": (0.5, 1.1)},
     {"crop_scale": (0.0, 1.0)}, {"crop_overlaps": ()}, {"crop_overlaps": (0.5, 1.0)}],
)  # fmt: skip
def test_recipes_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"augmentation\.range"):
        Augmentation(**wrong)  # type: ignore[arg-type]


def test_too_many_masks_are_refused_before_memory_runs_out() -> None:
    box = [[0, 0, 5, 5]] * 5000
    objects = Objects.of(box, [0] * 5000, [square(np.array(box[0], float))] * 5000)
    placement = Placement(np.array([1.0, 0, 1, 0]), np.array([0, 0, 640, 640]))
    keep = Keep(0.3, 1, masks=True)
    with pytest.raises(DatasetError, match="too_many_masks"):
        Scene.place(objects, placement, (640, 640), None, keep)
    assert (
        len(Scene.place(objects, placement, (640, 640), None, replace(keep, masks=False))) == 5000
    )


@pytest.mark.parametrize("stencilled", [False, True])
@pytest.mark.parametrize(
    "affine",
    [
        (0.8, -10.3, 0.9, 20.2),
        (-1.3, 110.1, 1.1, -13.0),
        (-0.66, 60.0, 0.6, 0.0),
        (3.0, 40.0, 30.0, -100.0),
    ],
)
def test_painting_equals_its_definition(affine: tuple[float, ...], stencilled: bool) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (61, 81, 3), dtype=np.uint8)
    stencil = rng.random((90, 120)) < 0.5 if stencilled else np.zeros((0, 0), bool)
    colour = np.array([[0.9, 0.1, 0, 3], [0, 1.3, -0.1, -4], [0.05, 0, 1, 0]], np.float32)
    fast = np.full((90, 120, 3), 7, np.uint8)
    slow = fast.copy()
    rest = (picture, np.array(affine), np.array([5, 0, 120, 87]), colour, stencil)
    warp.paint(fast, *rest)
    warp.paint.reference(slow, *rest)
    assert (slow != 7).any()
    assert np.abs(fast.astype(int) - slow).max() <= 1  # sums in another order round otherwise


def test_halving_and_blending_equal_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((60, 81), (61, 80), (1, 7), (2, 2)):
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        np.testing.assert_array_equal(warp.halve(picture), warp.halve.reference(picture))
    a, b = rng.integers(0, 256, (2, 31, 47, 3), dtype=np.uint8)
    for weight in (0.0, 0.37, 1.0):
        fast, slow = a.copy(), a.copy()
        warp.blend(fast, b, weight)
        warp.blend.reference(slow, b, weight)
        np.testing.assert_array_equal(fast, slow)
        if weight in (0.0, 1.0):
            np.testing.assert_array_equal(fast, a if weight else b)


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    picture = Picture.of(stripes, Objects.of([], []))
    canvas = np.empty((200, 200, 3), np.uint8)
    supply = Supply(picture, lambda rng: picture, lambda rng: None)
    compose(supply, canvas, np.random.default_rng(0), Augmentation.none())
    assert np.abs(canvas[2:148].astype(int) - 128).max() <= 1
