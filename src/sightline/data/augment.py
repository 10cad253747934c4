"""Augmentation: one training picture drawn from one, four or more labelled images.

A recipe of chances and ranges (`Augmentation`), and `compose`, which follows it with one random
generator. Every image that takes part is placed by one axis-aligned map and drawn in one pass.

Mosaic: YOLOv4 (arXiv:2004.10934). Mixup: arXiv:1710.09412, without weighting the targets.
Copy-paste: arXiv:2012.07177. Zooming out and patches: SSD (arXiv:1512.02325).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator

from sightline.data.placement import Picture, Placement
from sightline.data.scene import Keep, Scene
from sightline.data.views import View, Window, cropped, placed, whole, zoomed_out
from sightline.errors import UsageError
from sightline.ops.warp import blend

__all__ = ["Augmentation", "Supply", "compose"]

LUMA = np.array([0.299, 0.587, 0.114])
"""Rec. 601: how bright red, green and blue look."""


@dataclass(frozen=True)
class Augmentation:
    """Chances (0 … 1) and ranges of everything that may happen to a training picture.

    `flip` mirrors. `scale` is relative to fitting the longer side into the square, or with
    `stretch` to filling the square, whatever the picture's own shape; above 1 crops.
    `ratio` stretches by up to that factor. `translate` is the share of the free room (or of the
    overhang) that the position may use; 0 keeps the top left corner. `brightness`, `contrast` and
    `saturation` change by up to that share, `hue` by up to that part of a turn. `mosaic` draws four
    images around a random centre, each at `mosaic_scale`; `mixup` blends in a second picture with a
    weight from Beta(`mixup_alpha`, `mixup_alpha`); `copy_paste` pastes objects that have masks from
    another image. `zoom_out` shows a picture that is drawn alone within up to `zoom_most` times its
    sides, `crop` a patch of it, then with the objects whose centre lies inside: one of them
    overlaps the patch by one of `crop_overlaps` (IoU); its share of the picture is the square of a
    `crop_scale`, its shape up to `crop_ratio` times as wide or high. Boxes stay while `min_visible`
    of their area and sides of `min_size` pixels are left. `fill` is the colour of empty canvas,
    RGB. `masks` says whether targets carry masks.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (0.6, 1.6)
    ratio: float = 1.2
    translate: float = 1.0
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.4
    hue: float = 0.02
    mosaic: float = 0.5
    mosaic_scale: tuple[float, float] = (0.5, 1.3)
    mixup: float = 0.0
    mixup_alpha: float = 8.0
    copy_paste: float = 0.0
    min_visible: float = 0.3
    min_size: float = 2.0
    fill: tuple[int, int, int] = (124, 116, 104)
    masks: bool = True
    stretch: bool = False
    zoom_out: float = 0.0
    zoom_most: float = 4.0
    crop: float = 0.0
    crop_overlaps: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_ratio: float = 2.0

    def __post_init__(self) -> None:
        chances = ("flip", "mosaic", "mixup", "copy_paste", "zoom_out", "crop")
        for name in (*chances, "translate", "min_visible"):
            self._check(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        for name in ("scale", "mosaic_scale"):
            low, high = getattr(self, name)
            self._check(name, 0 < low <= high < np.inf, "two positive numbers, the smaller first")
        for name in ("brightness", "contrast", "saturation"):
            self._check(name, 0 <= getattr(self, name) < 1, "at least 0 and under 1")
        self._check("hue", 0 <= self.hue <= 0.5, "between 0 and 0.5")
        for name in ("ratio", "zoom_most", "crop_ratio"):
            self._check(name, 1 <= getattr(self, name) < np.inf, "at least 1")
        low, high = self.crop_scale
        self._check("crop_scale", 0 < low <= high <= 1, "two shares, the smaller first")
        overlaps = self.crop_overlaps
        good = len(overlaps) > 0 and all(0 <= iou < 1 for iou in overlaps)
        self._check("crop_overlaps", good, "one or more, at least 0 and under 1")
        self._check("mixup_alpha", 0 < self.mixup_alpha < np.inf, "positive")
        self._check("min_size", 0 <= self.min_size < np.inf, "at least 0")
        self._check("fill", all(0 <= c <= 255 for c in self.fill), "three bytes")

    def _check(self, name: str, good: bool, rule: str) -> None:
        if not good:
            raise UsageError(
                f"{name} = {getattr(self, name)!r} must be {rule}", code="augmentation.range"
            )

    @classmethod
    def none(cls) -> "Augmentation":
        """Only fit the image into the square, at its top left corner, as for evaluation."""
        zero = {f.name: 0.0 for f in fields(cls) if f.type in (float, "float")}
        zero |= {"ratio": 1.0, "mixup_alpha": 1.0, "zoom_most": 1.0, "crop_ratio": 1.0}
        return replace(cls(), scale=(1.0, 1.0), **zero)  # type: ignore[arg-type]

    @property
    def keep(self) -> Keep:
        """The rule by which objects stay."""
        return Keep(self.min_visible, self.min_size, self.masks, centre=self.crop > 0)


@dataclass(frozen=True)
class Supply:
    """Where the pictures come from: the one in turn, others by chance, and those with masks.

    `donor` may have none to give. `flips` is the skeleton's exchange of left and right.
    """

    main: Picture
    another: Callable[[Generator], Picture]
    donor: Callable[[Generator], Picture | None]
    flips: Sequence[int] | None = None


def colour_change(rng: Generator, augmentation: Augmentation) -> Float[ndarray, "3 4"]:
    """A random [M | b] that turns a colour c (0 … 255) into M c + b.

    Saturation mixes with the luma, hue turns about the grey axis (Rodrigues), brightness scales,
    contrast scales about 128.
    """
    a, change = augmentation, rng.uniform(-1, 1, 4)
    if not (a.brightness or a.contrast or a.saturation or a.hue):
        return np.eye(3, 4, dtype=np.float32)
    saturation, angle = 1 + a.saturation * change[2], 2 * np.pi * a.hue * change[3]
    matrix = saturation * np.eye(3) + (1 - saturation) * LUMA
    cosine, sine = np.cos(angle), np.sin(angle) / np.sqrt(3)
    cross = np.array([[0, -sine, sine], [sine, 0, -sine], [-sine, sine, 0]])
    turn = cosine * np.eye(3) + cross + (1 - cosine) / 3
    contrast = 1 + a.contrast * change[1]
    answer = np.empty((3, 4), np.float32)
    answer[:, :3] = contrast * (1 + a.brightness * change[0]) * (turn @ matrix)
    answer[:, 3] = 128 * (1 - contrast)
    return answer


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _view(picture: Picture, rng: Generator, a: Augmentation) -> View:
    """What is shown of a picture that is drawn alone. Chances of 0 draw no random numbers."""
    view = whole(picture.size)
    if a.zoom_out and rng.random() < a.zoom_out:
        view = zoomed_out(view, a.zoom_most, rng)
    if a.crop and rng.random() < a.crop:
        rule = (a.crop_overlaps, a.crop_scale, a.crop_ratio)
        view = cropped(view, picture.objects, *rule, rng)
    return view


def _scaled(
    view: View, side: int, limits: tuple[float, float], rng: Generator, a: Augmentation
) -> tuple[float, float]:
    """Random (x, y) scales, relative to fitting the longer side into `side`, or to filling it."""
    width, height = view[2] - view[0], view[3] - view[1]
    if not a.stretch:
        width = height = max(width, height)
    scale = _log_uniform(rng, *limits)
    ratio = _log_uniform(rng, 1 / a.ratio, a.ratio) ** 0.5
    return side / width * scale * ratio, side / height * scale / ratio


def _anywhere(
    picture: Picture, view: View, side: int, rng: Generator, a: Augmentation
) -> Placement:
    """A view of one picture on the whole canvas."""
    scales = _scaled(view, side, a.scale, rng, a)
    room = side - scales[0] * (view[2] - view[0]), side - scales[1] * (view[3] - view[1])
    x, y = (float(free * a.translate * u) for free, u in zip(room, rng.random(2), strict=True))
    return placed(picture, view, scales, (x, y), (0, 0, side, side), rng.random() < a.flip)


def _quadrant(
    picture: Picture, window: Window, side: int, rng: Generator, a: Augmentation
) -> Placement:
    """One picture of a mosaic: where it is too small it touches the centre, else a random crop."""
    view, corner = whole(picture.size), []
    scales = _scaled(view, side, a.mosaic_scale, rng, a)
    for axis, length in enumerate((scales[0] * picture.size[1], scales[1] * picture.size[0])):
        low, high = window[axis], window[axis + 2]
        free = high - low - length
        share = rng.random() if free < 0 else float(low == 0)
        corner.append(low + free * share)
    mirror = rng.random() < a.flip
    return placed(picture, view, scales, (corner[0], corner[1]), window, mirror)


def _mosaic(
    supply: Supply, canvas: UInt8[ndarray, "S S 3"], rng: Generator, a: Augmentation
) -> Scene:
    """Four pictures around a random centre."""
    side = len(canvas)
    cx, cy = (max(1, int(side * c)) for c in rng.uniform(0.25, 0.75, 2))
    windows = ((0, 0, cx, cy), (cx, 0, side, cy), (0, cy, cx, side), (cx, cy, side, side))
    first = int(rng.integers(4))
    scenes = []
    for i, window in enumerate(windows):
        picture = supply.main if i == first else supply.another(rng)
        placement = _quadrant(picture, window, side, rng, a)
        placement.paint(canvas, picture, colour_change(rng, a))
        scenes.append(Scene.place(picture.objects, placement, (side, side), supply.flips, a.keep))
    return Scene.join(scenes)


def _single(
    supply: Supply, canvas: UInt8[ndarray, "S S 3"], rng: Generator, a: Augmentation
) -> Scene:
    side = len(canvas)
    placement = _anywhere(supply.main, _view(supply.main, rng, a), side, rng, a)
    placement.paint(canvas, supply.main, colour_change(rng, a))
    return Scene.place(supply.main.objects, placement, (side, side), supply.flips, a.keep)


def _paste(
    supply: Supply, canvas: UInt8[ndarray, "S S 3"], scene: Scene, rng: Generator, a: Augmentation
) -> Scene:
    """Some objects of another picture, cut out by their masks, over the scene."""
    donor = supply.donor(rng)
    if donor is None or donor.objects.segments is None:
        return scene
    objects = donor.objects
    known = np.array([segment is not None for segment in donor.objects.segments], bool)
    rows = np.flatnonzero(known & ~objects.crowd)
    rows = rows[rng.random(len(rows)) < 0.5]
    side = len(canvas)
    placement = _anywhere(donor, whole(donor.size), side, rng, a)
    colour = colour_change(rng, a)
    keep = replace(a.keep, masks=True)
    pasted = Scene.place(objects[rows], placement, (side, side), supply.flips, keep)
    assert pasted.masks is not None
    stencil = np.asarray(pasted.masks.any(axis=0))
    if not stencil.any():
        return scene
    placement.paint(canvas, donor, colour, stencil)
    if not a.masks:
        pasted = replace(pasted, masks=None)
    return Scene.join([scene.behind(stencil, a.keep), pasted])


def _fill(canvas: UInt8[ndarray, "S S 3"], colour: tuple[int, int, int]) -> None:
    canvas[0] = np.array(colour, np.uint8)
    canvas[1:] = canvas[0]  # whole rows: four times as fast as three bytes at a time


def compose(
    supply: Supply, canvas: UInt8[ndarray, "S S 3"], rng: Generator, augmentation: Augmentation
) -> Scene:
    """Draw a training picture into `canvas`, in place, and tell what lies on it.

    All chance comes from `rng`: the same state gives the same picture.
    """
    a = augmentation
    _fill(canvas, a.fill)
    draw = _mosaic if rng.random() < a.mosaic else _single
    scene = draw(supply, canvas, rng, a)
    if rng.random() < a.copy_paste:
        scene = _paste(supply, canvas, scene, rng, a)
    if rng.random() < a.mixup:
        other = np.empty_like(canvas)
        _fill(other, a.fill)
        second = _single(replace(supply, main=supply.another(rng)), other, rng, a)
        blend(canvas, other, float(rng.beta(a.mixup_alpha, a.mixup_alpha)))
        scene = Scene.join([scene, second])
    return scene
