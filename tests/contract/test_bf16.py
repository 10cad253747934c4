"""Every model answers in bfloat16 nearly what it answers in single precision."""

from typing import Any

import pytest
import torch

from sightline import pipeline
from sightline.nets.blocks import optimise
from sightline.types import Detections
from small_detectors import EVERY, photo, small


def answer(name: str, dtype: torch.dtype | None) -> Detections:
    detector: Any = small(name, longer=224, shorter=128)
    if isinstance(detector, torch.nn.Module):
        optimise(detector, dtype)
    return pipeline.detect(detector, [photo(150, 230)])[0]


@pytest.mark.parametrize("name", EVERY)
def test_it_answers_in_bf16(name: str) -> None:
    plain, brief = answer(name, None), answer(name, torch.bfloat16)
    assert brief.scores.dtype == brief.boxes.dtype == torch.float32
    assert brief.boxes.isfinite().all() and brief.scores.isfinite().all()
    # random weights are loud: which of many equals are kept may differ, how sure it is may not
    assert len(brief) > 0 and len(plain) > 0
    assert brief.scores[0].item() == pytest.approx(plain.scores[0].item(), abs=0.1)
