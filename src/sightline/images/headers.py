"""What an image's first bytes say: its format, its size, how to turn it upright.

Nothing here decodes a pixel or inflates a byte, so a few lines of Python stand between a hostile
file and the memory that it claims. Fields are read with their bounds checked: a file that ends too
early raises `image.truncated`, one that contradicts itself `image.corrupt`.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sightline.errors import ImageError
from sightline.images import tiff
from sightline.images.bounds import corrupt, number, take, truncated, unsupported
from sightline.types import Size

CHUNKS = 200_000
"""More chunks than this in one file are an attack on our patience, not an image."""

MARKER = re.compile(rb"\xff[^\x00\xff]")
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

FOREIGN = (
    (b"%PDF", "PDF", None),
    (b"%!PS", "PostScript", None),
    (b"\xc5\xd0\xd3\xc6", "EPS", None),
    (b"\xd7\xcd\xc6\x9a", "WMF", None),
    (b"\xd0\xcf\x11\xe0", "FlashPix or an old Office document", None),
    (b"8BPS", "Photoshop", None),
    (b"PK\x03\x04", "a ZIP archive", None),
    (b"\x00\x00\x01\x00", "ICO", None),
    (b"\xff\x0a", "JPEG XL", "pillow-jxl-plugin"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL", "pillow-jxl-plugin"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000", None),
)


@dataclass(frozen=True)
class Header:
    """`stored` is the size as decoded, `size` the upright one; `orientation` is EXIF's 1 … 8.

    `channels` and `progressive` are known of a JPEG only.
    """

    format: str
    stored: Size
    orientation: int = 1
    channels: int = 0
    progressive: bool = False

    @property
    def size(self) -> Size:
        """(height, width) of the upright image."""
        height, width = self.stored
        return (width, height) if self.orientation >= 5 else (height, width)


def parse(data: bytes) -> Header:
    """The header of a JPEG, PNG, WebP, GIF, BMP or TIFF, recognised by its magic bytes alone.

    Raises ImageError: image.empty, .unsupported, .truncated, .corrupt, .bad_dimensions or
    .unsupported_mode.
    """
    if not data:
        raise ImageError("there are no bytes", code="image.empty")
    reader = next((reader for magic, reader in READERS if data.startswith(magic)), None)
    if reader is None and data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b""):
        reader = _webp
    if reader is None:
        raise _foreign(data)
    header = reader(data)
    if min(header.stored) < 1:
        height, width = header.stored
        raise ImageError(f"the image is {width} × {height} pixels", code="image.bad_dimensions")
    return header


def _foreign(data: bytes) -> ImageError:
    """Why bytes of no known magic are not read: what they are, where that can be told."""
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, name, extra in FOREIGN:
        if data.startswith(magic):
            return unsupported(name, extra)
    if any(magic.startswith(data) for magic, _ in READERS):
        return truncated()
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in (b"avif", b"avis"):
            return unsupported("AVIF", "pillow-avif-plugin")
        if brand[:2] == b"he" or brand in (b"mif1", b"msf1"):
            return unsupported("HEIC", "pillow-heif")
        return unsupported("a video")
    if b"<svg" in start:
        return unsupported("SVG")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return unsupported("HTML or XML")
    return unsupported("unknown")


def _jpeg(data: bytes) -> Header:
    found: tuple[Size, int, bool] | None = None
    orientation, seen, at = 1, False, 2
    while match := MARKER.search(data, at):
        code, at = data[match.end() - 1], match.end()
        if code == 0x01 or 0xD0 <= code <= 0xD8:  # markers that stand alone
            continue
        if code == 0xD9 or (code == 0xDA and found is None):
            raise corrupt("the JPEG has no frame before its data")
        if code == 0xDA and found is not None:
            return Header("JPEG", found[0], orientation, found[1], found[2])
        length = number(data, at, 2, "big")
        if length < 2:
            raise corrupt("a JPEG segment has no length")
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            found = _frame(data, at + 2, code)
        elif code == 0xE1 and not seen and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation, seen = tiff.orientation(data[at + 8 : at + length]), True
        at += length
    raise truncated()


def _frame(data: bytes, at: int, code: int) -> tuple[Size, int, bool]:
    """The size, the channels, and whether the JPEG frame is progressive."""
    if code not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        raise unsupported(f"a JPEG of process {code - 0xC0}")
    precision, channels = number(data, at, 1), number(data, at + 5, 1)
    if precision != 8 or channels not in (1, 3, 4):
        raise ImageError(
            f"the JPEG has {channels} channels of {precision} bits",
            code="image.unsupported_mode",
            hint="1, 3 or 4 channels of 8 bits are read",
        )
    size = number(data, at + 1, 2, "big"), number(data, at + 3, 2, "big")
    return size, channels, code in (0xC2, 0xCA)


def scans(data: bytes) -> int:
    """How many scans a JPEG has up to its end marker; segments between them are stepped over."""
    count, at = 0, 2
    while match := SCAN_END.search(data, at):
        code, at = data[match.end() - 1], match.end()
        if code == 0xD9:
            break
        count += code == 0xDA
        if code not in (0x01, 0xD8):
            at += int.from_bytes(data[at : at + 2], "big")
    return count


def chunks(data: bytes, checked: bool = True) -> Iterator[tuple[bytes, memoryview]]:
    """The name and the body of each chunk of a PNG up to IEND; `checked` compares the checksums."""
    at, view = 8, memoryview(data)
    for _ in range(CHUNKS):
        length, name = number(data, at, 4, "big"), take(data, at + 4, 4)
        end = at + 8 + length
        if end + 4 > len(data):
            raise truncated()
        if checked and zlib.crc32(view[at + 4 : end]) != number(data, end, 4, "big"):
            raise corrupt(f"the PNG's chunk {name!r} has a wrong checksum")
        yield name, view[at + 8 : end]
        if name == b"IEND":
            return
        at = end + 4
    raise ImageError(f"the PNG has more than {CHUNKS:,} chunks", code="image.timeout")


def _png(data: bytes) -> Header:
    take(data, 0, 33)
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[8:16] != b"\0\0\0\rIHDR":
        raise corrupt("the PNG does not begin with its header")
    size = number(data, 20, 4, "big"), number(data, 16, 4, "big")
    orientation = 1
    for name, body in chunks(data, checked=False):
        if name == b"eXIf":
            orientation = tiff.orientation(bytes(body))
            break
    return Header("PNG", size, orientation)


def gif_frame(data: bytes) -> int:
    """Where the descriptor of a GIF's first frame begins."""
    flags = number(data, 10, 1)
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    while (block := number(data, at, 1)) != 0x2C:
        if block != 0x21:
            raise corrupt("the GIF has no frame")
        at += 2
        while step := number(data, at, 1):
            at += step + 1
        at += 1
    return at


