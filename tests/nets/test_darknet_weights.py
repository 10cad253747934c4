"""Darknet's .weights files: every number at its place, every cut and damage told."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from sightline.errors import WeightsError
from sightline.nets import darknet_weights
from sightline.nets.blocks import fold
from sightline.nets.darknet import leaky
from sightline.nets.darknet_plan import Layer, Plan
from sightline.nets.darknet_weights import Header


def network() -> list[Layer]:
    plan = Plan()
    plan.convolution(leaky(3, 4))
    plan.pool(2, 2)
    plan.convolution(nn.Conv2d(4, 2, 1))
    return plan.layers


COUNTS = [("layer 0", n) for n in (4, 4, 4, 4, 4 * 3 * 9)] + [("layer 2", 2), ("layer 2", 8)]
NUMBERS = sum(count for _, count in COUNTS)


def numbers() -> np.ndarray:
    return np.random.default_rng(0).random(NUMBERS, np.float32) + 0.5


def content(version: tuple[int, int, int] = (0, 2, 5), seen: int = 32013312) -> bytes:
    return Header(version, seen).bytes + numbers().tobytes()


def test_numbers_lie_in_darknets_order(tmp_path: Path) -> None:
    path = tmp_path / "a.weights"
    path.write_bytes(content())
    layers = network()
    assert darknet_weights.load(layers, path) == Header((0, 2, 5), 32013312)
    block, last = layers[0].block, layers[2].block
    parts = [block.norm.bias, block.norm.weight, block.norm.running_mean, block.norm.running_var]
    parts += [block.conv.weight, last.bias, last.weight]
    flat = torch.cat([part.detach().flatten() for part in parts])
    assert flat.numpy().tolist() == numbers().tolist()
    darknet_weights.save(layers, tmp_path / "b.weights", Header((0, 2, 5), 32013312))
    assert (tmp_path / "b.weights").read_bytes() == content()


@pytest.mark.parametrize(
    ("version", "size"), [((0, 1, 0), 16), ((0, 2, 0), 20), ((1, 0, 0), 20), ((2000, 0, 0), 16)]
)
def test_the_header_is_of_the_version(version: tuple[int, int, int], size: int) -> None:
    """`seen` has 64 bits from version 0.2 on."""
    data = Header(version, 7).bytes
    assert len(data) == size
    assert struct.unpack_from("<3i", data) == version
    assert int.from_bytes(data[12:], "little") == 7


def test_every_cut_is_told(tmp_path: Path) -> None:
    whole, path = content(), tmp_path / "cut.weights"
    ends = np.cumsum([20] + [4 * count for _, count in COUNTS])
    layers = network()
    before = layers[0].block.conv.weight.clone()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(WeightsError) as caught:
            darknet_weights.load(layers, path)
        assert caught.value.code == "weights.truncated" and caught.value.path == str(path)
        if cut >= 20:
            place = COUNTS[int(np.searchsorted(ends, cut, side="right")) - 1][0]
            assert caught.value.pointer == f"{place} (convolutional)"
    assert torch.equal(before, layers[0].block.conv.weight)


def damaged(place: int, value: float) -> bytes:
    found = numbers()
    found[place] = value
    return Header().bytes + found.tobytes()


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (content() + b"\0", "weights.architecture", "1 bytes are left"),
        (damaged(20, np.nan), "weights.non_finite", "1 of its 108 weights"),
        (damaged(3, np.inf), "weights.non_finite", "1 of its 4 biases"),
        (damaged(13, -0.5), "weights.format", "a variance of -0.5"),
        (b"", "weights.truncated", "0 bytes are not even a header"),
    ],
)
def test_other_faults(data: bytes, code: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.weights"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=told) as caught:
        darknet_weights.load(network(), path)
    assert caught.value.code == code and caught.value.path == str(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.weights", Path("nul\0.weights"), Path("/dev/zero")):
        with pytest.raises(WeightsError) as caught:
            darknet_weights.load(network(), path)
        assert caught.value.code == "weights.not_found"


def test_a_folded_network_and_one_that_diverged_are_not_written(tmp_path: Path) -> None:
    layers = network()
    with torch.no_grad():
        layers[2].block.weight[0] = float("inf")
    with pytest.raises(WeightsError, match="layer 2") as caught:
        darknet_weights.save(layers, tmp_path / "a.weights", Header())
    assert caught.value.code == "weights.non_finite"
    fold(layers[0].block)
    with pytest.raises(ValueError, match="folded"):
        darknet_weights.save(layers, tmp_path / "a.weights", Header())
    assert not list(tmp_path.iterdir())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(content()) - 1), st.integers(0, 255)), max_size=6)
)
def test_what_loads_is_saved_as_the_same_bytes(
    changes: list[tuple[int, int]], tmp_path: Path
) -> None:
    data = bytearray(content())
    for place, value in changes:
        data[place] = value
    path, again = tmp_path / "a.weights", tmp_path / "b.weights"
    path.write_bytes(data)
    layers = network()
    try:
        header = darknet_weights.load(layers, path)
    except WeightsError as error:
        assert error.code in (
            *("weights.non_finite", "weights.format", "weights.truncated"),
            "weights.architecture",
        )
    else:
        darknet_weights.save(layers, again, header)
        assert again.read_bytes() == bytes(data)
