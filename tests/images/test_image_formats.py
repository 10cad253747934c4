"""What is read: six formats, every mode, upright, by one rule each (I1, I7–I18, I29–I34)."""

import io
import struct
import subprocess

import cv2
import numpy as np
import pytest
from drawing import SAMPLES, encoded, exif, picture, png
from PIL import Image

from sightline.errors import ImageError
from sightline.images import SUFFIXES, read, read_format, read_size


def pixels(source) -> np.ndarray:
    """(H, W, 3) of what `read` gives."""
    return read(source).permute(1, 2, 0).numpy()


def code(source) -> str:
    with pytest.raises(ImageError) as caught:
        read(source)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_equals_pillow(name):
    wanted = np.asarray(Image.open(io.BytesIO(SAMPLES[name])).convert("RGB"))
    found = pixels(SAMPLES[name])
    assert found.dtype == np.uint8 and found.shape == (37, 53, 3)
    np.testing.assert_array_equal(found, wanted)
    assert read_size(SAMPLES[name]) == (37, 53)
    assert Image.open(io.BytesIO(SAMPLES[name])).format in (read_format(SAMPLES[name]), "MPO")
    assert read_format(SAMPLES[name]) in SUFFIXES


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode(mode):
    image = Image.fromarray(picture())
    if mode == "I;16":
        image = Image.fromarray(picture()[..., 0].astype(np.uint16) * 257)
        wanted = np.repeat(picture()[..., :1], 3, axis=2)
    else:
        image = image.convert(mode)
        wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(pixels(encoded(image, "PNG")), wanted)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_palettes_of_few_bits(bits):
    image = Image.fromarray(picture()).quantize(2**bits)
    data = encoded(image, "PNG", bits=bits)
    assert data[24] == bits
    np.testing.assert_array_equal(pixels(data), np.asarray(image.convert("RGB")))


def test_interlaced_png_equals_opencv():
    rows = b"".join(
        b"\0" + picture(16, 24)[y::dy, x::dx].tobytes()[i * w * 3 : (i + 1) * w * 3]
        for y, x, dy, dx in ADAM7
        for h, w in [picture(16, 24)[y::dy, x::dx].shape[:2]]
        for i in range(h)
    )
    data = bytearray(png((16, 24), rows))
    data[28] = 1
    data[29:33] = struct.pack(">I", __import__("zlib").crc32(bytes(data[12:29])))
    np.testing.assert_array_equal(pixels(bytes(data)), picture(16, 24))


ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_scaled_not_clipped(colour, channels):
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(16, 64)
    rows = np.repeat(ramp[..., None], channels, axis=2).astype(">u2")
    data = png((16, 64), b"".join(b"\0" + row.tobytes() for row in rows), depth=16, colour=colour)
    wanted = ramp / 257
    assert np.abs(pixels(data) - wanted[..., None]).max() <= 1


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_tiff(order):
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(16, 64)
    image = Image.frombytes(
        "I;16B" if order == ">u2" else "I;16", (64, 16), ramp.astype(order).tobytes()
    )
    np.testing.assert_array_equal(
        pixels(encoded(image, "TIFF"))[..., 1], (ramp.astype(int) + 128) // 257
    )


def test_transparent_pixels_keep_their_colour():
    image = np.dstack([picture(), np.zeros((37, 53), np.uint8)])
    for source in (encoded(image, "PNG"), encoded(image, "TIFF"), Image.fromarray(image), image):
        np.testing.assert_array_equal(pixels(source), picture())
    palette = Image.fromarray(picture()).quantize(16)
    data = encoded(palette, "PNG", transparency=3)
    np.testing.assert_array_equal(pixels(data), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("invert", [False, True])
def test_cmyk_is_near_opencv(invert):
    data = encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data[:40]
    if invert:  # YCCK: the same picture through another colour space
        data = encoded(Image.fromarray(255 - picture()).convert("CMYK"), "JPEG", quality=95)
    wanted = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(pixels(data).astype(int) - wanted).max() <= 3
    original = 255 - picture() if invert else picture()
    assert np.abs(pixels(data).astype(int) - original).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation, tmp_path):
    tag = Image.Exif()
    tag[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture(), kind, exif=tag, **options)
    turned = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
              5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
              7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}[orientation]  # fmt: skip
    stored = pixels(encoded(picture(), kind, **options))
    np.testing.assert_array_equal(pixels(data), turned(stored))
    assert read_size(data) == turned(stored).shape[:2]
    np.testing.assert_array_equal(pixels(Image.open(io.BytesIO(data))), turned(stored))
    if kind == "JPEG":
        file = tmp_path / "turned.jpg"
        file.write_bytes(data)
        wanted = cv2.imread(str(file))[..., ::-1]
        assert np.abs(pixels(file).astype(int) - wanted).max() <= 3


def short(value: int, order: str = "<") -> bytes:
    return struct.pack(order + "HH", value, 0)


