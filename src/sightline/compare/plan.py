"""Who is compared, and what each may spend: one budget, a recipe a method."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline import catalogue, checkpoint
from sightline.data.records import Dataset
from sightline.errors import DatasetError, UsageError
from sightline.predict import embedded
from sightline.train import recipes
from sightline.train.recipes import Recipe

LINEAGE = (
    "hog_svm", "window_cnn_mobilenet_v2", "rcnn_mobilenet_v2", "fast_rcnn_mobilenet_v2",
    "faster_rcnn_mobilenet_v2", "yolo_v1_mobilenet_v2", "yolo_v2_mobilenet_v2",
    "yolo_v3_mobilenet_v2", "ssd_mobilenet_v2", "retinanet_mobilenet_v2",
)  # fmt: skip
"""The light model of every generation that learns from boxes, in the order of the lineage."""

UNITS = {"s": 1 / 60, "m": 1.0, "h": 60.0}
LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|min|minutes?|seconds?|hours?|steps?)\s*")

EVERYTHING = "all"
"""The key of a start that is for every model."""


@dataclass(frozen=True)
class Budget:
    """What each model may spend on learning: `minutes`, or `steps`; the other is None."""

    minutes: float | None = None
    steps: int | None = None

    @classmethod
    def of(cls, text: str) -> "Budget":
        """From "20m", "90s", "1.5h" or "300 steps"; UsageError (usage.budget) for anything else."""
        found = LENGTH.fullmatch(text.lower())
        number = float(found[1]) if found else 0.0
        counted = found is not None and found[2].startswith("step")
        if found is None or number <= 0 or (counted and not number.is_integer()):
            raise UsageError(
                f"{text!r} is no budget",
                code="usage.budget",
                hint="a time, such as 20m, 90s or 1.5h, or a number of steps, such as 300steps",
            )
        if counted:
            return cls(steps=int(number))
        return cls(minutes=number * UNITS[found[2][0]])

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.minutes:g} minutes"


@dataclass(frozen=True)
class Contender:
    """One row of a comparison. `name` is its folder too; it is trained by `recipe`, or `path` is
    its checkpoint.
    """

    name: str
    recipe: Recipe | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Terms:
    """What is the same for all that are trained. `starts` are weights to begin with, by model, or
    by `EVERYTHING` for the others; who has none begins at random. `threads` as in a recipe.
    """

    budget: Budget | None
    starts: Mapping[str, str | None]
    seed: int = 0
    threads: int = 0
    device: str = "cpu"


def plan(models: Sequence[str], dataset: Dataset, terms: Terms) -> list[Contender]:
    """The rows in the order given: names of the catalogue, checkpoints and folders of runs.

    With a budget names are trained; without one they stand for the weights of the package. Raises
    UsageError for what is no model, learns nothing, comes twice or has no weights, DatasetError
    (dataset.no_keypoints) where a model needs points that `dataset` does not have.
    """
    answer = [_contender(model, dataset, terms) for model in models]
    if not answer:
        raise UsageError("no model to compare", code="usage.models", hint="give --models a,b,…")
    names = [one.name for one in answer]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"compared with itself: {', '.join(twice)}",
            code="usage.models",
            hint="name every model once; the folders of two runs need two names",
        )
    return answer


def _contender(model: str, dataset: Dataset, terms: Terms) -> Contender:
    if not (model in catalogue.MODELS or model in catalogue.ALIASES):
        path = Path(model)
        if not (path.exists() or path.suffix or len(path.parts) > 1):
            catalogue.resolve(model)  # raises, with the nearest name
        checkpoint.manifest(path)  # raises where there is none
        stem = path.parent.name if path.stem in ("best", "last") else path.stem
        return Contender(stem or path.absolute().parent.name, path=path)
    name = catalogue.resolve(model)
    if name in catalogue.WEIGHTLESS:
        raise UsageError(
            f"{name} has nothing to learn and knows no classes",
            code="usage.models",
            hint=f"sightline evaluate proposals --model {name} measures where it looks",
        )
    if terms.budget is not None:
        return Contender(name, recipe=recipe_for(name, dataset, terms))
    own = embedded(name)
    if own is None:
        raise UsageError(
            f"no weights of {name} come with the package",
            code="usage.budget",
            hint="--budget 20m trains it; or give the folder of a run",
        )
    return Contender(name, path=own)


def recipe_for(name: str, dataset: Dataset, terms: Terms) -> Recipe:
    """How a model learns under a budget: the recipe for these data, cut to its length.

    What learns without steps gets the budget's minutes, and under a budget of steps its own course,
    an hour at most. What fits machines after its steps gets half of the minutes for the steps: the
    machines see every region of every image once, whatever the clock says.
    """
    budget = terms.budget
    assert budget is not None  # the caller has looked
    if catalogue.finds_keypoints(name) and dataset.skeleton is None:
        raise DatasetError(
            f"{name} finds keypoints, and none is labelled here",
            code="dataset.no_keypoints",
            path=dataset.root,
            hint="leave it out, or add labels with keypoints",
        )
    by_steps = catalogue.learns_by_steps(name)
    start = terms.starts.get(name, terms.starts.get(EVERYTHING)) if by_steps else None
    base = recipes.default_for(name, dataset, start)
    minutes = budget.minutes
    if by_steps:
        half = minutes is not None and catalogue.is_fitted(name)
        minutes = minutes / 2 if half and minutes is not None else minutes
        warmup = base.warmup_steps if budget.steps is None else min(100, budget.steps // 5)
        base = replace(base, warmup_steps=warmup, epochs=None, minutes=minutes, steps=budget.steps)
    elif minutes is not None:
        base = replace(base, minutes=minutes)
    return replace(base, seed=terms.seed, threads=terms.threads, device=terms.device)


def starts_of(given: Sequence[str]) -> dict[str, str | None]:
    """FILE, or MODEL=FILE for one model: what `Terms.starts` holds. "none" is no weights.

    Raises UsageError (usage.start) for two of a kind, and for an unknown model.
    """
    answer: dict[str, str | None] = {}
    for text in given:
        head, equals, tail = text.partition("=")
        named = bool(equals) and (head in catalogue.MODELS or head in catalogue.ALIASES)
        key, value = (catalogue.resolve(head), tail) if named else (EVERYTHING, text)
        if key in answer:
            raise UsageError(f"two starts for {key}", code="usage.start", hint="give one")
        answer[key] = None if value == "none" else value
    return answer


def candidates(models: int, images: int) -> int:
    """How many candidates an image the page holds for each model, so that it stays an attachment.

    About 85 bytes each, 2 MB in all; with the photos and the maps of ten models on twenty images
    the page then has less than 5 MB.
    """
    return max(40, min(200, 24_000 // max(1, models * images)))
