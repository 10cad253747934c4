"""A definition and its kernels are found by name, and the definition stays within reach."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch

from far_device import FAR, far_away
from sightline.kernels.cpu import nms as fast
from sightline.ops.dispatch import Kernel, carried_kernel, kernel
from sightline.ops.nms import nms


@pytest.fixture
def twin() -> Iterator[ModuleType]:
    """A module of kernels beside the real ones, for definitions that claim to live in `toy`."""
    import importlib.machinery

    module = ModuleType("sightline.kernels.cpu.toy")
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def define(home: str) -> Kernel[[object], str]:
    def double(value: object) -> str:
        """Twice as much."""
        return "definition"

    double.__module__ = f"sightline.ops.{home}"
    return kernel(double)


def test_without_a_twin_the_definition_runs() -> None:
    assert define("nowhere")(torch.ones(2)) == "definition"


def test_a_twin_of_the_same_name_runs_for_tensors_and_arrays(twin: ModuleType) -> None:
    twin.double = lambda value: "kernel"  # type: ignore[attr-defined]
    double = define("toy")
    assert double(torch.ones(2)) == "kernel"
    assert double(np.ones(2)) == "kernel"
    assert double.reference(torch.ones(2)) == "definition"


def test_a_module_of_kernels_without_that_name(twin: ModuleType) -> None:
    assert define("toy")(torch.ones(2)) == "definition"


def test_the_definition_lends_its_name_and_words() -> None:
    double = define("toy")
    assert double.__name__ == "double"
    assert double.__doc__ == "Twice as much."


def test_suppression_runs_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "_found", {})
    monkeypatch.setattr(fast, "nms", lambda *_: "kernel")
    boxes, scores = torch.zeros(1, 4), torch.zeros(1)
    assert nms(boxes, scores, 0.5) == "kernel"
    assert nms.reference(boxes, scores, 0.5).tolist() == [0]


def test_errors_of_a_kernel_are_not_taken_for_a_missing_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(nms, "_found", {})
    monkeypatch.setattr(fast, "nms", broken)
    with pytest.raises(RuntimeError, match="inside"):
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_a_device_without_kernels_runs_the_definition(twin: ModuleType) -> None:
    twin.double = lambda value: "kernel"  # type: ignore[attr-defined]
    with far_away():
        assert define("toy")(torch.ones(2, device=FAR)) == "definition"


def test_a_carried_kernel_computes_on_the_cpu_and_brings_the_answer_back(
    twin: ModuleType,
) -> None:
    def double(value: torch.Tensor, others: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
        """Twice as much."""
        raise AssertionError

    double.__module__ = "sightline.ops.toy"
    seen = []

    def fast_double(value: torch.Tensor, others: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
        seen.append((value.device.type, others[0].device.type))
        return 2 * value + others[0], 3

    twin.double = fast_double  # type: ignore[attr-defined]
    with far_away():
        value = torch.ones(2, device=FAR, requires_grad=True)
        answer, count = carried_kernel(double)(value, [torch.ones(2, device=FAR)])
        assert answer.device == FAR and answer.tolist() == [3, 3] and count == 3
        answer.sum().backward()
        assert value.grad is not None and value.grad.device == FAR
        assert value.grad.tolist() == [2, 2]
    assert seen == [("cpu", "cpu")]


def test_a_gpu_without_triton_lets_the_cpu_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sightline.kernels.cuda.nms", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    found = nms._find("cuda")
    assert found is not nms.reference
    boxes = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 10, 10], [20.0, 0, 30, 10]])
    assert found(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5).tolist() == [1, 2]
