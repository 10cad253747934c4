"""Images that stand inside label files, as base64: weighed by their header, and put into files."""

import base64
import binascii
from pathlib import Path

from sightline.errors import AnnotationError, ImageError
from sightline.files import write_bytes
from sightline.images import Limits
from sightline.images.headers import parse

DEFAULT = Limits()

HEAD = 4 * (1 << 14)
"""Characters that are decoded first: enough for nearly every header."""

ENDINGS = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
}


def decode(text: str, limits: Limits = DEFAULT) -> bytes:
    """The bytes of an embedded image.

    AnnotationError: `image.base64` where it is no base64; `image.too_large_bytes` and
    `image.too_many_pixels` before all of it is decoded; the faults of an image's header.
    """
    try:
        limits.check_bytes(len(text) * 3 // 4)
        head = _bytes(text[:HEAD])
        try:
            limits.check_pixels(parse(head))
            return _bytes(text)
        except ImageError as error:
            if error.code != "image.truncated" or len(text) <= HEAD:
                raise
        data = _bytes(text)  # a header longer than the head
        limits.check_pixels(parse(data))
        return data
    except ImageError as error:
        raise AnnotationError(error.message, code=error.code, hint=error.hint) from error


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AnnotationError(
            f"the embedded image is no base64: {error}", code="image.base64"
        ) from error


def unpack(text: str, stem: Path) -> Path:
    """Write an embedded image to `stem` with the ending of its format; the path.

    AnnotationError as `decode`; ResourceError where the disk refuses.
    """
    data = decode(text)
    ending = next(end for magic, end in ENDINGS.items() if data.startswith(magic))
    return write_bytes(stem.with_name(stem.name + ending), data)


def not_unpacked(name: str) -> AnnotationError:
    """The fault of an image that stands only inside its label file, where no file may be made."""
    return AnnotationError(
        f"there is no image {name!r}; it stands only inside the label file",
        code="image.embedded",
        hint="write the images into files first: sightline convert DATA --to labelme --out DIR",
    )
