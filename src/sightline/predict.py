"""`sightline.load`: a trained model, ready to be called on images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch
from torch import Tensor, nn

from sightline import catalogue, checkpoint, images, pipeline, tiles
from sightline.errors import UsageError, WeightsError
from sightline.nets.blocks import optimise
from sightline.pipeline import Detector, Trace
from sightline.preparation import Preparation
from sightline.tiles import Tiling
from sightline.types import Detections
from sightline.video.detecting import video

Sources = list[Any] | tuple[Any, ...]
"""Several images, of any kinds."""

DTYPES = {"fp32": None, "bf16": torch.bfloat16}


@dataclass(eq=False)
class Model:
    """A detector with its weights: call it on an image, or on a list of them.

    An image is a path, encoded bytes, a PIL image, an array or a tensor, as `images.read` takes
    them. Detections have a score above `score` and lie in the pixels of the upright image. The
    answer for an image is the same alone or among others, with any number of threads.
    """

    detector: Detector
    name: str
    score: float | None = 0.3
    device: str = "cpu"
    manifest: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what it can find."""
        return self.detector.classes

    @overload
    def __call__(
        self, source: Sources, *, tile: int | Tiling | None = None, batch_size: int = 1
    ) -> list[Detections]: ...

    @overload
    def __call__(
        self, source: images.Source, *, tile: int | Tiling | None = None, batch_size: int = 1
    ) -> Detections: ...

    def __call__(
        self,
        source: images.Source | Sources,
        *,
        tile: int | Tiling | None = None,
        batch_size: int = 1,
    ) -> Detections | list[Detections]:
        """`Detections` of one image, or their list for a list (or tuple) of images.

        `tile` looks at large images in tiles of that many pixels as well as at the whole (see
        `sightline.tiles`). Raises ImageError for what is no image.
        """
        if isinstance(source, list | tuple):
            if batch_size == 1 or tile is not None:
                return [self._one(item, tile) for item in source]
            return self.find([images.read(item) for item in source], batch_size)
        return self._one(source, tile)

    def _one(self, source: Any, tile: int | Tiling | None) -> Detections:
        pixels = images.read(source)
        if tile is None:
            return self.find([pixels])[0]
        tiling = Tiling(size=tile) if isinstance(tile, int) else tile
        return tiles.detect(self.find, pixels, tiling)

    def find(self, pixels: Sequence[Tensor], batch_size: int = 1) -> list[Detections]:
        """The answers for upright RGB images, (3, H, W) bytes each, on the CPU."""
        moved = [image.to(self.device) for image in pixels]
        found = pipeline.detect(self.detector, moved, batch_size)
        return [self._finish(one) for one in found]

    video = video

    def trace(self, source: Any) -> Trace:
        """All that passed between the stages for one image; `detections` has the usual answer."""
        pixels = images.read(source).to(self.device)
        trace = pipeline.run(self.detector, [pixels])
        return replace(trace, detections=[self._finish(one) for one in trace.detections])

    def _finish(self, found: Detections) -> Detections:
        kept = found if self.score is None else found.above(self.score)
        ids = self.manifest.get("category_ids")
        return replace(
            kept,
            boxes=kept.boxes.cpu(),
            scores=kept.scores.cpu(),
            labels=kept.labels.cpu(),
            region=kept.region.cpu(),
            masks=None if kept.masks is None else kept.masks.cpu(),
            keypoints=None if kept.keypoints is None else kept.keypoints.cpu(),
            category_ids=tuple(ids) if ids else None,
        )


def embedded(name: str) -> Path | None:
    """Where the weights of a model of the catalogue lie in the package; None if it has none."""
    folder = resources.files("sightline") / "weights"
    path = Path(str(folder)) / f"{name}.safetensors"
    return path if path.is_file() else None


def locate(name_or_path: str | Path) -> Path:
    """The checkpoint that a name of the catalogue, a file or a run's folder stands for.

    Raises UsageError for what is neither, WeightsError for a model without embedded weights.
    """
    text = str(name_or_path)
    if text in catalogue.MODELS or text in catalogue.ALIASES:
        name = catalogue.resolve(text)
        path = embedded(name)
        if path is None:
            ready = [other for other in catalogue.MODELS if embedded(other)]
            instead = f"use {ready[0]}, or give" if ready else "give"
            raise WeightsError(
                f"no weights of {name} come with the package",
                code="weights.not_found",
                hint=f"{instead} the path of a checkpoint that you trained",
            )
        return path
    path = Path(name_or_path)
    if path.suffix or path.exists() or len(path.parts) > 1:
        return path
    catalogue.resolve(text)  # raises, with the nearest name
    raise AssertionError(text)


