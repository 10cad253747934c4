"""Where images come from: odd paths, open files, files that change meanwhile (I37–I39)."""

import io
import os
import socket
import sys
import time

import numpy as np
import pytest
from drawing import SAMPLES, encoded, picture
from PIL import Image

from sightline.errors import ImageError
from sightline.images import read, read_size


def code(source) -> str:
    with pytest.raises(ImageError) as caught:
        read(source)
    return caught.value.code


def pixels(source) -> np.ndarray:
    return read(source).permute(1, 2, 0).numpy()


def test_files_that_are_no_files(tmp_path):
    """I37: a typed error at once; nothing ever waits."""
    pipe, loop, gate = tmp_path / "pipe", tmp_path / "loop", tmp_path / "socket"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(gate))
    for path in (tmp_path, pipe, loop, gate, "/dev/zero"):
        for function in (read, read_size):
            start = time.monotonic()
            with pytest.raises(ImageError) as caught:
                function(path)
            assert caught.value.code == "image.not_a_file" and caught.value.path == str(path)
            assert time.monotonic() - start < 20
    server.close()
    for name in ("missing.jpg", "a\0b.jpg", "x" * 300, "missing/a.jpg", ""):
        assert code(name) == "image.not_found"
    with pytest.raises(ImageError, match="nothing is fetched"):
        read("https://example.org/cat.jpg")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read all")
def test_no_permission(tmp_path):
    file = tmp_path / "secret.png"
    file.write_bytes(SAMPLES["png"])
    file.chmod(0)
    assert code(file) == "image.permission"


def test_no_permission_is_its_own_code(monkeypatch):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert code("secret.png") == "image.permission"


NAMES = [
    "é.png",
    "e\u0301.png",
    "a\nb.png",
    "-x.png",
    "%00.png",
    " .png",
    "x" * 251 + ".png",
    b"\xff\xfe.png",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_odd_names(name, tmp_path):
    """I38, names that are no UTF-8 among them."""
    file = tmp_path / os.fsdecode(name)
    file.write_bytes(SAMPLES["png"])
    for source in (file, str(file)):
        np.testing.assert_array_equal(pixels(source), picture())
        assert read_size(source) == (37, 53)
    file.write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read(file)
    assert caught.value.path == str(file) and caught.value.to_dict()["code"] == "image.empty"


def test_a_file_that_grows_or_shrinks(tmp_path, monkeypatch):
    """I39: what was there when it was opened, or a typed error."""
    file = tmp_path / "growing.jpg"
    file.write_bytes(SAMPLES["jpeg"])
    real = os.read

    def shrinking(handle, count):
        os.truncate(file, 300)
        return real(handle, count)

    def growing(handle, count):
        with file.open("ab") as more:
            more.write(bytes(100))
        return real(handle, min(count, 500))

    monkeypatch.setattr(os, "read", growing)
    np.testing.assert_array_equal(pixels(file), pixels(SAMPLES["jpeg"]))
    monkeypatch.setattr(os, "read", shrinking)
    assert code(file) == "image.truncated"


class Dripping(io.BytesIO):
    """A file that gives few bytes at a time."""

    def read(self, size=-1, /):
        return super().read(min(size, 7))


def test_open_files():
    np.testing.assert_array_equal(pixels(Dripping(SAMPLES["png"])), picture())
    assert read_size(Dripping(SAMPLES["png"])) == (37, 53)
    closed = io.BytesIO(SAMPLES["png"])
    closed.close()
    assert code(closed) == "image.unreadable"
    assert code(io.StringIO("text")) == "image.unsupported"
    for source in (None, 3, [1, 2], object()):
        assert code(source) == "image.unsupported"


def test_the_size_of_a_long_header(tmp_path):
    """EXIF beyond the first 64 KB."""
    tag = Image.Exif()
    tag[274] = 6
    data = encoded(picture(), "JPEG", exif=tag, icc_profile=os.urandom(300_000))
    file = tmp_path / "long.jpg"
    file.write_bytes(data)
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    late = encoded(noise, "WEBP", exif=tag, lossless=True)
    assert late.rindex(b"EXIF") > 2**17
    for source in (file, data, io.BytesIO(data)):
        assert read_size(source) == (53, 37)
    assert read_size(late) == read_size(io.BytesIO(late)) == (200, 300) == read(late).shape[1:]
