"""How pictures are usually shown to each kind of model: what a recipe begins with."""

from dataclasses import replace
from typing import Any

from sightline.data.augment import Augmentation

POSES = Augmentation(
    scale=(0.9, 2.4), ratio=1.0, mosaic=0.0, min_visible=0.0, min_size=1.0, masks=False
)
"""For poses: people from small to larger than the picture, their shape as it is; whoever is in the
picture keeps the points that are, and no picture is made of four.
"""

CROPS: dict[str, Any] = {
    "sizes": ((1.0, 480),),
    "augmentation": replace(POSES, scale=(0.8, 1.25), ratio=1.2),
}
"""For poses in crops of the labelled people: these are cut from whole pictures, large enough that
little is lost; how large people are in their crops is the model's to vary.
"""

SEARCHED: dict[str, Any] = {
    "batch": 2,
    "sizes": ((1.0, 416),),
    "augmentation": replace(Augmentation.none(), flip=0.5, min_size=2.0, masks=False),
}
"""For models whose regions are searched in the pixels: two pictures a step, of one size, flipped at
most (Fast R-CNN, section 2.3). A data set then has two pictures an image, each searched once.
"""

PATCHES = Augmentation(
    scale=(1.0, 1.0),
    ratio=1.0,
    mosaic=0.0,
    min_visible=0.0,
    masks=False,
    zoom_out=0.5,
    crop=0.86,
)
"""For models that learn from patches (SSD, section 2.2): the whole picture one time in seven, and
every second one zoomed out first.
"""

OFTEN = 100.0
"""A picture that is seen so often is changed so often; one that is seen less, less."""


def patches(epochs: float, stretch: bool) -> Augmentation:
    """`PATCHES` for a run that shows every picture `epochs` times.

    The paper shows each some two hundred times, and few of them whole. Where a picture comes three
    times that is far too much: of COCO's people the light network learns AP 0.046 from patches in
    800 steps of eight, and 0.099 from whole pictures.
    """
    share = min(1.0, epochs / OFTEN)
    zoom, crop = PATCHES.zoom_out * share, PATCHES.crop * share
    return replace(PATCHES, zoom_out=round(zoom, 3), crop=round(crop, 3), stretch=stretch)