@pytest.mark.parametrize(
    "block",
    [
        exif((274, 3, 1, short(0))),
        exif((274, 3, 1, short(9))),
        exif((274, 3, 1, short(99))),
        exif((274, 2, 4, b"six\0")),
        exif((274, 3, 1, short(6)), (274, 3, 1, short(8))),
        exif((274, 3, 70000, b"\xff\xff\xff\xff")),
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0rubbish",
        b"Exif\0\0" + b"\xff" * 60000,
    ],
)
def test_orientation_that_makes_no_sense_is_ignored(block):
    data = encoded(picture(), "JPEG", exif=block)
    np.testing.assert_array_equal(pixels(data), pixels(encoded(picture(), "JPEG")))
    assert read_size(data) == (37, 53)


def test_both_byte_orders_of_exif():
    for order in "<>":
        data = encoded(picture(), "JPEG", exif=exif((274, 3, 1, short(6, order)), order=order))
        assert read(data).shape == (3, 53, 37)


def test_colour_profiles_and_text_are_ignored():
    plain = encoded(picture(), "JPEG")
    profile = encoded(picture(), "JPEG", icc_profile=b"\xff\xda\xff\xd9" * 100_000)
    np.testing.assert_array_equal(pixels(profile), pixels(plain))


def test_the_name_does_not_matter(tmp_path, caplog):
    file = tmp_path / "really.jpg"
    file.write_bytes(SAMPLES["png"])
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(pixels(file), picture())
    assert "PNG" in caplog.text


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "png", "gif", "bmp", "webp-lossless"])
def test_what_follows_an_image_is_ignored(name):
    tail = b"PK\x03\x04<html>" + b"\xff\xda\xff\xd9" * 5000
    np.testing.assert_array_equal(pixels(SAMPLES[name] + tail), pixels(SAMPLES[name]))


def test_mpo_gives_its_first_image():
    first, second = Image.fromarray(picture()), Image.fromarray(255 - picture())
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(pixels(data), pixels(encoded(first, "JPEG")))
    np.testing.assert_array_equal(pixels(Image.open(io.BytesIO(data))), pixels(data))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(kind):
    first, second = Image.fromarray(picture()), Image.fromarray(255 - picture())
    if kind == "GIF":
        first, second = first.quantize(64), second.quantize(64)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second] * 3, **options)
    np.testing.assert_array_equal(pixels(data), np.asarray(first.convert("RGB")))


def test_gif_frame_within_a_larger_canvas():
    data = bytearray(SAMPLES["gif"])
    data[6:10] = struct.pack("<HH", 80, 60)
    at = data.index(b",\0\0\0\0", 13 + 3 * 64)
    data[at + 1 : at + 5] = struct.pack("<HH", 20, 10)
    found = pixels(bytes(data))
    assert found.shape == (60, 80, 3) and read_size(bytes(data)) == (60, 80)
    np.testing.assert_array_equal(found[10:47, 20:73], pixels(SAMPLES["gif"]))


FOREIGN = {
    "pdf": b"%PDF-1.7\n", "ps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "eps": b"\xc5\xd0\xd3\xc6" + bytes(40), "svg": b'<?xml version="1.0"?><svg xmlns="x"></svg>',
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40), "fpx": b"\xd0\xcf\x11\xe0" + bytes(40),
    "html": b"<!DOCTYPE html><p>404</p>", "text": b"not an image at all", "zip": b"PK\x03\x04" * 9,
    "mp4": b"\0\0\0\x20ftypisom" + bytes(40), "psd": b"8BPS" + bytes(40), "zeros": bytes(64),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_refused_without_starting_anything(name, monkeypatch, tmp_path):
    def forbidden(*_args, **_options):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    file = tmp_path / "photo.png"
    file.write_bytes(FOREIGN[name])
    assert code(file) == code(FOREIGN[name]) == "image.unsupported"


def test_an_opened_postscript_file_is_not_loaded(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    assert code(Image.open(io.BytesIO(data))) == "image.unsupported"


@pytest.mark.parametrize(
    ("data", "package"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "pillow-heif"),
        (b"\0\0\0\x18ftypmif1" + bytes(40), "pillow-heif"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "pillow-avif-plugin"),
        (b"\xff\x0a" + bytes(40), "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
    ],
)
def test_newer_formats_name_what_opens_them(data, package):
    with pytest.raises(ImageError) as caught:
        read(data)
    assert caught.value.code == "image.unsupported" and package in (caught.value.hint or "")


@pytest.mark.parametrize("mode", ["I", "LAB", "HSV", "YCbCr"])
def test_unusual_modes_are_named(mode):
    image = Image.new(mode, (5, 4))
    assert code(image) == "image.unsupported_mode"
    if mode in ("I", "LAB"):
        assert code(encoded(image, "TIFF")) == "image.unsupported_mode"


def test_tiff_of_ten_channels():
    image = Image.fromarray(picture(6, 7))
    data = bytearray(encoded(image, "TIFF"))
    at = data.index(struct.pack("<HHI", 277, 3, 1))
    data[at + 8] = 10
    assert code(bytes(data)) in ("image.unsupported_mode", "image.corrupt")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(np.nan, "image.non_finite"), (np.inf, "image.non_finite"), (-3.0, "image.ambiguous"),
     (2e9, "image.ambiguous")],
)  # fmt: skip
def test_float_tiff(value, wanted):
    values = np.full((4, 6), 0.5, np.float32)
    assert read(encoded(Image.fromarray(values), "TIFF")).unique().tolist() == [128]
    values[1, 2] = value
    assert code(encoded(Image.fromarray(values), "TIFF")) == wanted
