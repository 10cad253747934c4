"""Whatever is drawn: no box outside, no NaN, labels and masks and keypoints in step."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.data.augment import Augmentation, Supply, compose
from sightline.data.placement import Picture
from sightline.data.records import Objects, Polygons
from sightline.data.scene import Scene

CHANCE = st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Any size down to one pixel, boxes of any kind: outside, without area, not finite."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    seed, count = draw(st.integers(0, 2**31)), draw(st.integers(0, 6))
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(-10, 70, (count, 4))
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), boxes.max(1, initial=0)[:, None]
                            .repeat(2, 1)], axis=1)  # fmt: skip
    if count and draw(st.booleans()):
        boxes[0, 2:] = boxes[0, :2]
    if count > 1 and draw(st.booleans()):
        boxes[1, draw(st.integers(0, 3))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    segments = None
    if draw(st.booleans()):
        rings = rng.uniform(-10, 70, (count, 5, 2))
        segments = [Polygons((ring,)) if i != 1 else None for i, ring in enumerate(rings)]
    points = None
    if draw(st.booleans()):
        points = np.concatenate(
            [rng.uniform(-5, 65, (count, 2, 2)), rng.integers(0, 3, (count, 2, 1))], axis=2
        )
    objects = Objects.of(boxes, np.arange(count), segments, points)
    objects.crowd[:] = rng.random(count) < 0.3
    return Picture.of(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), objects)


@st.composite
def augmentations(draw: st.DrawFn) -> Augmentation:
    low = draw(st.floats(0.05, 3))
    return Augmentation(
        flip=draw(CHANCE),
        scale=(low, low * draw(st.floats(1, 4))),
        ratio=draw(st.floats(1, 3)),
        translate=draw(st.floats(0, 1)),
        mosaic=draw(CHANCE),
        mosaic_scale=(low, low),
        mixup=draw(CHANCE),
        copy_paste=draw(CHANCE),
        min_visible=draw(st.floats(0, 1)),
        min_size=draw(st.floats(0, 10)),
        masks=draw(st.booleans()),
        stretch=draw(st.booleans()),
        zoom_out=draw(CHANCE),
        zoom_most=draw(st.floats(1, 5)),
        crop=draw(CHANCE),
        crop_overlaps=(draw(st.floats(0, 0.95)),),
        crop_scale=(draw(st.floats(0.01, 0.5)), draw(st.floats(0.5, 1))),
        crop_ratio=draw(st.floats(1, 4)),
    )


def make(
    parts: list[Picture], augmentation: Augmentation, size: int, seed: int
) -> tuple[np.ndarray, Scene]:
    def pick(rng: np.random.Generator) -> Picture:
        return parts[int(rng.integers(len(parts)))]

    canvas = np.empty((size, size, 3), np.uint8)
    rng = np.random.default_rng(seed)
    return canvas, compose(Supply(parts[0], pick, pick, (1, 0)), canvas, rng, augmentation)


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(pictures(), min_size=1, max_size=3),
    augmentation=augmentations(),
    size=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
def test_everything_stays_on_the_canvas_and_in_step(
    parts: list[Picture], augmentation: Augmentation, size: int, seed: int
) -> None:
    # A data set's images all have the same number of keypoints, or none.
    canvas, scene = make(parts, augmentation, size, seed)
    boxes = scene.boxes
    assert boxes.dtype == np.float32 and boxes.shape == (len(scene), 4)
    assert np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= size).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides > 0).all()
    assert (sides[~scene.crowd] >= augmentation.min_size - 1e-3).all()
    assert len(scene.labels) == len(scene.crowd) == len(scene)
    if not augmentation.masks:
        assert scene.masks is None
    if scene.masks is not None:
        assert scene.masks.shape == (len(scene), size, size)
    if scene.keypoints is not None:
        assert scene.keypoints.shape == (len(scene), 2, 3)
        seen = scene.keypoints[scene.keypoints[..., 2] > 0]
        assert np.isfinite(scene.keypoints).all()
        assert ((seen[:, :2] >= 0) & (seen[:, :2] <= size)).all()
    other, again = make(parts, augmentation, size, seed)
    np.testing.assert_array_equal(canvas, other)
    np.testing.assert_array_equal(boxes, again.boxes)


def test_five_thousand_objects_take_little_time_and_memory() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 280, (5000, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 40, (5000, 2))], axis=1)
    points = np.full((5000, 2, 3), 150, np.float32)
    pixels = rng.integers(0, 256, (300, 320, 3), dtype=np.uint8)
    crowded = Picture.of(pixels, Objects.of(boxes, np.zeros(5000, int), None, points))
    _, scene = make([crowded], Augmentation(mosaic=1.0), 320, 0)
    assert 3000 < len(scene) <= 20000
