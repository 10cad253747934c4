"""`sightline.load`: a trained model, ready to be called on images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch
from torch import Tensor, nn

from sightline import catalogue, checkpoint, devices, images, pipeline, tiles
from sightline.detectors.top_down import TopDown
from sightline.errors import UsageError, WeightsError
from sightline.footprint import footprint
from sightline.nets.blocks import optimise
from sightline.pipeline import Detector, Trace
from sightline.stored import published, restored, without_weights
from sightline.tiles import Tiling
from sightline.types import Detections
from sightline.video.detecting import video

Sources = list[Any] | tuple[Any, ...]
"""Several images, of any kinds."""

PEOPLE = "retinanet"
"""Who finds the people that a top-down model poses, where nobody is named."""

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

    def trace(self, source: Any, *, memory: bool = False) -> Trace:
        """All that passed between the stages for one image; `detections` has the usual answer.

        With `memory` a second look counts what each verb held at once.
        """
        pixels = images.read(source).to(self.device)
        trace = pipeline.run(self.detector, [pixels])
        held = footprint(self.detector, [pixels]) if memory else {}
        found = [self._finish(one) for one in trace.detections]
        return replace(trace, detections=found, held=held)

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
    people: str | Path | None = None,
) -> Model:
    """A model by its name in the catalogue, or from a checkpoint (a file, or a run's folder), or
    from Darknet's NAME.cfg, with NAME.weights beside it or with the file `weights`.

    `score` is the threshold that detections must exceed, any number where scores are margins; None
    keeps the detector's own, which suits evaluation. A name of `catalogue.PUBLISHED` fetches those
    weights, if the cache has none and no file `weights` is given: nothing else here ever uses the
    network. The detector is made
    ready: batch norm folded, channels last, and bfloat16 where `dtype` says so (half the time of
    fp32 on CPUs that know it; boxes and scores differ slightly). `options` are switches of a model
    that needs no weights (`catalogue.WEIGHTLESS`); what a checkpoint was built with stands in it.
    `device` is where it computes: "auto" is a GPU where there is one; answers lie on the CPU.
    `people` is the model before a top-down one, whose answers are posed (None: the embedded
    retinanet; "none": the whole image is one object). Raises UsageError, WeightsError.
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
    if weights is not None and not is_darknet and str(name_or_path) not in catalogue.PUBLISHED:
        raise UsageError(
            "weights are a file of their own for Darknet's .cfg and for published networks, not "
            f"for {name_or_path}",
            code="usage.weights",
        )
    if is_darknet:
        from sightline.detectors import darknet_files

        kept = darknet_files.stored(name_or_path, weights)
    elif str(name_or_path) in catalogue.PUBLISHED:
        kept = published(str(name_or_path), None if weights is None else Path(weights))
    elif str(name_or_path) in catalogue.WEIGHTLESS:
        kept = without_weights(str(name_or_path), options)
    else:
        kept = checkpoint.read(locate(name_or_path))
    model = assemble(kept, score=score, dtype=dtype, device=device)
    _follow(model, people, dtype)
    return model


def _follow(model: Model, people: str | Path | None, dtype: Literal["fp32", "bf16"]) -> None:
    """Put the detector `people` before a top-down machine."""
    if not isinstance(model.detector, TopDown):
        if people is not None:
            raise UsageError(
                f"{model.name} finds its objects itself: a detector of people goes before top-down "
                "poses",
                code="usage.people",
                hint="such as cpm",
            )
        return
    if people != "none":
        # a pose's score is the root of this detector's and another number below 1
        least = None if model.score is None else model.score**2
        first = load(people or PEOPLE, score=least, dtype=dtype, device=model.device)
        model.detector.follow(first.detector)


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
    where = devices.device(device)
    module.to(where)
    selection = getattr(detector, "selection", None)
    if (
        score is not None
        and selection is not None
        and (selection.method == "nms" or score < selection.score)
    ):
        # What cannot be in the answer need not be suppressed either: greedy NMS says the same.
        detector.selection = replace(selection, score=score)  # type: ignore[attr-defined]
    return Model(detector, name, score, str(where), dict(stored.manifest))


def _check_score(detector: Detector, score: float | None) -> None:
    if score is None or (0 <= score < 1):
        return
    margins = getattr(detector, "scores_are_margins", False)
    if not margins or not math.isfinite(score):
        what = "a margin is a finite number" if margins else "a score lies in 0 … 1"
        raise UsageError(f"{what}, not {score}", code="usage.score")
