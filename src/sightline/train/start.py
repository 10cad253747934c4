"""Where a network starts: nothing, a backbone's published weights, or a checkpoint."""

from pathlib import Path
from typing import Any

from torch import Tensor

from sightline import catalogue, checkpoint
from sightline.errors import UsageError, WeightsError
from sightline.train.recipes import Recipe
from sightline.train.setup import Say

EMBEDDED = Path(__file__).resolve().parents[1] / "weights"
"""The folder of weights that come with the package."""


def begin(recipe: Recipe, classes: tuple[str, ...], say: Say) -> Any:
    """A detector for `classes` with the weights that the recipe starts from; says what was done.

    A checkpoint of other classes gives all but the parts whose shape depends on the classes.
    Raises WeightsError and UsageError.
    """
    detector: Any = catalogue.build(recipe.model, classes)
    if recipe.start is None:
        say("start: random weights")
        return detector
    path = EMBEDDED / catalogue.resolve(recipe.model) if recipe.start == "embedded" else None
    if path is None:
        path = Path(recipe.start)
        if path.suffix == ".safetensors" and not path.with_suffix(".json").exists():
            return _backbone(detector, path, say)
    elif not path.with_name(f"{path.name}.safetensors").exists():
        raise UsageError(
            f"no weights of {recipe.model} come with the package",
            code="train.start",
            hint="give --start FILE, or --start none",
        )
    _carry(detector, checkpoint.read(path), recipe.model, say)
    return detector


def _backbone(detector: Any, path: Path, say: Say) -> Any:
    """Load a file of a published backbone."""
    if not path.exists():
        raise WeightsError("no such file", code="weights.not_found", path=path)
    from sightline.nets import weights

    weights.load_backbone(detector.encoder.backbone, path)
    say(f"start: backbone from {path}, the rest random")
    return detector


def _carry(detector: Any, saved: checkpoint.Checkpoint, model: str, say: Say) -> None:
    """Load a checkpoint; where its classes are others, all but what depends on the classes."""
    name = saved.manifest.get("model")
    if name != catalogue.resolve(model):
        raise WeightsError(
            f"these are weights of {name}, not of {model}",
            code="weights.architecture",
            path=saved.path,
        )
    if saved.classes == tuple(detector.classes):
        checkpoint.load_into(detector, saved)
        say(f"start: {saved.path}, same classes")
        return
    reset = _of_classes(detector, model)
    checkpoint.load_into(detector, saved, ignore=reset)
    say(
        f"start: {saved.path}; its {len(saved.classes)} classes are not these "
        f"{len(detector.classes)}, so the class outputs begin anew: {', '.join(reset)}"
    )


def _of_classes(detector: Any, model: str) -> list[str]:
    """The entries whose shape changes when there is one class more."""
    more = tuple(f"{i}" for i in range(len(detector.classes) + 1))
    own: dict[str, Tensor] = detector.state_dict()
    other: dict[str, Tensor] = catalogue.build(model, more).state_dict()  # type: ignore[attr-defined]
    return [key for key in own if own[key].shape != other[key].shape]
