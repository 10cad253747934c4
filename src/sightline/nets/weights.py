"""Weights that others published: named, fetched on request, mapped onto our networks.

    weights.load_named(resnet50(), "resnet50")

Published conventions (a background first, 91 category ids, frozen norms that add no ε) end here.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from sightline.errors import UsageError, WeightsError
from sightline.nets import download, layouts
from sightline.nets import state as states
from sightline.nets.categories import COCO
from sightline.nets.reading import read_state
from sightline.nets.state import State

_IDS = 91  # torchvision's detectors have an output for every COCO id, used or not, and for 0


@dataclass(frozen=True)
class Published:
    """One published file: its official name with the beginning of its SHA-256, and its layout.

    `ignore` are the layers that our network does without; `eps` is what its batch norms add to the
    variance; `class_layers` are the published layers with so many outputs for each of COCO's 91
    ids, where id 0 is the `background` or nothing. `ids` are the categories that a detector finds.
    Where it is not `fetched` its licence forbids some uses, and whoever may use it gives the file.
    """

    file: str
    layout: str
    ignore: tuple[str, ...] = ()
    eps: float = 1e-5
    class_layers: tuple[tuple[str, int], ...] = ()
    background: bool = False
    ids: tuple[int, ...] = tuple(COCO)
    fetched: bool = True


PUBLISHED: dict[str, Published] = {
    "resnet18": Published("resnet18-f37072fd.pth", "resnet18", ("fc.",)),
    "resnet34": Published("resnet34-b627a593.pth", "resnet34", ("fc.",)),
    "resnet50": Published("resnet50-0676ba61.pth", "resnet50", ("fc.",)),
    "resnet101": Published("resnet101-63fe2227.pth", "resnet101", ("fc.",)),
    "mobilenet_v2": Published(
        "mobilenet_v2-b0353104.pth", "mobilenet_v2", ("classifier.", "features.18.")
    ),
    "squeezenet1_1": Published("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1", ("classifier.",)),
    "alexnet": Published("alexnet-owt-7be5be79.pth", "alexnet", ("classifier.",)),
    "alexnet_layers": Published(
        "alexnet-owt-7be5be79.pth", "alexnet_layers", ("features.", "classifier.6.")
    ),
    "vgg16": Published("vgg16-397923af.pth", "vgg16", ("classifier.",)),
    "vgg16_features": Published("vgg16_features-amdegroot-88682ab5.pth", "vgg16", ("classifier.",)),
    "vgg16_layers": Published("vgg16-397923af.pth", "vgg16_layers", ("features.", "classifier.6.")),
    "vgg19": Published(
        "vgg19-dcbb9e9d.pth",
        "vgg19",
        ("classifier.", *(f"features.{row}." for row in (23, 25, 28, 30, 32, 34))),
    ),
    "retinanet_resnet50_fpn_coco": Published(
        "retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "retinanet_resnet50_fpn",
        eps=0.0,
        class_layers=(("head.classification_head.cls_logits", 1),),
    ),
    "fasterrcnn_resnet50_fpn_coco": Published(
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "fasterrcnn_resnet50_fpn",
        eps=0.0,
        class_layers=(
            ("roi_heads.box_predictor.cls_score", 1),
            ("roi_heads.box_predictor.bbox_pred", 4),
        ),
        background=True,
    ),
    "maskrcnn_resnet50_fpn_coco": Published(
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        "maskrcnn_resnet50_fpn",
        eps=0.0,
        class_layers=(
            ("roi_heads.box_predictor.cls_score", 1),
            ("roi_heads.box_predictor.bbox_pred", 4),
            ("roi_heads.mask_predictor.mask_fcn_logits", 1),
        ),
        background=True,
    ),
    "keypointrcnn_resnet50_fpn_coco": Published(
        "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
        "keypointrcnn_resnet50_fpn",
        eps=0.0,
        background=True,
        ids=(1,),
    ),
    "ssd300_vgg16_coco": Published(
        "ssd300_vgg16_coco-b556d3b4.pth",
        "ssd300_vgg16",
        class_layers=tuple((f"head.classification_head.module_list.{k}", 1) for k in range(6)),
        background=True,
    ),
    "openpose_2017_coco": Published(
        "body_pose_model.pth", "openpose_2017", ids=(1,), fetched=False
    ),
}
"""Name → file of torchvision (BSD-3-Clause), at `download.BASE`; and OpenPose's, of its authors."""


def load_published(
    module: nn.Module,
    state: State,
    layout: str,
    *,
    ignore: Sequence[str] = (),
    path: Path | None = None,
) -> None:
    """Copy a state dict under published names into `module`; `layout` is a key of `LAYOUTS`.

    Entries whose published name starts with one of `ignore` are left out, and so are those that
    `module` names as `absent` (a backbone that ends early); every other one must have its place,
    and every entry of `module` must be filled. Raises WeightsError: weights.architecture,
    .class_count, .non_finite.
    """
    skipped, absent = tuple(ignore), tuple(getattr(module, "absent", ()))
    kept = {k: v for k, v in state.items() if not (skipped and k.startswith(skipped))}
    ours = layouts.layout(layout).to_ours(kept)
    there = {k: v for k, v in ours.items() if not (absent and k.startswith(absent))}
    states.load(module, there, path=path)


def load_named(
    module: nn.Module,
    name: str,
    cache: Path | None = None,
    opener: download.Opener = download.open_https,
    file: Path | None = None,
) -> Path:
    """Copy the published weights `name` into `module`: from `file`, or from the cache, into which
    they are fetched if they are not there.

    A detector with 80 classes gets the outputs of COCO's 80 categories (`categories.COCO`); one
    with 91 (90 beside a background) gets them all, in the order of category ids. The answer is the
    file's path. Raises UsageError usage.unknown_weights, WeightsError weights.not_found for those
    that are not fetched, and all that `fetch`, `read_state` and `load_published` raise.
    """
    if name not in PUBLISHED:
        near = difflib.get_close_matches(name, PUBLISHED, n=1, cutoff=0.4)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(PUBLISHED)}"
        raise UsageError(
            f"no published weights are called {name!r}", code="usage.unknown_weights", hint=known
        )
    entry = PUBLISHED[name]
    if file is None and not entry.fetched:
        raise WeightsError(
            f"the weights {name} are not fetched: their licence forbids some uses",
            code="weights.not_found",
            hint=f"if it allows yours, get {entry.file} from its authors and name it (--weights)",
        )
    path = file or download.fetch(entry.file, cache=cache, opener=opener)
    state = states.with_eps(read_state(path), entry.eps)
    if len(getattr(module, "classes", ())) == len(COCO):
        rows = (0, *COCO) if entry.background else tuple(COCO)
        for layer, each in entry.class_layers:
            state = states.keep_classes(state, layer, _IDS, rows, each)
    load_published(module, state, entry.layout, ignore=entry.ignore, path=path)
    return path
