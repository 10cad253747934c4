"""Darknet's .weights files: a header, then the numbers of every convolution, and nothing else.

The header is int32 major, minor, revision, and how many images were seen: in 64 bits from version
0.2 on, in 32 before. Then, in the order of the .cfg file, for each convolution float32: its bias;
where it has a batch norm, that one's scale, mean and variance; its weights (out, in, k, k). All
little-endian. There is neither a name nor a sum in it: size and sense are all that can be checked.
"""

import math
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

from sightline.errors import WeightsError
from sightline.files import write_bytes
from sightline.nets.blocks import ConvNorm
from sightline.nets.darknet_cfg import place
from sightline.nets.darknet_plan import Layer

_VERSION = struct.Struct("<3i")
COPY_AGAIN = "copy or download the file again; does it belong to this .cfg?"


@dataclass(frozen=True)
class Header:
    """Version (major, minor, revision) of the Darknet that wrote a file, and `seen` images."""

    version: tuple[int, int, int] = (0, 2, 0)
    seen: int = 0

    @property
    def counter(self) -> struct.Struct:
        """How `seen` is written: in 64 bits from version 0.2 on, in 32 before."""
        major, minor, _ = self.version
        wide = 10 * major + minor >= 2 and major < 1000 and minor < 1000
        return struct.Struct("<q" if wide else "<i")

    @property
    def bytes(self) -> bytes:
        """The header as it stands in a file."""
        return _VERSION.pack(*self.version) + self.counter.pack(self.seen)


def tensors(layer: Layer) -> list[tuple[str, Tensor]]:
    """What a file holds of a layer, in its order; raises ValueError for a folded convolution."""
    block = layer.block
    if isinstance(block, nn.Conv2d):
        assert block.bias is not None
        return [("biases", block.bias), ("weights", block.weight)]
    assert isinstance(block, ConvNorm)
    norm = block.norm
    if not isinstance(norm, nn.BatchNorm2d):
        raise ValueError("the batch norms are folded")
    assert norm.running_mean is not None and norm.running_var is not None
    return [
        ("biases", norm.bias),
        ("scales", norm.weight),
        ("means", norm.running_mean),
        ("variances", norm.running_var),
        ("weights", block.conv.weight),
    ]


def _parts(layers: Sequence[Layer]) -> Iterator[tuple[str, str, Tensor]]:
    for number, layer in enumerate(layers):
        if layer.block is not None:
            for name, tensor in tensors(layer):
                yield place(number, layer.kind), name, tensor


def check(layers: Sequence[Layer], path: Path) -> Header:
    """The header of a file that has as many numbers as `layers` want; none of them is read.

    Raises WeightsError: weights.not_found, .truncated (with number and kind of the layer in which
    the file ends), .architecture (too long).
    """
    size = _size(path)
    with path.open("rb") as file:
        header = _header(file.read(_VERSION.size + 8), path)
    _check_size(layers, size, len(header.bytes), path)
    return header


def load(layers: Sequence[Layer], path: Path) -> Header:
    """Copy the numbers of a file into the blocks of `layers`; the answer is its header.

    Raises WeightsError as `check`, before anything is copied; and, with number and kind of the
    layer, weights.non_finite and weights.format (a variance below zero).
    """
    header = check(layers, path)
    with path.open("rb") as file:
        file.seek(len(header.bytes))
        for where, name, tensor in _parts(layers):
            data = file.read(4 * tensor.numel())
            if len(data) < 4 * tensor.numel():  # it shrank while it was read
                raise _fault(path, where, f"ends within its {name}", "weights.truncated")
            values = torch.from_numpy(numpy.frombuffer(data, "<f4").astype(numpy.float32))
            _check_values(values, name, where, path)
            with torch.no_grad():
                tensor.copy_(values.view(tensor.shape))
    return header


def _size(path: Path) -> int:
    try:
        found = path.stat()
        readable = stat.S_ISREG(found.st_mode)
        if readable:
            path.open("rb").close()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise WeightsError(message, code="weights.not_found", path=path) from error
    except ValueError as error:  # a NUL in the name
        message = "no name of a file"
        raise WeightsError(message, code="weights.not_found", path=repr(path)) from error
    if not readable:
        raise WeightsError("not a file", code="weights.not_found", path=path)
    return found.st_size


def _header(data: bytes, path: Path) -> Header:
    try:
        version: tuple[int, int, int] = _VERSION.unpack_from(data)
        counter = Header(version).counter
        (seen,) = counter.unpack_from(data, _VERSION.size)
    except struct.error:
        message = f"{len(data)} bytes are not even a header"
        code = "weights.truncated"
        raise WeightsError(message, code=code, path=path, hint=COPY_AGAIN) from None
    return Header(version, seen)


def _check_size(layers: Sequence[Layer], size: int, begin: int, path: Path) -> None:
    """Where does a file of `size` bytes end? Known before any number of it is read."""
    end = begin
    for where, name, tensor in _parts(layers):
        start, end = end, end + 4 * tensor.numel()
        if end > size:
            there = max(0, size - start) / 4
            message = f"the file ends after {there:,.10g} of its {tensor.numel():,} {name}"
            raise _fault(path, where, message, "weights.truncated")
    if end < size:
        message = f"{size - end:,} bytes are left behind the last layer"
        raise _fault(path, where, message, "weights.architecture")


def _check_values(values: Tensor, name: str, where: str, path: Path) -> None:
    bad = int((~values.isfinite()).sum())
    if bad:
        message = f"{bad:,} of its {len(values):,} {name} are NaN or infinite"
        raise _fault(path, where, message, "weights.non_finite")
    if name == "variances" and bool((values < 0).any()):
        message = f"a variance of {float(values.min()):g}: below zero"
        raise _fault(path, where, message, "weights.format")


def _fault(path: Path, where: str, message: str, code: str) -> WeightsError:
    return WeightsError(message, code=code, path=path, pointer=where, hint=COPY_AGAIN)


def save(layers: Sequence[Layer], path: Path, header: Header) -> None:
    """Write the blocks of `layers` as a .weights file, in one step.

    Numbers that were read come out as the same bytes. Raises ValueError for a folded network,
    WeightsError weights.non_finite, ResourceError (disk full, no permission).
    """
    pieces = [header.bytes]
    for where, name, tensor in _parts(layers):
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        if not math.isfinite(float(values.sum())) and not bool(values.isfinite().all()):
            raise _fault(path, where, f"its {name} are not all finite", "weights.non_finite")
        pieces.append(values.numpy().astype("<f4").tobytes())
    write_bytes(path, b"".join(pieces))