def _gif(data: bytes) -> Header:
    at = gif_frame(data)
    width, height = number(data, 6, 2), number(data, 8, 2)
    left, top, w, h = (number(data, at + k, 2) for k in (1, 3, 5, 7))
    if not (w and h):
        return Header("GIF", (h, w))
    return Header("GIF", (max(height, top + h), max(width, left + w)))


def _bmp(data: bytes) -> Header:
    length = number(data, 14, 4)
    if length == 12:
        return Header("BMP", (number(data, 20, 2), number(data, 18, 2)))
    if length < 16:
        raise corrupt(f"the BMP's header has {length} bytes")
    width = int.from_bytes(take(data, 18, 4), "little", signed=True)
    height = int.from_bytes(take(data, 22, 4), "little", signed=True)
    return Header("BMP", (abs(height), width))


def _webp(data: bytes) -> Header:
    kind, body = take(data, 12, 4), 20
    if kind == b"VP8X":
        size = number(data, 27, 3) + 1, number(data, 24, 3) + 1
        exif = _riff_chunk(data, b"EXIF") if data[body] & 8 else b""
        return Header("WEBP", size, tiff.orientation(exif.removeprefix(b"Exif\0\0")))
    if kind == b"VP8L":
        bits = number(data, body + 1, 4)
        return Header("WEBP", ((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1))
    if kind == b"VP8 ":
        size = number(data, body + 8, 2) & 0x3FFF, number(data, body + 6, 2) & 0x3FFF
        return Header("WEBP", size)
    raise corrupt("the WebP holds no picture")


def _riff_chunk(data: bytes, name: bytes) -> bytes:
    """The body of the first chunk of that name; empty where there is none."""
    at, end = 12, number(data, 4, 4) + 8
    for _ in range(CHUNKS):
        if at + 8 > end:
            return b""
        kind, length = take(data, at, 4), number(data, at + 4, 4)
        if kind == name:
            return take(data, at + 8, length)
        at += 8 + length + length % 2
    raise ImageError(f"the WebP has more than {CHUNKS:,} chunks", code="image.timeout")


def _tiff(data: bytes) -> Header:
    directory = tiff.first(data)
    return Header("TIFF", directory.size, directory.orientation)


READERS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
