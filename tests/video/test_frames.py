"""Frames of files: all of them, upright, at their times, in the colours that the rules say."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import sightline
from sightline import images
from sightline.errors import UsageError, VideoError
from sightline.video import Limits, VideoFrame, frames

av = pytest.importorskip("av")


def pixel(frame: VideoFrame, x: int, y: int) -> list[int]:
    return frame.image[:, y, x].tolist()


def test_from_another_process(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", range(10))
    with sightline.video.frames(path) as clip:
        assert clip.info["frames"] == 10
        assert not clip.live
        got = list(clip)
    assert [frame.index for frame in got] == list(range(10))
    assert [frame.seconds for frame in got] == pytest.approx([i / 25 for i in range(10)])
    assert [clips.number_of(frame.image) for frame in got] == list(range(10))
    assert got[0].image.shape == (3, *clips.SIZE)
    assert got[0].image.dtype == torch.uint8
    assert clip.report.frames == 10
    assert clip.report.sizes == [clips.SIZE]


def test_which_frames(tmp_path: Path, here: None) -> None:
    path = clips.write(tmp_path / "clip.mp4", range(20))
    assert [f.index for f in frames(path, every=3)] == [0, 3, 6, 9, 12, 15, 18]
    some = list(frames(path, start=0.2, end=0.4, every=2))
    assert [f.index for f in some] == [6, 8, 10]
    assert [clips.number_of(f.image) for f in some] == [6, 8, 10]
    assert some[0].seconds == pytest.approx(0.24)
    with pytest.raises(VideoError) as caught:
        list(frames(path, start=9))
    assert caught.value.code == "video.zero_frames"


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": 0},
        {"start": -1.0},
        {"start": 2.0, "end": 1.0},
        {"end": float("nan")},
        {"start": float("nan")},
    ],
)
def test_wishes_that_make_no_sense(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        frames(tmp_path / "clip.mp4", **wrong)
    with pytest.raises(UsageError):
        Limits(max_pixels=0)


def test_variable_rate_by_time_stamps(tmp_path: Path, here: None) -> None:
    """V5: frames shown for 10, 70, 10, 400, 20 ms."""
    stamps = [0, 10, 80, 90, 490, 510]
    path = clips.write(tmp_path / "clip.mkv", stamps, base=Fraction(1, 1000))
    clip = frames(path)
    assert [round(1000 * f.seconds) for f in clip] == stamps
    assert clip.report.repaired_times == 0


@pytest.mark.parametrize("turn", [0, 90, 180, 270, -90])
def test_rotation_is_undone(turn: int, tmp_path: Path, here: None) -> None:
    """V9: a display matrix turns the frame counter-clockwise by `turn` degrees."""
    path = clips.write(
        tmp_path / "clip.mp4", range(3), prepare=lambda _, stream: stream.set_display_rotation(turn)
    )
    (first, *_) = frames(path)
    expected = np.rot90(clips.picture(0), turn // 90).transpose(2, 0, 1)
    assert first.image.shape == expected.shape
    assert abs(first.image.numpy().astype(int) - expected).mean() < 4


def test_pixels_that_are_not_square_stay_as_they_are_stored(tmp_path: Path, here: None) -> None:
    """V9."""

    def prepare(file: Any, stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    clip = frames(clips.write(tmp_path / "clip.mp4", range(2), prepare=prepare))
    assert clip.info["aspect"] == [4, 3]
    assert next(clip).image.shape == (3, *clips.SIZE)


@pytest.mark.parametrize(
    ("codec", "pixels", "near"),
    [
        ("ffv1", "yuv420p10le", 4),
        ("ffv1", "yuv444p", 3),
        ("ffv1", "yuv444p16le", 3),
        ("ffv1", "bgra", 0),
        ("ffv1", "gbrp10le", 2),
        ("ffv1", "yuva420p", 4),
        ("mjpeg", "yuvj420p", 8),  # of full range
    ],
)
def test_pixel_formats(codec: str, pixels: str, near: int, tmp_path: Path, here: None) -> None:
    """V12: 10 and 16 bits, 4:4:4, alpha, full range come out as what was put in."""
    path = clips.write(tmp_path / "clip.mkv", range(3), codec=codec, pixels=pixels)
    for number, frame in enumerate(frames(path)):
        wanted = clips.picture(number)
        for x, y in ((4, 3), (4, 25), (40, 3), (40, 25)):
            assert np.abs(np.array(pixel(frame, x, y)) - wanted[y, x]).max() <= near


@pytest.mark.parametrize("pixels", ["gray", "gray16le"])
def test_grey(pixels: str, tmp_path: Path, here: None) -> None:
    """V12: grey is repeated in the three channels, its values kept."""
    ramp = np.tile(np.arange(0, 240, 5, dtype=np.uint8)[None, :, None], (32, 1, 3))
    path = clips.write(tmp_path / "g.mkv", [0], codec="ffv1", pixels=pixels, images=[ramp])
    (frame,) = frames(path)
    assert np.abs(frame.image.permute(1, 2, 0).numpy().astype(int) - ramp).max() <= 1


@pytest.mark.parametrize(
    ("declared", "size", "matrix"),
    [(None, (32, 48), 601), (None, (720, 32), 709), (1, (32, 48), 709), (5, (720, 32), 601)],
)
def test_the_matrix_is_the_declared_one_or_goes_by_the_size(
    declared: int | None, size: tuple[int, int], matrix: int, tmp_path: Path, here: None
) -> None:
    """V12: Y, Cb, Cr = 128, 64, 192 by BT.601 and by BT.709, limited range."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv444p"
        if declared is not None:
            stream.codec_context.colorspace = declared
        frame = av.VideoFrame(size[1], size[0], "yuv444p")
        if declared is not None:
            frame.colorspace = declared
        for plane, value in zip(frame.planes, (128, 64, 192), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    (got,) = frames(path)
    kr, kb = (0.299, 0.114) if matrix == 601 else (0.2126, 0.0722)
    y, cb, cr = (128 - 16) / 219, (64 - 128) / 224, (192 - 128) / 224
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    expected = [min(255, max(0, round(255 * v))) for v in (red, green, blue)]
    assert np.abs(np.array(pixel(got, 16, 16)) - expected).max() <= 2


def test_hdr_is_told_and_not_toned(tmp_path: Path, here: None) -> None:
    """V12."""

    def prepare(_: Any, stream: Any) -> None:
        stream.codec_context.color_trc = 16  # PQ

    clip = frames(
        clips.write(
            tmp_path / "a.mkv", range(2), codec="ffv1", pixels="yuv420p10le", prepare=prepare
        )
    )
    assert clips.number_of(next(clip).image) == 0
    list(clip)
    assert clip.report.hdr


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_animated_images(ending: str, tmp_path: Path, here: None) -> None:
    path = tmp_path / f"moving.{ending}"
    shots = [Pillow.fromarray(clips.picture(i)) for i in range(5)]
    lossless = {"lossless": True} if ending == "webp" else {}
    times = [100, 200, 50, 300, 100]
    shots[0].save(path, save_all=True, append_images=shots[1:], duration=times, **lossless)
    got = list(frames(path))
    assert [round(f.seconds, 3) for f in got] == [0, 0.1, 0.3, 0.35, 0.65]
    assert [clips.number_of(f.image) for f in got] == list(range(5))
    first = images.read(path)
    assert int((got[0].image.int() - first.int()).abs().max()) == 0


@pytest.mark.parametrize("pattern", ["", "shot*.png", "shot%d.png"])
def test_a_series_of_images_in_natural_order(pattern: str, tmp_path: Path) -> None:
    for number in (10, 9, 1):
        Pillow.fromarray(clips.picture(number)).save(tmp_path / f"shot{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "shot11.png").write_bytes(b"broken")
    clip = frames(tmp_path / pattern, rate=10)
    got = list(clip)
    assert [clips.number_of(f.image) for f in got] == [1, 9, 10]
    assert [f.seconds for f in got] == [0, 0.1, 0.2]
    assert clip.info["frames"] == 4
    assert clip.report.corrupt_frames == 1
    assert [f.index for f in frames(tmp_path, every=2)] == [0, 2]


def test_a_series_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as caught:
        frames(tmp_path)
    assert caught.value.code == "video.not_found"
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(VideoError) as caught:
        list(frames(tmp_path))
    assert caught.value.code == "video.corrupt_frames"
    with pytest.raises(UsageError):
        frames(tmp_path, rate=0)
