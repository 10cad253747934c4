"""What the page is given of a trace: enough to suppress to the detector's own answer."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from sightline import predict
from sightline.ops.nms import nms_classwise
from sightline.pipeline import Trace, run
from sightline.predict import Model
from sightline.report.candidates import LEVELS, SIDE, rule, view


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return predict.load(checkpoint, score=None)


@pytest.fixture(scope="module")
def trace(model: Model) -> Trace:
    pixels = torch.from_numpy(data.chelsea()[:200, :290].copy()).permute(2, 0, 1)
    return run(model.detector, [pixels])


def test_the_answer_follows_from_the_candidates(model: Model, trace: Trace) -> None:
    shown, found = view(trace, model.detector, 100_000), trace.detections[0]
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    boxes = torch.tensor(shown["boxes"]).view(-1, 4) / 10
    scores = torch.tensor(shown["scores"]) / 10000
    assert (scores.diff() <= 0).all() and len(scores) > len(found) > 5
    asked = rule(model.detector)
    kept = nms_classwise(boxes, scores, torch.tensor(shown["labels"]), asked["iou"])
    kept = kept[: asked["limit"]]
    # boxes and scores are rounded: an overlap or a tie on the border may fall to the other side
    alike = (boxes[kept][:, None] - found.boxes[None]).abs().amax(dim=2) <= 0.06
    assert alike.any(dim=1).float().mean() > 0.95 and abs(len(kept) - len(found)) <= 3


def test_fewer_candidates_are_the_best_ones(model: Model, trace: Trace) -> None:
    some, more = (view(trace, model.detector, limit, features=False) for limit in (7, 20))
    assert len(some["scores"]) == 7 and some["scores"] == more["scores"][:7]
    assert some["boxes"] == more["boxes"][:28] and "features" not in some
    assert len(some["levels"]) == len(some["classes"][0]) == len(some["regions"]) // 4
    assert max(some["places"]) < len(some["levels"])
    first = some["classes"][1][some["places"][0]]
    assert abs(first[0] - some["scores"][0]) <= 1 and first == sorted(first, reverse=True)


def test_features_are_small_grey_pictures(model: Model, trace: Trace) -> None:
    shown = view(trace, model.detector, 5)
    assert 2 <= len(shown["features"]) == len(shown["grids"]) <= LEVELS
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["features"][0]))))
    assert max(grey.shape) <= SIDE and grey.min() == 0 and grey.max() == 255
