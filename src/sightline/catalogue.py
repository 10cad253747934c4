"""The only list of models: a name, and where its builder stands."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import cast, get_args, get_type_hints

import torch

from sightline.errors import UsageError
from sightline.pipeline import Detector
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton

Builder = Callable[..., Detector]
"""`builder(classes)` gives the detector with freshly initialised weights; `builder(classes,
skeleton)` one of keypoints, where the method finds them.
"""

NONE: Mapping[str, str] = MappingProxyType({})
"""No option set."""

MODELS: dict[str, str] = {
    "cpm_368": "sightline.detectors.cpm:cpm_368",
    "cpm_mobilenet_v2": "sightline.detectors.cpm:cpm_mobilenet_v2",
    "fast_rcnn_mobilenet_v2": "sightline.detectors.fast_rcnn:fast_rcnn_mobilenet_v2",
    "fast_rcnn_vgg16": "sightline.detectors.fast_rcnn:fast_rcnn_vgg16",
    "faster_rcnn_mobilenet_v2": "sightline.detectors.faster_rcnn:faster_rcnn_mobilenet_v2",
    "faster_rcnn_resnet50_fpn": "sightline.detectors.faster_rcnn:faster_rcnn_resnet50_fpn",
    "faster_rcnn_vgg16": "sightline.detectors.faster_rcnn:faster_rcnn_vgg16",
    "hog_svm": "sightline.detectors.sliding_windows:hog_svm",
    "keypoint_rcnn_mobilenet_v2": "sightline.detectors.keypoint_rcnn:keypoint_rcnn_mobilenet_v2",
    "keypoint_rcnn_resnet50_fpn": "sightline.detectors.keypoint_rcnn:keypoint_rcnn_resnet50_fpn",
    "mask_rcnn_mobilenet_v2": "sightline.detectors.mask_rcnn:mask_rcnn_mobilenet_v2",
    "mask_rcnn_resnet50_fpn": "sightline.detectors.mask_rcnn:mask_rcnn_resnet50_fpn",
    "openpose_2017_vgg19": "sightline.detectors.openpose:openpose_2017_vgg19",
    "openpose_2019_vgg19": "sightline.detectors.openpose:openpose_2019_vgg19",
    "openpose_mobilenet_v2": "sightline.detectors.openpose:openpose_mobilenet_v2",
    "rcnn_alexnet": "sightline.detectors.rcnn:rcnn_alexnet",
    "rcnn_mobilenet_v2": "sightline.detectors.rcnn:rcnn_mobilenet_v2",
    "rcnn_squeezenet": "sightline.detectors.rcnn:rcnn_squeezenet",
    "retinanet_mobilenet_v2": "sightline.detectors.retinanet:retinanet_mobilenet_v2",
    "retinanet_resnet50_fpn": "sightline.detectors.retinanet:retinanet_resnet50_fpn",
    "selective_search": "sightline.detectors.selective_search:selective_search",
    "ssd300_vgg16": "sightline.detectors.ssd:ssd300_vgg16",
    "ssd_mobilenet_v2": "sightline.detectors.ssd:ssd_mobilenet_v2",
    "window_cnn_mobilenet_v2": "sightline.detectors.window_cnn:window_cnn_mobilenet_v2",
    "yolo_v1_darknet": "sightline.detectors.yolo_v1:yolo_v1_darknet",
    "yolo_v1_fast": "sightline.detectors.yolo_v1:yolo_v1_fast",
    "yolo_v1_mobilenet_v2": "sightline.detectors.yolo_v1:yolo_v1_mobilenet_v2",
    "yolo_v2_darknet19": "sightline.detectors.yolo_v2:yolo_v2_darknet19",
    "yolo_v2_mobilenet_v2": "sightline.detectors.yolo_v2:yolo_v2_mobilenet_v2",
    "yolo_v2_tiny": "sightline.detectors.yolo_v2:yolo_v2_tiny",
    "yolo_v3_darknet53": "sightline.detectors.yolo_v3:yolo_v3_darknet53",
    "yolo_v3_mobilenet_v2": "sightline.detectors.yolo_v3:yolo_v3_mobilenet_v2",
    "yolo_v3_tiny": "sightline.detectors.yolo_v3:yolo_v3_tiny",
}
"""Name → "module:builder". Modules are imported when a model is asked for, not before."""

ALIASES: dict[str, str] = {
    "cpm": "cpm_mobilenet_v2",
    "fast_rcnn": "fast_rcnn_mobilenet_v2",
    "faster_rcnn": "faster_rcnn_mobilenet_v2",
    "keypoint_rcnn": "keypoint_rcnn_mobilenet_v2",
    "mask_rcnn": "mask_rcnn_mobilenet_v2",
    "openpose": "openpose_mobilenet_v2",
    "rcnn": "rcnn_mobilenet_v2",
    "retinanet": "retinanet_mobilenet_v2",
    "ssd": "ssd_mobilenet_v2",
    "window_cnn": "window_cnn_mobilenet_v2",
    "yolo_v1": "yolo_v1_mobilenet_v2",
    "yolo_v2": "yolo_v2_mobilenet_v2",
    "yolo_v3": "yolo_v3_mobilenet_v2",
}
"""Short names: a method's own name stands for its light model."""

