"""Files of weights by others: whatever is in them, no code runs and no fault is untyped."""

import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sightline.errors import WeightsError
from sightline.nets.reading import read_state


def good() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(4)
    return {"a.weight": torch.randn(6, 5, generator=draw), "a.steps": torch.tensor(3)}


def code_of(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert caught.value.path == str(path)
    return caught.value.code


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors", "renamed"])
def test_every_form_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form in {"safetensors", "renamed"}:
        save_file(good(), path)
    else:
        torch.save(good(), path, _use_new_zipfile_serialization=form == "zip")
    found = read_state(path)
    assert torch.equal(found["a.weight"], good()["a.weight"])
    assert found["a.steps"] == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_become_single(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({"w": torch.tensor([0.5, -3.0], dtype=dtype)}, tmp_path / "w.pt")
    found = read_state(tmp_path / "w.pt")["w"]
    assert found.dtype == torch.float32
    assert found.tolist() == [0.5, -3.0]


def test_a_training_checkpoint_is_opened(tmp_path: Path) -> None:
    torch.save({"model": good(), "epoch": 26}, tmp_path / "w.pth")
    assert set(read_state(tmp_path / "w.pth")) == set(good())


class _Payload:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path, call: Callable[..., object]) -> None:
        self.canary, self.call = canary, call

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        if self.call is os.system:
            return os.system, (f"touch {self.canary}",)
        return self.call, (str(self.canary),)


@pytest.mark.parametrize("call", [os.system, os.mkdir, open, eval, __import__, Path])
@pytest.mark.parametrize("form", ["zip", "legacy", "bare", "nested"])
def test_payloads_never_run(tmp_path: Path, form: str, call: Callable[..., object]) -> None:
    canary, path = tmp_path / "canary", tmp_path / "w.pth"
    payload = _Payload(canary, call)
    if form == "bare":
        path.write_bytes(pickle.dumps(payload))
    else:
        inside = {"model": {"w": [payload]}} if form == "nested" else {"w": payload}
        torch.save(inside, path, _use_new_zipfile_serialization=form != "legacy")
    assert code_of(path) in {"weights.unsafe_format", "weights.truncated"}
    assert not canary.exists()
    if form in {"zip", "nested"}:
        assert code_of(path) == "weights.unsafe_format"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>404</html>",
        b"\n<html>",
        b"\x80\x02",
        b"PK\x03\x04",
        b"random text that is no file of weights",
        struct.pack("<Q", 1 << 62) + b"{",
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_file_of_weights_says_so(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(data)
    assert code_of(path) == "weights.truncated"


@pytest.mark.parametrize("name", ["none.pth", "", "nul\0.pth"])
def test_what_is_no_file_is_not_found(tmp_path: Path, name: str) -> None:
    assert code_of(tmp_path / name) == "weights.not_found"


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_cut_files_are_typed(tmp_path: Path, form: str) -> None:
    path = tmp_path / "w.pth"
    if form == "safetensors":
        save_file(good(), path)
    else:
        torch.save(good(), path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:end])
        assert code_of(path) in {"weights.truncated", "weights.unsafe_format"}, end


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_mutated_files_are_typed_or_read(tmp_path: Path, form: str) -> None:
    path, draw = tmp_path / "w.pth", random.Random(9)
    if form == "safetensors":
        save_file(good(), path)
    else:
        torch.save(good(), path, _use_new_zipfile_serialization=form == "zip")
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(9):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            state = read_state(path)
        except WeightsError:
            refused += 1
        else:
            assert all(v.isfinite().all() for v in state.values())
    assert refused > 20


def test_claims_beyond_the_file_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """Ten gigabytes: by a view that repeats one number, by a packed archive, by a number."""
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(1).expand(50_000, 50_000)}, path)
    assert code_of(path) == "weights.truncated"
    torch.save(good(), path)
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        for entry in source.infolist():
            z.writestr(entry.filename, source.read(entry))
    path.write_bytes(packed.getvalue())
    assert code_of(path) == "weights.unsafe_format"
    torch.save({"w": torch.zeros(77_777)}, path, _use_new_zipfile_serialization=False)
    data, wanted = path.read_bytes(), b"J" + struct.pack("<i", 77_777)
    assert wanted in data
    path.write_bytes(data.replace(wanted, b"J" + struct.pack("<i", 2_000_000_000))[:5000])
    assert code_of(path) == "weights.truncated"


def _quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        _quantised,
        lambda: torch.empty(3, device="meta"),
        lambda: torch.zeros(3, dtype=torch.complex64),
        lambda: [1, 2],
        lambda: 3,
    ],
)
def test_only_dense_tensors_are_taken(tmp_path: Path, make: Callable[[], object]) -> None:
    torch.save({"w": make()}, tmp_path / "w.pt")
    assert code_of(tmp_path / "w.pt") == "weights.format"


def test_no_dict_of_tensors_is_no_state(tmp_path: Path) -> None:
    for value in (torch.zeros(3), [torch.zeros(3)], {}, {3: torch.zeros(1)}):
        torch.save(value, tmp_path / "w.pt")
        assert code_of(tmp_path / "w.pt") == "weights.format"


def test_nan_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "w.pt")
    assert code_of(tmp_path / "w.pt") == "weights.non_finite"
