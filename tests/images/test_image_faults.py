"""Files that are cut off, lie, or attack: each gets its own answer (I1–I27)."""

import io
import struct
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from drawing import SAMPLES, chunk, encoded, picture, png
from PIL import Image, ImageFile

from sightline.errors import ImageError, UsageError
from sightline.images import Limits, read, read_size

LENIENT = pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])


def code(source, limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(ImageError) as caught:
        read(source, limits)
    return caught.value.code


def pixels(source) -> np.ndarray:
    return read(source).permute(1, 2, 0).numpy()


@LENIENT
@pytest.mark.parametrize("name", SAMPLES)
def test_a_cut_file_is_never_half_an_image(name, lenient, monkeypatch):
    """I3–I6, whatever another library did to Pillow."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = SAMPLES[name]
    whole, raised = pixels(data), 0
    for length in np.linspace(1, len(data) - 1, 40).astype(int):
        try:
            np.testing.assert_array_equal(pixels(data[:length]), whole)
        except ImageError as error:
            raised += 1
            assert error.code in ("image.truncated", "image.corrupt", "image.unsupported")
            assert error.code == "image.truncated" or length < 16 or "tiff" in name
    assert raised >= 36


@LENIENT
def test_a_cut_gif_or_png_with_its_end_put_back(lenient, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    rows = b"".join(b"\0" + row.tobytes() for row in picture())
    assert pixels(png((37, 53), rows)).shape == (37, 53, 3)
    assert code(png((37, 53), rows[:-200])) == "image.corrupt"
    flipped = bytearray(SAMPLES["png"])
    flipped[len(flipped) // 2] ^= 1
    assert code(bytes(flipped)) == "image.corrupt"
    assert code(SAMPLES["gif"][:-400] + b"\0;") == "image.truncated"


def test_no_bytes():
    assert code(b"") == code(io.BytesIO()) == "image.empty"


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1,) * 2]
)
def test_a_bomb_is_refused_from_its_header(size, tmp_path):
    """I19–I21: in under 50 ms, without memory for it."""
    file = tmp_path / "bomb.png"
    file.write_bytes(png(size, bytes(400_000)))
    tracemalloc.start()
    start = time.process_time()
    assert code(file) == "image.too_many_pixels"
    spent, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 0.05 and peak < 5e6
    assert read_size(file) == size


def test_bombs_of_every_format_are_refused():
    data = bytearray(SAMPLES["gif"])
    at = data.index(b",\0\0\0\0", 13 + 3 * 64)
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"  # a frame larger than its canvas
    assert code(bytes(data)) == "image.too_many_pixels"
    data = bytearray(SAMPLES["bmp"])
    data[18:26] = struct.pack("<ii", 60_000, -60_000)
    assert code(bytes(data)) == "image.too_many_pixels"
    data = bytearray(SAMPLES["jpeg"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert code(bytes(data)) == "image.too_many_pixels"
    body = b"\0\0\0\0" + (16_000_000).to_bytes(3, "little") * 2
    data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + body
    assert code(data) == "image.too_many_pixels"


def test_limits_can_be_moved():
    assert code(SAMPLES["jpeg"], Limits(max_pixels=37 * 53 - 1)) == "image.too_many_pixels"
    assert code(Image.new("RGB", (53, 37)), Limits(max_pixels=1960)) == "image.too_many_pixels"
    assert read(SAMPLES["jpeg"], Limits(max_pixels=37 * 53)).shape == (3, 37, 53)
    size = len(SAMPLES["jpeg"])
    assert code(SAMPLES["jpeg"], Limits(max_bytes=size - 1)) == "image.too_large_bytes"
    assert code(io.BytesIO(SAMPLES["jpeg"]), Limits(max_bytes=size - 1)) == "image.too_large_bytes"
    with pytest.raises(UsageError):
        Limits(max_pixels=0)


def test_a_huge_file_is_refused_unread(tmp_path):
    file = tmp_path / "sparse.jpg"
    with file.open("wb") as opened:
        opened.truncate(2**33)
    start = time.process_time()
    assert code(file) == "image.too_large_bytes"
    assert time.process_time() - start < 0.05


def test_metadata_are_never_inflated():
    """I17, I22: megabytes of text and profile from a few bytes."""
    bomb = zlib.compress(bytes(20_000_000), 9)
    rows = b"".join(b"\0" + row.tobytes() for row in picture())
    extra = [chunk(b"iCCP", b"x\0\0" + bomb), chunk(b"zTXt", b"k\0\0" + bomb)]
    tracemalloc.start()
    np.testing.assert_array_equal(pixels(png((37, 53), rows, *extra)), picture())
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_more_data_than_pixels_are_not_unpacked():
    rows = b"".join(b"\0" + row.tobytes() for row in picture())
    data = png((37, 53), rows + bytes(50_000_000))
    tracemalloc.start()
    np.testing.assert_array_equal(pixels(data), picture())
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    start = time.process_time()
    read(data)
    assert time.process_time() - start < 0.5


def test_too_many_scans(tmp_path):
    """I23: scans of a few bytes each that make a decoder pass over the image again and again."""
    data = encoded(picture(400, 600), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    scan = data[at:-2]
    bomb = data[:at] + scan * 5000 + b"\xff\xd9"
    start = time.process_time()
    assert code(bomb) == "image.timeout"
    assert time.process_time() - start < 0.5
    assert read(data, Limits(max_scans=20)).shape == (3, 400, 600)
    assert code(data, Limits(max_scans=2)) == "image.timeout"


def test_too_many_chunks():
    rows = b"".join(b"\0" + row.tobytes() for row in picture())
    many = png((37, 53), rows, *[chunk(b"tEXt", b"")] * 200_001)
    assert code(many) == "image.timeout"


def tiff(*fields: tuple[int, int, int, int], following: int = 0, tail: bytes = b"") -> bytes:
    """A little-endian TIFF of (tag, type, count, value), its pixels at the end."""
    table = b"".join(struct.pack("<HHII", *field) for field in fields)
    head = b"II*\0" + struct.pack("<IH", 8, len(fields))
    return head + table + struct.pack("<I", following) + tail


def simple(*extra: tuple[int, int, int, int], width=4, height=3, following=0) -> bytes:
    """A 4 × 3 grey TIFF of value 7 with further fields."""
    at = 10 + 12 * (7 + len(extra)) + 4
    fields = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1),
              (262, 3, 1, 1), (273, 4, 1, at), (279, 4, 1, 12), *extra]  # fmt: skip
    return tiff(*fields, following=following, tail=b"\x07" * 12)


def test_tiff_traps():
    """I24: loops, thousands of fields and pages, tiles and strips beyond all bounds."""
    assert set(read(simple()).unique().tolist()) == {7}
    assert set(read(simple(following=8)).unique().tolist()) == {7}  # its next page is itself
    many = [(60_000, 2, 2**31, 8)] * 65_000
    start = time.process_time()
    assert set(read(simple(*many)).unique().tolist()) == {7}
    assert time.process_time() - start < 2
    assert code(simple((322, 4, 1, 2**31), (323, 4, 1, 2**31))) == "image.too_many_pixels"
    assert code(tiff((256, 4, 1, 4), (257, 4, 1, 3), (273, 4, 2**30, 8))) == "image.truncated"
    strips = simple((278, 4, 1, 1)).replace(
        struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 4, 300_000)
    )
    assert code(strips + bytes(1_200_000)) == "image.timeout"
    assert code(simple(width=2**31, height=2**31)) == "image.too_many_pixels"
    assert code(b"II*\0\0\0\0\0") == "image.corrupt"
    assert code(simple()[:-1]) == "image.truncated"
    assert code(tiff((256, 4, 1, 0), (257, 4, 1, 3))) == "image.bad_dimensions"


@pytest.mark.parametrize("size", [(0, 0), (0, 9), (9, 0)])
def test_no_pixels(size):
    assert code(png(size, b"")) == "image.bad_dimensions"
    assert code(np.zeros((*size, 3), np.uint8)) == "image.bad_dimensions"


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 30_000), (30_000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "JPEG"])
def test_thin_and_tiny_images(size, kind):
    image = Image.new("L", size[::-1], 200)
    assert read(encoded(image, kind)).shape == (3, *size)
    assert read(encoded(image, kind)).float().mean() == 200


def test_nothing_global_is_touched_by_many_threads(monkeypatch):
    """Lenient or not, in eight threads at once."""
    before = {
        k: v for k, v in vars(Image).items() if k.isupper() and k not in ("ID", "OPEN", "EXTENSION")
    }
    files = {name: (data, pixels(data)) for name, data in SAMPLES.items()}
    failures: list[object] = []

    def work():
        for name, (data, wanted) in list(files.items()) * 4:
            if not (pixels(data) == wanted).all():
                failures.append(name)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {k: vars(Image)[k] for k in before} == before
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
