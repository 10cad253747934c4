"""Pictures that tests draw, and files of them in every encoding."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(height: int = 37, width: int = 53) -> np.ndarray:
    """A smooth (H, W, 3) uint8 picture in which no two corners are alike."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(1, width - 1), 255 * y / max(1, height - 1)
    blue = 127 + 90 * np.sin(x / 5) * np.cos(y / 7)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file of that kind."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    size: tuple[int, int], rows: bytes, *extra: bytes, depth: int = 8, colour: int = 2
) -> bytes:
    """A PNG by hand: (height, width), the filtered rows, further chunks before the data."""
    head = struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, 0)
    pieces = [
        chunk(b"IHDR", head),
        *extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def exif(*fields: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """An EXIF block of (tag, type, count, four bytes of value)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    table = b"".join(struct.pack(order + "HHI", *field[:3]) + field[3] for field in fields)
    return b"Exif\0\0" + head + struct.pack(order + "H", len(fields)) + table + bytes(4)


SAMPLES: dict[str, bytes] = {
    "jpeg": encoded(picture(), "JPEG", quality=92),
    "jpeg-progressive": encoded(picture(), "JPEG", progressive=True),
    "jpeg-grey": encoded(Image.fromarray(picture()).convert("L"), "JPEG"),
    "jpeg-cmyk": encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    "png": encoded(picture(), "PNG"),
    "png-palette": encoded(Image.fromarray(picture()).quantize(16), "PNG"),
    "png-alpha": encoded(Image.fromarray(picture()).convert("RGBA"), "PNG"),
    "webp-lossy": encoded(picture(), "WEBP"),
    "webp-lossless": encoded(picture(), "WEBP", lossless=True),
    "gif": encoded(Image.fromarray(picture()).quantize(64), "GIF"),
    "bmp": encoded(picture(), "BMP"),
    "bmp-palette": encoded(Image.fromarray(picture()).quantize(16), "BMP"),
    "tiff": encoded(picture(), "TIFF"),
    "tiff-lzw": encoded(picture(), "TIFF", compression="tiff_lzw"),
    "tiff-deflate": encoded(picture(), "TIFF", compression="tiff_adobe_deflate"),
    "tiff-jpeg": encoded(picture(), "TIFF", compression="jpeg"),
}
"""One good file of each encoding, by a name that begins with its format."""
