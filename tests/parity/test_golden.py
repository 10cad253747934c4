"""Published networks, run from made-up weights, against the outputs that torchvision gave.

`pytest tests/parity --golden DIR` takes every <model>-<image>.npz of DIR whose model we have. The
weights are made from torchvision's names by the recipe of the folder's README and go through the
mapping that loads published files.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor, nn

from sightline import boxes as bx
from sightline import catalogue, pipeline
from sightline.nets import layouts, weights
from sightline.ops.heatmaps import peaks
from sightline.pipeline import Trace
from sightline.types import Detections, Regions

LONG = ("keypointrcnn", "maskrcnn")
"""The networks of which one image takes half a minute and more."""

IMAGES: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": data.astronaut,
    "cat": data.chelsea,
    "coffee": data.coffee,
}
TWO_STAGES = {
    "rpn.head.cls_logits": 0.3,
    "rpn.head.bbox_pred": 0.03,
    "roi_heads.box_predictor.cls_score": 0.6,
    "roi_heads.box_predictor.bbox_pred": 0.3,
}
FACTORS = {
    "fasterrcnn_resnet50_fpn": TWO_STAGES,
    "keypointrcnn_resnet50_fpn": TWO_STAGES,
    "maskrcnn_resnet50_fpn": TWO_STAGES,
    "retinanet_resnet50_fpn": {
        "head.classification_head.cls_logits": 0.06,
        "head.regression_head.bbox_reg": 0.05,
    },
    "ssd300_vgg16": {"head.classification_head": 0.02, "head.regression_head": 0.02},
}
MODELS = {
    "fasterrcnn_resnet50_fpn": "faster_rcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn": "keypoint_rcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn": "mask_rcnn_resnet50_fpn",
    "retinanet_resnet50_fpn": "retinanet_resnet50_fpn",
    "ssd300_vgg16": "ssd300_vgg16",
}
"""torchvision's names → ours."""

TOLERANCE = 1e-3


def made_up(key: str, shape: torch.Size, floating: bool, factors: Mapping[str, float]) -> Tensor:
    """The value of the published entry `key`, from its name alone."""
    if not floating:
        return torch.zeros(shape, dtype=torch.int64)
    draw = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    z = np.asarray(draw.standard_normal(tuple(shape)), np.float32)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "running_var":
        z = 1 + 0.1 * np.abs(z)
    elif leaf == "running_mean":
        z = 0.1 * z
    elif z.ndim >= 2:
        z = z * np.sqrt(2 / np.prod(z.shape[1:]))
    elif leaf == "scale_weight":
        z = 20 + z
    elif leaf == "bias":
        z = 0.02 * z
    else:
        z = (0.2 if ".bn3." in key else 1) + 0.05 * z
    for start, factor in factors.items():
        if key.startswith(start):
            z = z * factor
    return torch.from_numpy(np.ascontiguousarray(z, np.float32))


def published_state(model: nn.Module, name: str) -> dict[str, Tensor]:
    """The made-up state dict: names and shapes are ours, carried back to the published names."""
    shapes = layouts.layout(name).to_published(model.state_dict())
    return {
        key: made_up(key, value.shape, value.is_floating_point(), FACTORS[name])
        for key, value in shapes.items()
    }


def in_their_order(golden: Mapping[str, np.ndarray], regions: Regions) -> Regions:
    """The proposals; neighbours whose scores are equal but for rounding stand as they do there."""
    wanted, rows = torch.from_numpy(golden["rpn.0.0"]), list(range(len(regions)))
    scores = regions.scores
    assert scores is not None
    for row in range(len(rows) - 1):
        here = (regions.boxes[rows[row]] - wanted[row]).abs().max()
        if here > 0.1 and scores[rows[row]] - scores[rows[row + 1]] < 1e-6:
            rows[row], rows[row + 1] = rows[row + 1], rows[row]
    return regions[torch.tensor(rows)]


