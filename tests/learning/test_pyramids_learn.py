"""Every pyramid and every loss of the light RetinaNet learns, from ImageNet, with a number."""

from pathlib import Path

import pytest

from sightline.data import open_dataset
from sightline.data.augment import Augmentation
from sightline.train.compare import Variant, measure, trained
from sightline.train.recipes import Recipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("switch", "choice", "least"),
    [
        ("pyramid", "single", 0.2),
    ],
)
def test_a_variant_learns_blood_cells(
    shared: Path, tmp_path: Path, switch: str, choice: str, least: float
) -> None:
    """100 steps of four pictures: as in `examples/pyramids.py` and `examples/focal_loss.py`."""
    start = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    recipe = Recipe(
        model="retinanet_mobilenet_v2",
        options=((switch, choice),),
        start=str(start),
        steps=100,
        batch=4,
        sizes=((1.0, 256),),
        warmup_steps=20,
        ema=0.98,
        freeze=2,
        threads=1,
        augmentation=Augmentation(masks=False),
    )
    learn, test = (
        open_dataset(shared / "data" / "bccd", part, on_bad="fix") for part in ("train", "val")
    )
    path = trained(Variant(choice, recipe), learn, tmp_path, print)
    figures = measure({choice: path}, test, looks=1)[choice].figures
    print(f"{switch}={choice}: AP {figures['AP']:.3f}, AP50 {figures['AP50']:.3f}")
    assert (figures["AP50"] or 0) > least
