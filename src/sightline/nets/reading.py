"""Reading weights that others wrote: safetensors, or PyTorch files without running their code.

A file is judged by its bytes, not its name. Sizes that it claims are held against its own size
before anything is allocated.
"""

import pickle
import pickletools
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from sightline.errors import ResourceError, SightlineError, WeightsError
from sightline.nets.state import check_finite

_SLACK = 1 << 20  # small files may hold numbers larger than themselves: steps, seeds, shapes
_NESTED = ("state_dict", "model")
_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth or .pt file, floats as float32, on the CPU.

    A training checkpoint's "state_dict" or "model" is taken out of it. Raises WeightsError:
    weights.not_found, .truncated (empty, cut short, damaged, a web page), .unsafe_format (it would
    run code), .format (no plain tensors by name), .non_finite.
    """
    path = Path(path)
    head, size = _head(path)
    try:
        if _is_safetensors(path, head, size):
            found: Any = safetensors.torch.load_file(path)
        elif head[:4] == b"PK\x03\x04":
            _check_zip(path, size)
            found = torch.load(path, map_location="cpu", weights_only=True)
        elif head[:1] == b"\x80":
            _check_legacy(path, size)
            found = torch.load(path, map_location="cpu", weights_only=True)
        else:
            page = head.lstrip()[:1] == b"<"
            raise _damaged("a web page, not weights" if page else "not a file of weights", path)
    except SightlineError:
        raise
    except pickle.UnpicklingError as error:
        raise _unsafe(str(error), path) from error
    except MemoryError as error:
        raise ResourceError(
            "not enough memory to read the weights", code="resource.out_of_memory", path=path
        ) from error
    # torch.load raises nine kinds of exceptions for damaged files, and may grow more
    except Exception as error:
        raise _damaged(str(error).splitlines()[0] if str(error) else repr(error), path) from error
    return _plain(found, size, path)


def _damaged(reason: str, path: Path) -> WeightsError:
    return WeightsError(
        f"cut short or damaged: {reason}",
        code="weights.truncated",
        path=path,
        hint="download the file again",
    )


def _unsafe(reason: str, path: Path) -> WeightsError:
    first = reason.strip().splitlines()[0] if reason.strip() else "a pickle"
    return WeightsError(
        f"the file asks for code to be run: {first}",
        code="weights.unsafe_format",
        path=path,
        hint="ask its author for safetensors",
    )


def _head(path: Path) -> tuple[bytes, int]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise WeightsError("not a file", code="weights.not_found", path=path)
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise WeightsError(message, code="weights.not_found", path=path) from error
    except ValueError as error:  # a NUL in the name
        raise WeightsError(str(error), code="weights.not_found", path=path) from error
    if not head:
        raise _damaged("0 bytes", path)
    return head, status.st_size


def _is_safetensors(path: Path, head: bytes, size: int) -> bool:
    if path.suffix == ".safetensors" and head.lstrip()[:1] != b"<":
        return True
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size


def _check_zip(path: Path, size: int) -> None:
    """Refuse compressed entries and sizes beyond the file's own: PyTorch stores, never packs."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise _unsafe("a compressed archive", path)
        if sum(e.file_size for e in entries) > size:
            raise _damaged("its entries claim more bytes than the file has", path)
        for entry in entries:
            if entry.filename.rsplit("/", 1)[-1].endswith(".pkl"):
                with archive.open(entry) as stream:
                    _check_numbers(pickletools.genops(stream), size, path)


def _check_legacy(path: Path, size: int) -> None:
    """The same for files from before PyTorch 1.6: five pickles, then the tensors' bytes."""
    with path.open("rb") as stream:
        for part in range(5):  # magic number, protocol, machine, the object, keys of its storages
            bound = size if part else None  # the magic number is larger than any file
            _check_numbers(pickletools.genops(stream), bound, path)


def _check_numbers(
    operations: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]],
    size: int | None,
    path: Path,
) -> None:
    """Storages, shapes and strides are integers of the pickle: none may exceed the file."""
    try:
        for opcode, value, _ in operations:
            if size is None or opcode.name not in _INTEGERS:
                continue
            if abs(int(value)) > size + _SLACK:
                raise _damaged(f"it claims {int(value):,} numbers in {size:,} bytes", path)
    except MemoryError as error:  # a string longer than the memory, so longer than the file
        raise _damaged("it claims a string that does not fit into memory", path) from error


def _plain(found: Any, size: int, path: Path) -> dict[str, Tensor]:
    """Named dense tensors in float32, or WeightsError."""
    for name in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found:
        raise WeightsError("no tensors by name in it", code="weights.format", path=path)
    total = 0
    for key, value in found.items():
        dense = (
            isinstance(key, str)
            and isinstance(value, Tensor)
            and value.layout is torch.strided
            and not (value.is_quantized or value.is_meta or value.is_nested or value.is_complex())
        )
        if not dense:
            raise WeightsError(
                "not a plain dense tensor", code="weights.format", path=path, pointer=str(key)
            )
        total += value.numel() * value.element_size()
    if total > 4 * size + _SLACK:  # views repeat their memory; tied weights do so a few times
        raise _damaged(f"its tensors claim {total:,} bytes of {size:,}", path)
    state = {
        key: value.detach().to(torch.float32) if value.is_floating_point() else value.detach()
        for key, value in found.items()
    }
    check_finite(state, path)
    return state
