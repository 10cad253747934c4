"""Reading fields of untrusted bytes, and the errors that end it."""

from typing import Literal

from sightline.errors import ImageError


def truncated() -> ImageError:
    """The file ends before its image does."""
    return ImageError(
        "the image ends too early",
        code="image.truncated",
        hint="the file was cut off: copy or download it again",
    )


def corrupt(what: str) -> ImageError:
    """The file contradicts itself."""
    return ImageError(what, code="image.corrupt", hint="the file is damaged: copy it again")


def unsupported(what: str, extra: str | None = None) -> ImageError:
    """The file is of a kind that is not read; `extra` is a package that opens it."""
    hint = "JPEG, PNG, WebP, GIF, BMP and TIFF are read"
    if extra is not None:
        hint = f"convert it, or pip install {extra} and pass the PIL image that it opens; {hint}"
    return ImageError(f"the format is not read: {what}", code="image.unsupported", hint=hint)


def take(data: bytes, start: int, length: int) -> bytes:
    """`length` bytes from `start`; raises image.truncated where there are fewer."""
    piece = data[start : start + length]
    if len(piece) < length:
        raise truncated()
    return piece


def number(data: bytes, start: int, length: int, order: Literal["little", "big"] = "little") -> int:
    """The unsigned integer that begins at `start`."""
    return int.from_bytes(take(data, start, length), order)
