"""Budgets, starts, and who is compared: before anything is trained."""

from pathlib import Path

import pytest

from sightline.compare import plan
from sightline.compare.plan import EVERYTHING, Budget, Terms
from sightline.data.records import Dataset, Example, Objects
from sightline.errors import DatasetError, SightlineError, UsageError


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """One image that is never read."""
    example = Example(Path("a.png"), 1, (48, 64), Objects.of([[2, 2, 20, 30]], [0]))
    return Dataset((example,), ("red",), (1,), None, "drawn", Path(), None)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20m", Budget(minutes=20.0)),
        ("90s", Budget(minutes=1.5)),
        ("1.5h", Budget(minutes=90.0)),
        ("8 minutes", Budget(minutes=8.0)),
        ("300 steps", Budget(steps=300)),
        ("1step", Budget(steps=1)),
    ],
)
def test_budgets(text: str, budget: Budget) -> None:
    assert Budget.of(text) == budget


@pytest.mark.parametrize("text", ["", "20", "0m", "-5m", "1.5steps", "0steps", "m", "nan m", "5 d"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="is no budget") as caught:
        Budget.of(text)
    assert caught.value.code == "usage.budget"


def test_every_generation_has_a_recipe_of_that_length(dataset: Dataset) -> None:
    for budget in (Budget(minutes=8.0), Budget(steps=300)):
        terms = Terms(budget, {EVERYTHING: "weights.file"}, seed=3, threads=1)
        rows = plan.plan(plan.LINEAGE, dataset, terms)
        assert [row.name for row in rows] == list(plan.LINEAGE)
        for row in rows:
            recipe = row.recipe
            assert recipe is not None and recipe.seed == 3 and recipe.threads == 1
            own, fitted = row.name == "hog_svm", row.name.startswith("rcnn")
            assert recipe.start == (None if own else "weights.file")
            if budget.steps is None:
                assert (recipe.minutes, recipe.steps) == (4.0 if fitted else 8.0, None)
            else:  # what learns without steps has its own course
                assert (recipe.minutes, recipe.steps) == ((60.0, None) if own else (None, 300))


def test_starts() -> None:
    found = plan.starts_of(["a.safetensors", "ssd=b.safetensors", "yolo_v1=none"])
    assert found == {
        EVERYTHING: "a.safetensors",
        "ssd_mobilenet_v2": "b.safetensors",
        "yolo_v1_mobilenet_v2": None,
    }
    with pytest.raises(UsageError, match="two starts"):
        plan.starts_of(["a", "b"])


def test_weights_of_the_package_where_nothing_is_trained(
    dataset: Dataset, checkpoint: Path
) -> None:
    terms = Terms(None, {})
    first, second = plan.plan(["retinanet", str(checkpoint)], dataset, terms)
    assert first.name == "retinanet_mobilenet_v2" and first.path is not None
    assert (second.name, second.path, second.recipe) == ("untrained", checkpoint, None)


@pytest.mark.parametrize(
    ("models", "code"),
    [
        ([], "usage.models"),
        (["retinanet", "retinanet_mobilenet_v2"], "usage.models"),
        (["selective_search"], "usage.models"),
        (["retinanett"], "usage.unknown_model"),
        (["no/such/run"], "weights.not_found"),
        (["ssd"], "usage.budget"),
    ],
)
def test_who_cannot_be_compared(dataset: Dataset, models: list[str], code: str) -> None:
    with pytest.raises(SightlineError) as caught:
        plan.plan(models, dataset, Terms(None, {}))
    assert caught.value.code == code


def test_keypoints_need_labels(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="none is labelled"):
        plan.plan(["openpose"], dataset, Terms(Budget(steps=1), {}))


def test_the_page_stays_small() -> None:
    assert plan.candidates(1, 12) == 200 and plan.candidates(10, 20) == 120
    assert plan.candidates(30, 100) == 40
