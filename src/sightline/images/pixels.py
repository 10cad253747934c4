"""From the bytes of one image to its pixels, by Pillow's decoders.

Where it can be, a decoder is called on the bytes directly (`PIL.Image.frombytes`): that is faster,
needs no parser of metadata, and is untouched by `ImageFile.LOAD_TRUNCATED_IMAGES`, a global which
any other library may have set.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import BmpImagePlugin, Image, ImageFile, TiffImagePlugin, WebPImagePlugin
from torch import Tensor

from sightline.errors import ImageError, ResourceError
from sightline.images import headers, tiff
from sightline.images.arrays import scaled
from sightline.images.bounds import corrupt, number, take, truncated, unsupported
from sightline.images.headers import Header
from sightline.images.limits import Limits

CHANNELS = {1: ("L", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK;I")}
"""Pillow's mode and raw mode of a JPEG. CMYK files hold inverted inks, as Adobe began it."""

PNG_MODES = {
    (1, 0): ("1", "1"),
    (2, 0): ("L", "L;2"),
    (4, 0): ("L", "L;4"),
    (8, 0): ("L", "L"),
    (16, 0): ("I;16", "I;16B"),
    (8, 2): ("RGB", "RGB"),
    (16, 2): ("RGB", "RGB;16B"),
    (1, 3): ("P", "P;1"),
    (2, 3): ("P", "P;2"),
    (4, 3): ("P", "P;4"),
    (8, 3): ("P", "P"),
    (8, 4): ("LA", "LA"),
    (16, 4): ("RGBA", "LA;16B"),
    (8, 6): ("RGBA", "RGBA"),
    (16, 6): ("RGBA", "RGBA;16B"),
}
"""(bits, colour type) of a PNG: Pillow's mode and raw mode. Colours of 16 bits lose their lower
byte there, which is within one level of scaling by 257.
"""

RLE_BYTES = 8 * 2**20
"""Pillow unpacks run-length coded BMPs in Python, a byte at a time."""


class _Whole(io.BytesIO):
    """A file whose end is an error, not an empty answer that a decoder may take for grey."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece and size != 0:
            raise truncated()
        return piece


def decode(data: bytes, header: Header, limits: Limits) -> UInt8[Tensor, "3 H W"]:
    """The upright RGB pixels of an image whose header was parsed and found within the limits.

    Raises ImageError: image.truncated, .corrupt, .unsupported, .unsupported_mode, .non_finite,
    .ambiguous or .timeout; ResourceError: resource.out_of_memory.
    """
    return _guarded(lambda: (DECODERS[header.format](data, header, limits), header.orientation))


def from_pillow(image: Image.Image, limits: Limits) -> UInt8[Tensor, "3 H W"]:
    """The upright RGB pixels of a PIL image; one that is still a file is read now.

    Only then does Pillow's own leniency count: `LOAD_TRUNCATED_IMAGES` is its opener's choice.
    """
    if (
        isinstance(image, ImageFile.ImageFile)
        and image.tile
        and image.format not in (*DECODERS, "MPO")
    ):  # loading an EPS would start Ghostscript
        raise unsupported(str(image.format))
    header = Header("PIL", (image.height, image.width))
    if min(header.stored) < 1:
        raise ImageError("the image has no pixels", code="image.bad_dimensions")
    limits.check_pixels(header)

    def load() -> tuple[Image.Image, int]:
        image.load()  # which turns a TIFF, and takes the tag away
        return image, _orientation(image)

    return _guarded(load)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(tiff.ORIENTATION, 1)
    except Exception:  # whatever is wrong with metadata, the image stands without them
        return 1
    return value if value in range(1, 9) else 1


def _guarded(load: Callable[[], tuple[Image.Image, int]]) -> UInt8[Tensor, "3 H W"]:
    """The upright pixels of the image that `load` gives, with its orientation; any exception of a
    decoder becomes one of ours.
    """
    try:
        image, orientation = load()
        pixels = _bytes(image)
    except ImageError:
        raise
    except MemoryError as error:
        raise ResourceError(
            "the image does not fit into memory", code="resource.out_of_memory"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            str(error),
            code="image.too_many_pixels",
            hint="another library lowered PIL.Image.MAX_IMAGE_PIXELS",
        ) from error
    except Exception as error:
        text = str(error)
        if "not enough image data" in text or "truncated" in text:
            raise truncated() from error
        if "unknown pixel mode" in text or "unknown data organization" in text:
            raise _mode(text) from error
        raise corrupt(f"the decoder gave up: {text or type(error).__name__}") from error
    return _upright(pixels, orientation).permute(2, 0, 1)


def _upright(pixels: UInt8[Tensor, "H W 3"], orientation: int) -> UInt8[Tensor, "h w 3"]:
    """Turned and mirrored as EXIF's 1 … 8 asks."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(0, 1)
    mirrored = [
        axis for axis, when in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7))) if orientation in when
    ]
    return pixels.flip(mirrored).contiguous()


def _bytes(image: Image.Image) -> UInt8[Tensor, "H W 3"]:
    """RGB bytes of any mode. Alpha is dropped: every pixel keeps the colour that is stored."""
    mode = image.mode
    if mode.startswith("I;16") or mode == "F":
        image.load()
        array = np.array(image)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return _grey(scaled(torch.from_numpy(array)))
    if mode in ("1", "L", "LA", "La"):
        grey = (image.convert("LA") if mode == "La" else image).convert("L")
        return _grey(_buffer(grey).view(image.height, image.width))
    if mode in ("RGBa", "PA"):
        image = image.convert("RGBA")
    elif mode not in ("RGB", "RGBA", "RGBX", "P", "CMYK"):
        raise _mode(f"the mode is {mode}")
    return _buffer(image.convert("RGB")).view(image.height, image.width, 3)


