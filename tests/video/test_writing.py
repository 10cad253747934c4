"""Videos that are written: whole, at their times, or not at all."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import clips
import pytest
from PIL import Image

from sightline.errors import ResourceError, VideoError
from sightline.video import frames, writing
from sightline.video.writing import VideoWriter

av = pytest.importorskip("av")


def picture(number: int, size: tuple[int, int] = clips.SIZE) -> Image.Image:
    return Image.fromarray(clips.picture(number, size))


@pytest.mark.parametrize("ladder", [writing.LADDER, writing.LADDER[2:]])
def test_pictures_at_their_times(
    ladder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: None
) -> None:
    """Variable rate, and the fall-back without H.264."""
    monkeypatch.setattr(writing, "LADDER", ladder)
    path, times = tmp_path / "out.mp4", [2.0, 2.01, 2.3, 2.34, 5.0]
    with VideoWriter(path) as writer:
        for number, seconds in enumerate(times):
            writer.add(picture(5 * number), seconds)
        assert not path.exists()
    clip = frames(path)
    got = list(clip)
    assert clip.info["codec"] == ("h264" if len(ladder) == 3 else "mpeg4")
    assert [f.seconds for f in got] == pytest.approx([t - 2 for t in times], abs=1e-4)
    assert [clips.number_of(f.image) for f in got] == [0, 5, 10, 15, 20]
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_odd_sizes_other_sizes_and_wide_pixels(tmp_path: Path, here: None) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, aspect=Fraction(4, 3)) as writer:
        writer.add(picture(3, (31, 47)), 0)
        writer.add(picture(9, (64, 200)), 0.1)
    clip = frames(path)
    first, second = clip
    assert first.image.shape == second.image.shape == (3, 32, 48)
    assert clip.info["aspect"] == [4, 3]
    assert clips.number_of(first.image) == 3
    assert int(second.image[:, 2, 24].max()) < 20  # a bar of black
    assert clips.number_of(second.image[:, 8:22]) == 9


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("older")
    with pytest.raises(KeyError), VideoWriter(path) as writer:
        writer.add(picture(0), 0)
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_text() == "older"
    with VideoWriter(tmp_path / "none.mp4"):
        pass
    assert not (tmp_path / "none.mp4").exists()


def test_a_full_disk(tmp_path: Path) -> None:
    """V18."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    writer = VideoWriter(tmp_path / "out.mp4")
    writer._temporary = full
    with pytest.raises(ResourceError) as caught:
        for number in range(3):
            writer.add(picture(number), number / 25)
        writer.close()
    writer.discard()
    assert caught.value.code == "resource.disk_full"
    assert list(tmp_path.iterdir()) == []


def test_no_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LADDER", ())
    with pytest.raises(VideoError) as caught:
        VideoWriter(tmp_path / "out.mp4")
    assert caught.value.code == "video.no_encoder"
    assert list(tmp_path.iterdir()) == []
