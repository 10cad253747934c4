"""What is opened and what is not: by first bytes and by name, never by FFmpeg's guesses (V13)."""

from pathlib import Path
from typing import Any

import clips
import pytest

from sightline.errors import VideoError
from sightline.video import frames
from sightline.video.formats import Input, is_live, is_video, locate, sniff
from sightline.video.worker import opened


@pytest.mark.parametrize(
    ("name", "codec", "found"),
    [
        ("a.mp4", "libx264", "mov"),
        ("a.mov", "libx264", "mov"),
        ("a.mkv", "libx264", "matroska"),
        ("a.webm", "libvpx", "matroska"),
        ("a.avi", "mpeg4", "avi"),
        ("a.mpg", "mpeg2video", "mpeg"),
        ("a.ts", "libx264", "mpegts"),
        ("a.m2ts", "libx264", "mpegts"),
        ("a.flv", "libx264", "flv"),
        ("a.h264", "libx264", "h264"),
        ("a.ivf", "libvpx", "ivf"),
        ("a.asf", "mpeg4", "asf"),
        ("a.y4m", "wrapped_avframe", "yuv4mpegpipe"),
        ("a.mxf", "mpeg2video", "mxf"),
    ],
)
def test_every_kind_is_known_and_read(
    name: str, codec: str, found: str, tmp_path: Path, here: None
) -> None:
    av = pytest.importorskip("av")
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = clips.write(tmp_path / name, codec=codec)
    assert sniff(path.read_bytes()[:1024]) == found
    path = path.rename(tmp_path / "no_ending")
    got = list(frames(path))
    assert [frame.index for frame in got] == list(range(8))
    assert [clips.number_of(frame.image) for frame in got] == list(range(8))


def test_raw_h265_and_bluray_are_known() -> None:
    assert sniff(b"\0\0\0\1\x40\x01\x0c\x01") == "hevc"
    assert sniff((b"1234G" + bytes(187)) * 4) == "mpegts"
    assert sniff(b"\0\0\0\1\xff") is None


CANARY = "canary.mp4"

SCRIPTS = {
    "list.ffconcat": "ffconcat version 1.0\nfile '{canary}'\n",
    "list.txt": "file '{canary}'\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n",
    "hidden.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n",
    "manifest.mpd": '<?xml version="1.0"?><MPD><BaseURL>{canary}</BaseURL></MPD>',
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "list.pls": "[playlist]\nFile1={canary}\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_file_that_names_others_is_not_followed(name: str, tmp_path: Path) -> None:
    canary = clips.write(tmp_path / CANARY)
    path = tmp_path / name
    path.write_text(SCRIPTS[name].format(canary=canary))
    with pytest.raises(VideoError) as caught:
        frames(path)
    assert caught.value.code == "video.forbidden_format"
    assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "http://127.0.0.1:9/a.mp4", "https://example.org/a.mp4", "pipe:0", "concat:{canary}",
        "lavfi:testsrc", "file:{canary}", "crypto:{canary}", "subfile:,start,0,end,0:{canary}",
        "data:video/mp4;base64,AAAA", "udp://127.0.0.1:9", "rtp://127.0.0.1:9", "fd:0", "rtsp:x",
        "HTTP://127.0.0.1/a", "async:file:{canary}", "cache:{canary}", "ftp://127.0.0.1/a",
    ],
)  # fmt: skip
def test_addresses_are_not_opened(name: str, tmp_path: Path) -> None:
    canary = clips.write(tmp_path / CANARY)
    with pytest.raises(VideoError) as caught:
        frames(name.format(canary=canary))
    assert caught.value.code == "video.forbidden_format"


def test_ffmpeg_itself_is_held_to_the_format_and_to_no_protocol(tmp_path: Path) -> None:
    """Were a script taken for a container, FFmpeg would still follow nothing."""
    canary = clips.write(tmp_path / CANARY)
    path = tmp_path / "list.m3u8"
    path.write_text(SCRIPTS["list.m3u8"].format(canary=canary))
    limits: dict[str, Any] = {"max_pixels": 10**6, "timeout": 1.0}
    for kind in ("mov", "hls"):
        with pytest.raises(VideoError, match="cannot be opened"):
            opened(Input("file", str(path), kind), limits)


def test_rubbish_and_nothing(tmp_path: Path) -> None:
    for data in (b"", b"hello, this is no video", bytes(2000)):
        path = tmp_path / "clip.mp4"
        path.write_bytes(data)
        with pytest.raises(VideoError) as caught:
            frames(path)
        assert caught.value.code == "video.unopenable"
    with pytest.raises(VideoError) as caught:
        frames(tmp_path / "missing.mp4")
    assert caught.value.code == "video.not_found"


def test_what_is_live() -> None:
    assert locate(0) == Input("camera", "/dev/video0", "video4linux2")
    assert locate("/dev/video12").kind == "camera"
    assert locate("rtsp://camera.local/1").format == "rtsp"
    assert "file" not in locate("rtsp://camera.local/1").protocols
    assert locate("tcp://127.0.0.1:5000").protocols == "tcp"


def test_which_files_are_videos(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    still, moving = tmp_path / "still.gif", tmp_path / "moving.gif"
    shots = [Pillow.fromarray(clips.picture(i)) for i in (0, 9)]
    shots[0].save(still)
    shots[0].save(moving, save_all=True, append_images=shots[1:], duration=50)
    photo = tmp_path / "photo.png"
    shots[0].save(photo)
    named = clips.write(tmp_path / "clip.mp4")
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"rubbish")
    bare = tmp_path / "bare"
    bare.write_bytes(named.read_bytes())
    heic = tmp_path / "photo.heic"
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    for path in (moving, named, broken, bare):
        assert is_video(path), path
    for path in (still, photo, heic, tmp_path / "missing.gif"):
        assert not is_video(path), path
    half = tmp_path / "half.gif"
    half.write_bytes(moving.read_bytes()[:20])
    assert not is_video(half)  # said where it is read as an image


def test_names_of_what_is_live() -> None:
    assert is_live("rtsp://camera.local/1")
    assert is_live("/dev/video3")
    assert not is_live("http://camera.local/1")
    assert not is_live("photos/video3")