def stages(
    name: str, detector: Any, trace: Trace, golden: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """What the golden file recorded of the way, by its names."""
    answer = {f"backbone.{row}": x for row, x in enumerate(trace.features)}
    with torch.inference_mode():
        if name == "retinanet_resnet50_fpn":
            logits, offsets = detector.towers(trace.features)
            return {**answer, "head.0": logits, "head.1": offsets}
        if name == "ssd300_vgg16":
            logits, offsets = detector.predictors(trace.features)
            return {**answer, "head.0": offsets, "head.1": logits.roll(1, 2)}
        regions = in_their_order(golden, trace.regions)
        answer["rpn.0.0"] = regions.boxes
        branch, detector = (
            getattr(detector, "branch", None),
            getattr(detector, "detector", detector),
        )
        pooled = detector.head.pooling(trace.features, regions, trace.batch.size)
        logits, offsets = detector.head(trace.features, regions, trace.batch.size)
        unknown = torch.full((len(offsets), 4), math.nan)  # a box of the background
        answer["roi_heads.box_roi_pool.0"] = pooled
        answer["roi_heads.box_predictor.0"] = logits.roll(1, 1)
        answer["roi_heads.box_predictor.1"] = torch.cat([unknown, offsets.flatten(1)], dim=1)
        if branch is None:
            return answer
        found = trace.detections[0]
        boxes = trace.batch.frames[0].to_prepared(found.boxes)
        nought = torch.zeros_like(found.labels)
        logits = branch.head(trace.features, Regions(boxes, nought, nought), trace.batch.size)
        if found.keypoints is not None:
            answer["roi_heads.keypoint_predictor.0"] = logits
            answer["out.keypoints_scores"] = peaks(logits, boxes)[1]
            seen = torch.ones_like(found.keypoints[..., :1])
            answer["out.keypoints"] = torch.cat([found.keypoints[..., :2], seen], dim=-1)
        else:
            unknown = torch.full((len(logits), 1, *logits.shape[2:]), math.nan)
            answer["roi_heads.mask_predictor.0"] = torch.cat([unknown, logits], dim=1)
            masks = [found.masks.probabilities(row) for row in range(20)]
            answer["out.masks"] = torch.stack(masks)[:, None]
        return answer


def same_floats(golden: Mapping[str, np.ndarray], name: str, found: Tensor) -> None:
    """Within 1e-3 of the largest magnitude; a large one by its shape and every 997th number."""
    ours = found.contiguous().numpy()
    if name in golden:
        theirs = golden[name]
        assert ours.shape == theirs.shape, name
    else:
        assert ours.shape == tuple(golden[f"{name}.shape"]), name
        theirs, ours = golden[f"{name}.every997"], ours.ravel()[::997]
    known = ~np.isnan(ours)
    assert known.mean() > (0.4 if ours.shape[-1] == 8 else 0.9), name  # one class beside none
    distance = np.abs(ours - theirs)[known].max() / np.abs(theirs).max()
    assert distance < TOLERANCE, f"{name} differs by {distance:.2e} of its largest"


def same_detections(golden: Mapping[str, np.ndarray], found: Detections, first: int) -> None:
    """One to one: the same label, IoU > 0.99, scores within 1e-3; ties in any order."""
    boxes = torch.from_numpy(golden["out.boxes"])
    labels = torch.from_numpy(golden["out.labels"]) - first
    scores = torch.from_numpy(golden["out.scores"])
    assert len(found) == len(boxes)
    fits = bx.iou(boxes, found.boxes) > 0.99
    fits &= labels[:, None] == found.labels
    fits &= (scores[:, None] - found.scores).abs() < TOLERANCE
    taken: set[int] = set()
    for row, choices in enumerate(fits):
        partner = next((c for c in choices.nonzero()[:, 0].tolist() if c not in taken), None)
        assert partner is not None, f"no partner for golden detection {row}"
        taken.add(partner)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder: Path = metafunc.config.getoption("--golden")
    found = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    found = [file for file in found if not file.name.startswith("darknet-")]
    missing = pytest.param(
        None, marks=pytest.mark.skip(reason=f"no golden files in {folder}"), id="none"
    )
    metafunc.parametrize(
        "file",
        [
            pytest.param(f, id=f.stem, marks=[pytest.mark.slow] if f.stem.startswith(LONG) else [])
            for f in found
        ]
        or [missing],
        scope="module",
    )


def test_golden(file: Path) -> None:
    name, _, image = file.stem.rpartition("-")
    if name not in MODELS:
        pytest.skip(f"there is no {name or file.stem} yet")
    golden = dict(np.load(file, allow_pickle=False))
    first = int(name != "retinanet_resnet50_fpn")  # a background before the classes
    scores = "roi_heads.box_predictor.0" if "rpn.0.0" in golden else "head.0"
    if name == "ssd300_vgg16":
        scores = "head.1"
    whole = golden[scores].shape if scores in golden else golden[f"{scores}.shape"]
    outputs = whole[-1] - first
    detector = catalogue.build(MODELS[name], [f"category {number}" for number in range(outputs)])
    assert isinstance(detector, nn.Module)
    weights.load_published(detector, published_state(detector, name), name)
    detector.eval()
    pixels = torch.from_numpy(IMAGES[image]().copy()).permute(2, 0, 1)
    trace = pipeline.run(detector, [pixels])
    for stage, value in stages(name, detector, trace, golden).items():
        same_floats(golden, stage, value)
    same_detections(golden, trace.detections[0], first)
