"""RetinaNet really learns, on real photos, with a number."""

from pathlib import Path

import pytest

from sightline.data import open_dataset
from sightline.data.augment import Augmentation
from sightline.evaluate import evaluate, predict
from sightline.predict import embedded, load
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.start import begin


@pytest.mark.slow
def test_the_light_one_learns_a_class_it_never_saw(shared: Path, tmp_path: Path) -> None:
    """158 photos of raccoons, three minutes on one core: AP50 on 42 others is above 0.75."""
    if embedded("retinanet_mobilenet_v2") is None:
        pytest.skip("no embedded weights in this checkout")
    data = shared / "data" / "raccoon"
    learn, test = open_dataset(data, "train"), open_dataset(data, "val")
    recipe = Recipe(
        model="retinanet_mobilenet_v2",
        steps=160,
        sizes=((1.0, 320),),
        learning_rate=5e-4,
        warmup_steps=20,
        ema=0.98,
        freeze=2,
        evaluate_every=1.0,
        augmentation=Augmentation(masks=False),
        threads=1,
    )
    said: list[str] = []
    detector = begin(recipe, learn.classes, said.append)
    best = train(detector, learn, recipe, tmp_path / "run", run=Run(say=said.append))
    model = load(best, score=None)
    report = evaluate(test, predict(model.detector, test))
    print(f"raccoon: AP {report.AP:.3f}, AP50 {report.AP50:.3f}")
    assert report.AP50 is not None and report.AP50 > 0.75
