"""Which images are meant by what a user types."""

import io
import os
import sys
from pathlib import Path

import pytest

from sightline.batch.sources import expand, natural, printable
from sightline.errors import ResourceError


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def keys(*given: str | Path) -> list[str]:
    return [source.key for source in expand(given)]


def test_a_folder_in_natural_order_by_relative_path(tmp_path: Path) -> None:
    make(tmp_path, "img10.jpg", "img2.JPG", "b/img1.png", "a/img1.png", "notes.txt", ".hidden.jpg")
    make(tmp_path, ".cache/x.jpg", "a/deep/er/z.webp")
    assert keys(tmp_path) == [
        "img2.JPG",
        "img10.jpg",
        "a/img1.png",
        "a/deep/er/z.webp",
        "b/img1.png",
    ]


def test_several_folders_keep_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert keys("a", "b") == ["a/1.jpg", "b/1.jpg"]


def test_one_file_twice_has_two_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x.jpg", "X.jpg", "n")
    monkeypatch.chdir(tmp_path)
    assert keys("x.jpg", "x.jpg", "X.jpg", "n", "n") == [
        "x.jpg",
        "x (2).jpg",
        "X (3).jpg",
        "n",
        "n (2)",
    ]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a1.jpg", "a10.jpg", "a2.jpg", "sub/b.jpg", "odd[1].jpg")
    monkeypatch.chdir(tmp_path)
    assert keys("a*.jpg") == ["a1.jpg", "a2.jpg", "a10.jpg"]
    assert keys("**/*.jpg") == ["a1.jpg", "a2.jpg", "a10.jpg", "odd[1].jpg", "sub/b.jpg"]
    assert keys("s*") == ["sub/b.jpg"]
    assert keys("odd[1].jpg") == ["odd[1].jpg"]
    assert expand(["*.nothing"])[0].error is not None


@pytest.mark.parametrize("name", ["gone.jpg", "https://example.org/a.jpg", "folder"])
def test_what_cannot_be_found_is_an_entry_of_its_own(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "ok.jpg", "folder/readme.txt")
    monkeypatch.chdir(tmp_path)
    first, second = expand([name, "ok.jpg"])
    assert first.error is not None and first.error.code == "image.not_found" and first.error.hint
    assert second.error is None


def test_circular_links_end(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    assert keys(tmp_path) == ["self.jpg", "a/1.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_is_reported(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a").chmod(0)
    sources = expand([tmp_path])
    (tmp_path / "a").chmod(0o700)
    assert [source.error is None for source in sources] == [False, True]


def test_too_many(tmp_path: Path) -> None:
    make(tmp_path, *(f"{i}.jpg" for i in range(5)))
    assert len(expand([tmp_path], limit=5)) == 5
    with pytest.raises(ResourceError):
        expand([tmp_path], limit=4)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG\xff")))
    (source,) = expand(["-"])
    assert source.key == "stdin"
    assert source.data == b"\x89PNG\xff"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\n\x1b[31m.jpg"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    (source,) = expand([tmp_path])
    assert source.key == "\\udcff\\n\\x1b[31m.jpg"
    assert source.path is not None and source.path.is_file()


def test_natural_order_is_total() -> None:
    names = ["a", "a1", "a01", "a2", "a10", "b", "A1", "²", "10", "9"]
    assert len({repr(natural(name)) for name in names}) == len(names)
    assert sorted(names, key=natural)[0] == "9"
    assert sorted(["a10", "a9", "10", "9"], key=natural) == ["9", "10", "a9", "a10"]
    assert printable("é猫 x") == "é猫 x"


def test_videos_among_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "clip.mp4", "x.jpg", "shots/2.png", "shots/10.png", "shots/c.mkv")
    monkeypatch.chdir(tmp_path)
    given = ["clip.mp4", "x.jpg", "shots", "rtsp://cam/1", "/dev/video0", "*.mp4"]
    found = [(s.key, s.video, s.place) for s in expand(given)]
    assert found == [
        ("clip.mp4", True, "clip.mp4"),
        ("x.jpg", False, "x.jpg"),
        ("shots/2.png", False, ""),
        ("shots/10.png", False, ""),
        ("rtsp://cam/1", True, "rtsp://cam/1"),
        ("/dev/video0", True, "/dev/video0"),
        ("clip (2).mp4", True, "clip.mp4"),
    ]
    series = [(s.key, s.video) for s in expand(["shots/", "shots/*.png", "x.jpg"], series=True)]
    assert series == [("shots", True), ("shots/*.png", True), ("x.jpg", False)]