WEIGHTLESS: dict[str, tuple[str, ...]] = {"selective_search": ("object",)}
"""Models that learn nothing, and need no weights → the classes that they know by themselves."""

DARKNET = (".cfg", ".weights")
"""Endings of Darknet's files, which are models too: see `detectors.darknet_files`."""

PUBLISHED: dict[str, str] = {
    "fasterrcnn_resnet50_fpn_coco": "faster_rcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn_coco": "keypoint_rcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_coco": "mask_rcnn_resnet50_fpn",
    "openpose_2017_coco": "openpose_2017_vgg19",
    "retinanet_resnet50_fpn_coco": "retinanet_resnet50_fpn",
    "ssd300_vgg16_coco": "ssd300_vgg16",
}
"""Weights that others published → the model they are for: fetched when they are named, if their
licence is a free one.
"""


def resolve(name: str) -> str:
    """The full name that `name` or an alias stands for.

    Raises UsageError (`usage.unknown_model`) with the nearest name.
    """
    full = ALIASES.get(name, name)
    if full in MODELS:
        return full
    known = [*MODELS, *ALIASES, *PUBLISHED]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    raise UsageError(f"no model is called {name!r}", code="usage.unknown_model", hint=hint)


def builder(name: str) -> Builder:
    """The builder of a model, imported now."""
    module, function = MODELS[resolve(name)].split(":")
    return cast(Builder, getattr(importlib.import_module(module), function))


def finds_keypoints(name: str) -> bool:
    """Whether a model finds keypoints: its builder then takes their skeleton."""
    return "skeleton" in inspect.signature(builder(name)).parameters


def learns_by_steps(name: str) -> bool:
    """Whether a model has a `loss`, which the training loop follows; others learn their own way."""
    return hasattr(get_type_hints(builder(name))["return"], "loss")


def is_fitted(name: str) -> bool:
    """Whether a model has a `fit`, by which it learns after its steps, or instead of any."""
    return hasattr(get_type_hints(builder(name))["return"], "fit")


def searches(name: str) -> bool:
    """Whether a model's regions come from a search of the pixels, outside of its network."""
    return bool(getattr(get_type_hints(builder(name))["return"], "searches", False))


def takes_patches(name: str) -> bool:
    """Whether a model learns from patches of pictures and from pictures zoomed out."""
    return bool(getattr(get_type_hints(builder(name))["return"], "takes_patches", False))


def learns_from_crops(name: str) -> bool:
    """Whether a model learns from crops of the labelled objects, and never sees a whole picture."""
    return bool(getattr(get_type_hints(builder(name))["return"], "learns_from_crops", False))


def learns_poses(name: str) -> bool:
    """Whether a model learns people's points alone, and needs pictures that show people whole."""
    return bool(getattr(get_type_hints(builder(name))["return"], "learns_poses", False))


def preparation_of(name: str) -> Preparation:
    """How a model prepares images before anything is changed, told without making its weights."""
    return _preparation(builder(name))


@cache
def _preparation(make: Builder) -> Preparation:
    with torch.device("meta"):
        return cast(Preparation, make(["object"]).preparation)  # type: ignore[attr-defined]


def options_of(name: str) -> dict[str, tuple[str, ...]]:
    """The switches of a model's builder, and what each can be; the usual choice comes first."""
    make = builder(name)
    hints = get_type_hints(make)
    answer = {}
    for key, parameter in inspect.signature(make).parameters.items():
        if key not in ("classes", "skeleton"):
            usual = parameter.default
            choices = [usual, *(one for one in get_args(hints[key]) if one != usual)]
            answer[key] = tuple(choices)
    return answer


def build(
    name: str,
    classes: Sequence[str],
    skeleton: Skeleton | None = None,
    options: Mapping[str, str] = NONE,
) -> Detector:
    """A new detector for `classes`, with random weights.

    `skeleton` says which keypoints it is to find, where the model finds any: COCO's 17 of a person
    where none is given. Other models have no use for it. `options` sets switches of `options_of`.
    Raises UsageError for an unknown name or option, for no class, and for a class named twice.
    """
    make = builder(name)
    names = [str(item) for item in classes]
    if not names:
        raise UsageError("a detector needs at least one class", code="usage.no_classes")
    twice = sorted({item for item in names if names.count(item) > 1})
    if twice:
        raise UsageError(f"classes named twice: {', '.join(twice)}", code="usage.duplicate_class")
    check_options(name, options)
    bones = {} if skeleton is None or not finds_keypoints(name) else {"skeleton": skeleton}
    return make(names, **bones, **options)


def check_options(name: str, options: Mapping[str, str]) -> None:
    """UsageError (`usage.option`) for a switch that a model does not have, or a wrong choice."""
    known = options_of(name)
    for key, value in options.items():
        if value not in known.get(key, ()):
            hint = "; ".join(f"{k}: {' or '.join(v)}" for k, v in known.items())
            message = f"{key} of {resolve(name)} cannot be {value!r}"
            if key not in known:
                message = f"{resolve(name)} has no option {key!r}"
            raise UsageError(message, code="usage.option", hint=hint or "it has none")