def load(
    name_or_path: str | Path = "retinanet",
    *,
    score: float | None = 0.3,
    dtype: Literal["fp32", "bf16"] = "fp32",
    device: str = "cpu",
    options: Mapping[str, str] = catalogue.NONE,
    weights: str | Path | None = None,
) -> Model:
    """A model by its name in the catalogue, or from a checkpoint (a file, or a run's folder), or
    from Darknet's NAME.cfg, with NAME.weights beside it or with the file `weights`.

    `score` is the threshold that detections must exceed, any number where scores are margins; None
    keeps the detector's own, which suits evaluation. A name of `catalogue.PUBLISHED` fetches those
    weights, if the cache has none: nothing else here ever uses the network. The detector is made
    ready: batch norm folded, channels last, and bfloat16 where `dtype` says so (half the time of
    fp32 on CPUs that know it; boxes and scores differ slightly). `options` are switches of a model
    that needs no weights (`catalogue.WEIGHTLESS`); what a checkpoint was built with stands in it.
    Raises UsageError, WeightsError.
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype is fp32 or bf16, not {dtype!r}", code="usage.dtype")
    if options and str(name_or_path) not in catalogue.WEIGHTLESS:
        raise UsageError(
            f"options cannot be set where there are weights: {', '.join(options)}",
            code="usage.option",
            hint=f"models without weights are {', '.join(catalogue.WEIGHTLESS)}",
        )
    is_darknet = Path(name_or_path).suffix in catalogue.DARKNET
    if weights is not None and not is_darknet:
        raise UsageError(
            f"weights are a file of their own for Darknet's .cfg, not for {name_or_path}",
            code="usage.weights",
        )
    if is_darknet:
        from sightline.detectors import darknet_files

        stored = darknet_files.stored(name_or_path, weights)
    elif str(name_or_path) in catalogue.PUBLISHED:
        stored = _published(str(name_or_path))
    elif str(name_or_path) in catalogue.WEIGHTLESS:
        stored = _without_weights(str(name_or_path), options)
    else:
        stored = checkpoint.read(locate(name_or_path))
    return assemble(stored, score=score, dtype=dtype, device=device)


def _published(name: str) -> checkpoint.Checkpoint:
    """The published weights `name` in our names: fetched once, then from the cache."""
    from sightline.nets import weights
    from sightline.nets.categories import COCO

    model = catalogue.PUBLISHED[name]
    ids = list(weights.PUBLISHED[name].ids)
    classes = [COCO[number] for number in ids]
    detector = cast(nn.Module, catalogue.build(model, classes))
    path = weights.load_named(detector, name)
    manifest = {"model": model, "classes": classes, "category_ids": ids}
    return checkpoint.Checkpoint(detector.state_dict(), manifest, path)


def _without_weights(name: str, options: Mapping[str, str]) -> checkpoint.Checkpoint:
    """What a checkpoint would say of a model that learns nothing."""
    classes = list(catalogue.WEIGHTLESS[name])
    manifest = {"model": name, "classes": classes, "options": dict(options)}
    return checkpoint.Checkpoint({}, manifest, Path(name))


def assemble(
    stored: checkpoint.Checkpoint,
    *,
    score: float | None = 0.3,
    dtype: Literal["fp32", "bf16"] = "fp32",
    device: str = "cpu",
) -> Model:
    """The model of a checkpoint that has been read; for the arguments see `load`."""
    detector = restored(stored)
    _check_score(detector, score)
    module, name = cast(nn.Module, detector), str(stored.manifest["model"])
    optimise(module, DTYPES[dtype])
    _place(module, device)
    selection = getattr(detector, "selection", None)
    if (
        score is not None
        and selection is not None
        and (selection.method == "nms" or score < selection.score)
    ):
        # What cannot be in the answer need not be suppressed either: greedy NMS says the same.
        detector.selection = replace(selection, score=score)  # type: ignore[attr-defined]
    return Model(detector, name, score, device, dict(stored.manifest))


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
        message = "the manifest names no classes"
        raise WeightsError(message, code="weights.class_count", path=stored.path)
    detector = catalogue.build(name, stored.classes, stored.skeleton, _options(stored))
    checkpoint.load_into(cast(nn.Module, detector), stored)
    _restore_preparation(detector, stored)
    return detector


def _check_score(detector: Detector, score: float | None) -> None:
    if score is None or (0 <= score < 1):
        return
    margins = getattr(detector, "scores_are_margins", False)
    if not margins or not math.isfinite(score):
        what = "a margin is a finite number" if margins else "a score lies in 0 … 1"
        raise UsageError(f"{what}, not {score}", code="usage.score")


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


def _place(module: nn.Module, device: str) -> None:
    try:
        module.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {device!r} cannot be used: {str(error).splitlines()[0]}",
            code="usage.device",
            hint="cpu always works",
        ) from error
