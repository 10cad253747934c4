"""bfloat16 is used where it is wanted, or where the hardware has it."""

import pytest
import torch

from sightline.train.precision import in_bf16
from sightline.train.recipes import Recipe
from sightline.train.settings import changed

CPU = torch.device("cpu")


@pytest.mark.parametrize("can", [True, False])
def test_what_is_left_open_follows_the_machine(can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ops:
        @staticmethod
        def _is_mkldnn_bf16_supported() -> bool:
            return can

    monkeypatch.setattr(torch.ops, "mkldnn", Ops)
    recipe = Recipe("retinanet_mobilenet_v2", steps=1)
    assert recipe.bf16 is None
    assert in_bf16(recipe, CPU) is can
    for wanted in (True, False):
        assert in_bf16(changed(recipe, [f"bf16={wanted}"]), CPU) is wanted


def test_the_question_can_be_asked_here() -> None:
    assert in_bf16(Recipe("retinanet_mobilenet_v2", steps=1), CPU) in (True, False)
