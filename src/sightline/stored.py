"""What a name stands for, in the form of a checkpoint; and the detector that a checkpoint is of."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from sightline import catalogue, checkpoint
from sightline.errors import WeightsError
from sightline.pipeline import Detector
from sightline.preparation import Preparation


def published(name: str, file: Path | None = None) -> checkpoint.Checkpoint:
    """The published weights `name` in our names: from `file`, or fetched once into the cache."""
    from sightline.nets import weights
    from sightline.nets.categories import COCO

    model = catalogue.PUBLISHED[name]
    ids = list(weights.PUBLISHED[name].ids)
    classes = [COCO[number] for number in ids]
    detector = cast(nn.Module, catalogue.build(model, classes))
    path = weights.load_named(detector, name, file=file)
    manifest = {"model": model, "classes": classes, "category_ids": ids}
    return checkpoint.Checkpoint(detector.state_dict(), manifest, path)


def without_weights(name: str, options: Mapping[str, str]) -> checkpoint.Checkpoint:
    """What a checkpoint would say of a model that learns nothing."""
    classes = list(catalogue.WEIGHTLESS[name])
    manifest = {"model": name, "classes": classes, "options": dict(options)}
    return checkpoint.Checkpoint({}, manifest, Path(name))


def restored(stored: checkpoint.Checkpoint) -> Detector:
    """The detector of a checkpoint as it was trained: `assemble` makes it ready."""
    name = str(stored.manifest.get("model", ""))
    if name not in catalogue.MODELS:
        raise WeightsError(
            f"the checkpoint is of a model called {name!r}, which is not in the catalogue",
            code="weights.architecture",
            path=stored.path,
            hint=f"known are {', '.join(sorted(catalogue.MODELS))}",
        )
    if not stored.classes:
        raise WeightsError(
            "the manifest names no classes", code="weights.class_count", path=stored.path
        )
    detector = catalogue.build(name, stored.classes, stored.skeleton, _options(stored))
    checkpoint.load_into(cast(nn.Module, detector), stored)
    _restore_preparation(detector, stored)
    return detector


def _options(stored: checkpoint.Checkpoint) -> dict[str, str]:
    """The switches that a checkpoint's model was built with, where they were not the usual ones."""
    found = stored.manifest.get("options") or {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        message = "the manifest's options are not names and choices"
        raise WeightsError(message, code="weights.format", path=stored.path)
    return dict(found)


def _restore_preparation(detector: Detector, stored: checkpoint.Checkpoint) -> None:
    """Give the detector the preparation that its checkpoint was trained with."""
    recorded = stored.manifest.get("preparation")
    current = getattr(detector, "preparation", None)
    if not recorded or not isinstance(current, Preparation):
        return
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in recorded.items()
    }
    try:
        detector.preparation = replace(current, **values)  # type: ignore[attr-defined]
    except TypeError as error:
        raise WeightsError(
            f"the manifest's preparation is not understood: {error}",
            code="weights.format",
            path=stored.path,
        ) from error
