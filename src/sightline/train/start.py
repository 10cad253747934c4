"""Where a network starts: nothing, a backbone's published weights, or a checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline import catalogue, checkpoint, skeletons
from sightline.errors import SightlineError, UsageError, WeightsError
from sightline.files import file_sum
from sightline.nets import weights
from sightline.nets.alexnet import AlexNetLayers
from sightline.nets.reading import read_state
from sightline.nets.vgg import VGG16Layers
from sightline.predict import embedded
from sightline.skeletons import PERSON, Skeleton
from sightline.train.recipes import Recipe, is_checkpoint
from sightline.train.setup import Say, skeleton_of


def begin(
    recipe: Recipe, classes: tuple[str, ...], say: Say, skeleton: Skeleton | None = None
) -> Any:
    """A detector for `classes` with the weights that the recipe starts from; says what was done.

    One of keypoints finds those of `skeleton`: give the data set's.

    `recipe.start` is None, "embedded", a checkpoint, a model with embedded weights, a file of a
    backbone in a published layout, Darknet's .cfg with its .weights, or the name of published
    weights, which alone may be fetched. A checkpoint of other classes or keypoints gives all but
    the parts whose shape depends on these, one of another model what both have, if the backbones
    are the same. Raises WeightsError and UsageError.
    """
    torch.manual_seed(recipe.seed)
    detector: Any = catalogue.build(recipe.model, classes, skeleton, dict(recipe.options))
    if recipe.start is None:
        say("start: random weights")
        return detector
    if recipe.start in weights.PUBLISHED:
        path = weights.load_named(_backbone(detector), recipe.start)
        layers = _layers(detector, recipe.start)
        if layers is not None:
            weights.load_named(layers, f"{recipe.start}_layers")
        say(f"start: {_what(layers)} from {path}, the rest random")
        return detector
    path = _path_of(recipe)
    if path.suffix in catalogue.DARKNET:
        from sightline.detectors import darknet_files

        _carry(detector, darknet_files.stored(path), recipe, say)
    elif is_checkpoint(str(path)):
        _carry(detector, checkpoint.read(path), recipe, say)
    else:
        say(f"start: {_what(_load_backbone(detector, path))} from {path}, the rest random")
    return detector


def origin(recipe: Recipe) -> dict[str, str] | None:
    """Which file a recipe starts from, with its SHA-256; None where there is none to be found.

    Published weights carry the beginning of theirs in the name of their `file`.
    """
    if recipe.start is None:
        return None
    if recipe.start in weights.PUBLISHED:
        return {"path": recipe.start, "file": weights.PUBLISHED[recipe.start].file}
    try:
        path = _path_of(recipe)
        path = checkpoint.find(path) if path.is_dir() else path
        darknet = path.suffix in catalogue.DARKNET
        tensors = path.with_suffix(".weights" if darknet else ".safetensors")
        return file_sum(tensors if tensors.exists() else path)
    except SightlineError:
        return None


def _path_of(recipe: Recipe) -> Path:
    """The file or folder that `start` stands for; UsageError where no weights are embedded."""
    assert recipe.start is not None
    named = recipe.start in catalogue.MODELS or recipe.start in catalogue.ALIASES
    if recipe.start != "embedded" and not named:
        return Path(recipe.start)
    model = catalogue.resolve(recipe.start if named else recipe.model)
    found = embedded(model)
    if found is None:
        raise UsageError(
            f"no weights of {model} come with the package",
            code="train.start",
            hint="give --start FILE, or --start none",
        )
    return found


def _backbone(detector: Any) -> Any:
    found = getattr(getattr(detector, "encoder", None), "backbone", None)
    if found is None:
        raise UsageError(
            f"{type(detector).__name__} has no backbone to give weights to",
            code="train.start",
            hint="give --start none",
        )
    return found


def _layers(detector: Any, name: str) -> Any:
    """fc6 and fc7 of the published classifier `name`, where the detector goes on with these."""
    kind = {"alexnet": AlexNetLayers, "vgg16": VGG16Layers}.get(name)
    places = (getattr(detector, "encoder", None), getattr(detector, "head", None))
    found = [layers for place in places if (layers := getattr(place, "layers", None)) is not None]
    return next((x for x in found if kind is not None and isinstance(x, kind)), None)


def _what(layers: Any) -> str:
    return "backbone" if layers is None else "backbone, fc6 and fc7"


def _load_backbone(detector: Any, path: Path) -> Any:
    """Load a file of a published backbone, in whichever layout fits it. The answer is the layers
    after it, where the file has these too, and the detector does.
    """
    backbone, found = _backbone(detector), read_state(path)
    fault: WeightsError | None = None
    for name, published in weights.PUBLISHED.items():
        if not published.background and not published.class_layers:
            try:
                ignore = published.ignore
                weights.load_published(backbone, found, published.layout, ignore=ignore, path=path)
            except WeightsError as error:
                if error.code != "weights.architecture":
                    raise
                fault = error
            else:
                layers = _layers(detector, name)
                if layers is None or not any(key.startswith("classifier.") for key in found):
                    return None
                more = weights.PUBLISHED[f"{name}_layers"]
                weights.load_published(layers, found, more.layout, ignore=more.ignore, path=path)
                return layers
    assert fault is not None
    raise WeightsError(
        f"no published layout of this file fits the backbone of {type(detector).__name__}",
        code="weights.architecture",
        path=path,
        hint=f"known are {', '.join(weights.PUBLISHED)}",
    ) from fault


def _carry(detector: Any, saved: checkpoint.Checkpoint, recipe: Recipe, say: Say) -> None:
    """Load a checkpoint, but what depends on its classes or keypoints where these are others."""
    name = saved.manifest.get("model")
    if name != catalogue.resolve(recipe.model):
        _carry_common(detector, saved, recipe, say)
        return
    before_options = saved.manifest.get("options") or {}
    if before_options != dict(recipe.options):
        say(
            f"its options were {before_options or 'the usual ones'}, here they are "
            f"{dict(recipe.options) or 'the usual ones'}"
        )
        if saved.state.keys() != detector.state_dict().keys():  # other layers
            _carry_common(detector, saved, recipe, say)
            return
    bones = skeleton_of(detector)
    before = saved.skeleton or PERSON  # checkpoints without a skeleton were of COCO's person
    reset: list[str] = []
    others: list[str] = []
    if saved.classes != tuple(detector.classes):
        reset += _resized(detector, recipe, _named(len(detector.classes) + 1), bones)
        others.append(f"its {len(saved.classes)} classes are not these {len(detector.classes)}")
    if bones is not None and before.points != bones.points:
        more = skeletons.skeleton(_named(len(bones.points) + 1), ())
        reset += _resized(detector, recipe, detector.classes, more)
        others.append(f"its {len(before.points)} keypoints are not these {len(bones.points)}")
    checkpoint.load_into(detector, saved, ignore=reset)
    if reset:
        changes = f"{' and '.join(others)}, so their outputs begin anew: {', '.join(reset)}"
        say(f"start: {saved.path}; {changes}")
    else:
        say(f"start: {saved.path}, same classes{'' if bones is None else ', same keypoints'}")


def _carry_common(detector: Any, saved: checkpoint.Checkpoint, recipe: Recipe, say: Say) -> None:
    """Load what two models, or a model with other options, have in common: the backbone, whole, and
    what else has the same place and shape: the pyramid, and between models of Faster R-CNN's family
    both stages. What depends on the classes is taken where these are the same.
    """
    own: dict[str, Tensor] = detector.state_dict()
    reset: list[str] = []
    if saved.classes != tuple(detector.classes):
        more = _named(len(detector.classes) + 1)
        reset = _resized(detector, recipe, more, skeleton_of(detector))
    theirs = {_place(key): value for key, value in saved.state.items()}
    shared = {
        key: theirs[_place(key)]
        for key, value in own.items()
        if _place(key) in theirs and theirs[_place(key)].shape == value.shape and key not in reset
    }
    name = saved.manifest.get("model")
    if not all(key in shared for key in own if _place(key).startswith("backbone.")):
        raise WeightsError(
            f"these are weights of {name}, not of {recipe.model}, and its backbone is another",
            code="weights.architecture",
            path=saved.path,
        )
    detector.load_state_dict(shared, strict=False)
    other = f"{len(shared)} of {len(own)} entries, the rest is random"
    say(f"start: {saved.path}, a {name}: {other}")


def _place(key: str) -> str:
    """Where an entry stands, whichever stage holds the encoder."""
    return key.rpartition("encoder.")[2]


def _named(count: int) -> tuple[str, ...]:
    return tuple(f"{number}" for number in range(count))


def _resized(
    detector: Any, recipe: Recipe, classes: Sequence[str], skeleton: Skeleton | None
) -> list[str]:
    """The entries of a detector that have another shape for these classes and keypoints."""
    own: dict[str, Tensor] = detector.state_dict()
    if catalogue.learns_poses(recipe.model):  # of one class, on which nothing depends
        classes = detector.classes
    model: Any = catalogue.build(recipe.model, classes, skeleton, dict(recipe.options))
    other: dict[str, Tensor] = model.state_dict()
    return [key for key in own if own[key].shape != other[key].shape]
