"""Recipes: what may stand in one, and settings from the command line."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from training_world import Tiny, brief, draw_dataset

from sightline import catalogue, checkpoint
from sightline.data.augment import Augmentation
from sightline.errors import UsageError
from sightline.preparation import Preparation
from sightline.train.loop import train
from sightline.train.recipes import RECIPES, Recipe, default_for, named
from sightline.train.settings import changed, from_json


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 2.0}, "exactly one"),
        ({"steps": None}, "exactly one"),
        ({"steps": 0}, "more than 0"),
        ({"batch": 0}, "batch"),
        ({"optimizer": "lion"}, "adamw or sgd"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"ema": 1.0}, "ema"),
        ({"sizes": ((0.5, 64),)}, "sum to 1"),
        ({"sizes": ((1.0, 16),)}, "32 pixels at least"),
        ({"sizes": ((1.0,),)}, "pairs of a share"),
        ({"sizes": 320}, "pairs of a share"),
        ({"sizes": ((math.nan, 320),)}, "pairs of a share"),
        ({"weight_decay": math.inf}, "weight_decay must be a finite"),
        ({"clip_norm": math.nan}, "clip_norm must be a finite"),
        ({"evaluate_every": 0.0}, "evaluate_every"),
    ],
)
def test_recipes_that_make_no_sense(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        brief(**change)


def test_settings() -> None:
    recipe = changed(
        brief(),
        [
            "batch=16",
            "learning_rate=1",
            "bf16=true",
            "teacher=net.onnx",
            "sizes=((0.5, 96), (0.5, 128))",
            "augmentation.mosaic=0.25",
            "augmentation.scale=(0.5, 2.0)",
            "start=none",
        ],
    )
    assert recipe.batch == 16
    assert recipe.learning_rate == 1.0
    assert recipe.bf16 is True
    assert recipe.teacher == "net.onnx"
    assert recipe.sizes == ((0.5, 96), (0.5, 128))
    assert recipe.augmentation.mosaic == 0.25
    assert recipe.augmentation.scale == (0.5, 2.0)
    assert recipe.start is None
    assert changed(recipe, ["sizes=[[1.0, 64]]"]).sizes == ((1.0, 64),)  # as model cards write it
    assert changed(recipe, ["minutes=3"]).steps is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rat=1", "did you mean learning_rate"),
        ("augmentation.mozaic=1", "did you mean mosaic"),
        ("batch=4.5", "batch cannot be"),
        ("batch=true", "batch cannot be"),
        ("bf16=3", "bf16 cannot be"),
        ("sizes=((1.0,),)", "sizes cannot be"),
        ("sizes=((1.0, 'x'),)", "sizes cannot be"),
        ("class_weights=((1, 2.0),)", "class_weights cannot be"),
        ("augmentation.scale=(1.0,)", "scale cannot be"),
        ("augmentation.fill=('a', 1, 2)", "fill cannot be"),
        ("augmentation=1", "no setting is called"),
        ("batch", "no KEY=VALUE"),
    ],
)
def test_settings_that_are_wrong(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed(brief(), [setting])


def test_recipes_are_plain_data_and_named() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.model in name
        fields = {f.name for f in dataclasses.fields(Recipe)}
        assert recipe.to_json().keys() == fields
    assert named("retinanet_mobilenet_v2").freeze == 2
    with pytest.raises(UsageError, match="did you mean retinanet_mobilenet_v2"):
        named("retinanet_mobilenet")


def test_small_data_get_more_epochs(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, 8)
    assert default_for("retinanet", dataset).epochs == 100
    many = dataclasses.replace(dataset, examples=dataset.examples * 1000)
    assert default_for("retinanet", many).epochs == 6


def test_networks_of_one_size_are_shown_that_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    square = Preparation(None, 300, fit="stretch", fixed=True)
    monkeypatch.setattr(catalogue, "preparation_of", lambda name: square)
    recipe = default_for("retinanet", draw_dataset(tmp_path, 8))
    assert recipe.sizes == ((1.0, 300),) and recipe.augmentation.stretch


@pytest.mark.parametrize(
    ("preparation", "change", "message"),
    [
        (Preparation(None, 64), {"sizes": ((1.0, 72),)}, "multiples of 32"),
        (Preparation(None, 72, fit="stretch", fixed=True), {}, "72 pixels alone"),
        (
            Preparation(None, 72, fit="letterbox", fixed=True),
            {"sizes": ((1.0, 72),), "size_jitter": 0.1},
            "72 pixels alone",
        ),
    ],
)
def test_sizes_that_a_network_does_not_take(
    tmp_path: Path, preparation: Preparation, change: dict[str, object], message: str
) -> None:
    detector = Tiny()
    detector.preparation = preparation
    with pytest.raises(UsageError, match=message) as caught:
        train(detector, draw_dataset(tmp_path / "data", 2), brief(**change), tmp_path / "run")
    assert caught.value.code == "train.recipe" and not (tmp_path / "run").exists()


def test_a_size_that_is_no_multiple_of_32(tmp_path: Path) -> None:
    detector = Tiny()
    detector.preparation = Preparation(None, 72, fit="stretch", fixed=True)
    recipe = brief(steps=2, sizes=((1.0, 72),))
    train(detector, draw_dataset(tmp_path / "data", 4), recipe, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_what_looks_at_single_maps_is_shown_all_sizes(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, 2)
    plain = default_for("retinanet", dataset).augmentation
    assert plain.zoom_out == plain.crop == 0
    for name, size in (("ssd", 320), ("ssd300_vgg16", 300)):
        recipe = default_for(name, dataset, None)
        assert recipe.sizes == ((1.0, size),)
        shown = recipe.augmentation
        assert shown.zoom_out == 0.5 and shown.crop == 0.86 and shown.mosaic == 0
        assert shown.stretch and not shown.masks
        assert from_json(recipe.to_json()) == recipe


def test_pictures_that_are_seldom_seen_are_seldom_changed(tmp_path: Path) -> None:
    many = draw_dataset(tmp_path, 2).subset([0, 1] * 400)
    recipe = default_for("ssd", many, None)
    assert recipe.epochs == 20.0
    assert recipe.augmentation.zoom_out == 0.1 and recipe.augmentation.crop == 0.172


def test_what_finds_nothing_yet_learns_faster(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, 2)
    backbone, own, other = (tmp_path / f"{name}.safetensors" for name in ("net", "own", "other"))
    backbone.touch()
    for path, model in ((own, "retinanet_mobilenet_v2"), (other, "faster_rcnn_mobilenet_v2")):
        checkpoint.write(path, {"x": torch.zeros(1)}, {"model": model, "classes": ["a"]})
    finds = {None: False, "embedded": True, "retinanet": True, "faster_rcnn": False}
    finds |= {str(own): True, str(other): False, str(backbone): False, str(tmp_path / "no"): False}
    rates = {start: default_for("retinanet", dataset, start).learning_rate for start in finds}
    assert rates == {start: 5e-4 if does else 1e-3 for start, does in finds.items()}


@pytest.mark.parametrize(
    "recipe",
    [
        *RECIPES.values(),
        Recipe("m", epochs=3, class_weights=(("a", 2.0), ("b", 1)), start=None, bf16=True),
        Recipe("m", minutes=0.1, augmentation=Augmentation(scale=(0.1, 0.3), fill=(1, 2, 3))),
    ],
)
def test_a_recipe_comes_back_from_json(recipe: Recipe) -> None:
    assert from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lerning_rate", 1.0),
        ("seed", "x"),
        ("steps", 2.5),
        ("sizes", [[1.0, "x"]]),
        ("sizes", 3),
        ("model", None),
        ("augmentation", {"flop": 1}),
        ("augmentation", {"flip": "x"}),
    ],
)
def test_what_is_no_recipe_is_refused(key: str, value: object) -> None:
    plain = json.loads(json.dumps(Recipe("m", steps=3).to_json()))
    with pytest.raises(UsageError):
        from_json({**plain, key: value})
    with pytest.raises(UsageError):
        from_json({})


def test_a_setting_that_did_not_exist_gets_its_default() -> None:
    plain = Recipe("m", steps=3, skip_bad=0.5).to_json()
    del plain["skip_bad"]
    assert from_json(plain) == Recipe("m", steps=3)


def test_where_proposals_are_searched_pictures_are_flipped_at_most(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path)
    recipe = default_for("fast_rcnn", dataset)
    assert default_for("rcnn", dataset).augmentation == recipe.augmentation
    once, mixed = recipe.augmentation, default_for("retinanet", dataset).augmentation
    assert (once.flip, once.scale, once.mosaic, once.hue) == (0.5, (1.0, 1.0), 0, 0)
    assert recipe.batch == 2 and len(recipe.sizes) == 1 and mixed.mosaic > 0
    assert catalogue.searches("fast_rcnn") and not catalogue.searches("faster_rcnn")