def _buffer(image: Image.Image) -> Tensor:
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)


def _grey(values: UInt8[Tensor, "H W"]) -> UInt8[Tensor, "H W 3"]:
    return values[..., None].expand(-1, -1, 3).contiguous()


def _mode(text: str) -> ImageError:
    return ImageError(
        text,
        code="image.unsupported_mode",
        hint="grey, palette, RGB and CMYK of 8 bits and grey of 16 are read: convert it first",
    )


def _jpeg(data: bytes, header: Header, limits: Limits) -> Image.Image:
    if header.progressive and (count := headers.scans(data)) > limits.max_scans:
        raise ImageError(
            f"the progressive JPEG has {count:,} scans, more than {limits.max_scans}",
            code="image.timeout",
            hint="decoding it would take very long; if you trust it: Limits(max_scans=…)",
        )
    mode, raw = CHANNELS[header.channels]
    return Image.frombytes(mode, header.stored[::-1], data, "jpeg", raw, "")


def _png(data: bytes, header: Header, limits: Limits) -> Image.Image:
    parts: dict[bytes, list[memoryview]] = {b"IDAT": [], b"PLTE": []}
    for name, body in headers.chunks(data):
        if name in parts:
            parts[name].append(body)
    modes = PNG_MODES.get((data[24], data[25]))
    if modes is None or data[28] > 1:
        raise corrupt(f"a PNG of colour type {data[25]} with {data[24]} bits does not exist")
    packed = b"".join(parts[b"IDAT"])
    try:
        image = Image.frombytes(modes[0], header.stored[::-1], packed, "zip", modes[1], data[28])
    except ValueError as error:  # all chunks are there: their content is at fault
        raise corrupt(f"the PNG's data: {error}") from error
    if modes[0] == "P":
        if len(parts[b"PLTE"]) != 1 or len(parts[b"PLTE"][0]) % 3:
            raise corrupt("the PNG's palette")
        image.putpalette(bytes(parts[b"PLTE"][0]).ljust(768, b"\0")[:768])
    return image


def _gif(data: bytes, header: Header, limits: Limits) -> Image.Image:
    """The first frame, on the background colour where it does not fill the canvas."""
    at = headers.gif_frame(data)
    left, top, width, height = (number(data, at + k, 2) for k in (1, 3, 5, 7))
    common, flags, start = data[10], number(data, at + 9, 1), at + 10
    table = b""
    if flags & 0x80:
        table = take(data, start, 3 << (flags & 7) + 1)
        start += len(table)
    elif common & 0x80:
        table = take(data, 13, 3 << (common & 7) + 1)
    grey = bytes(v for i in range(256) for v in (i, i, i))  # what to show without any table
    bits = number(data, start, 1)
    interlaced = 1 if flags & 0x40 else 0
    frame = Image.frombytes("P", (width, height), data[start + 1 :], "gif", bits, interlaced)
    if (left, top, height, width) != (0, 0, *header.stored):
        canvas = Image.new("P", header.stored[::-1], data[11] if common & 0x80 else 0)
        canvas.paste(frame, (left, top))
        frame = canvas
    frame.putpalette((table or grey).ljust(768, b"\0"))
    return frame


def _bmp(data: bytes, header: Header, limits: Limits) -> Image.Image:
    image = BmpImagePlugin.BmpImageFile(_Whole(data))
    _agree(image, header)
    decoder, _, start, args = image.tile[0]
    if decoder != "raw":
        if len(data) > RLE_BYTES:
            raise unsupported("a large run-length coded BMP")
        image.load()
        return image
    pixels = Image.frombytes(image.mode, image.size, data[start:], decoder, args)
    if image.mode == "P" and image.palette is not None:
        image.load_prepare()
        pixels.putpalette(image.getpalette() or [])
    return pixels


def _tiff(data: bytes, header: Header, limits: Limits) -> Image.Image:
    directory = tiff.first(data)
    directory.check(limits.max_pixels)
    bits = directory.values(tiff.BITS)
    if any(b not in (1, 2, 4, 8, 16, 32, 64) for b in bits):
        raise _mode(f"a TIFF of {bits[0]} bits")
    image = TiffImagePlugin.TiffImageFile(_Whole(directory.bare()))
    _agree(image, header)
    image.load()
    if image.mode.startswith("I;16") and directory.value(tiff.PHOTOMETRIC, 1) == 0:
        dark = 65535 - np.array(image).astype(np.uint16)  # white is zero there
        return Image.fromarray(dark)
    return image


def _webp(data: bytes, header: Header, limits: Limits) -> Image.Image:
    if len(data) < number(data, 4, 4) + 8:
        raise truncated()
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    _agree(image, header)
    image.load()
    return image


def _agree(image: Image.Image, header: Header) -> None:
    """Two readers of one header must find one size: the limit was held against ours."""
    if (image.height, image.width) != header.stored:
        raise corrupt("the header can be read in two ways")


DECODERS: dict[str, Callable[[bytes, Header, Limits], Image.Image]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "WEBP": _webp,
}
