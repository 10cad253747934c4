"""Damaged and odd files: V1 to V17, each ends as it should."""

import itertools
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import clips
import numpy as np
import pytest

from sightline.errors import UsageError, VideoError
from sightline.video import Limits, channel, frames

av = pytest.importorskip("av")


def code_of(path: Path, **wishes: Any) -> str:
    with pytest.raises(VideoError) as caught:
        list(frames(path, **wishes))
    assert caught.value.path == str(path)
    return caught.value.code


def wipe(path: Path, *numbers: int) -> None:
    """Zeros in the place of some packets' bytes."""
    with av.open(str(path)) as file:
        packets = [bytes(p) for p in file.demux(video=0) if p.size]
    data = path.read_bytes()
    for number in numbers:
        assert data.count(packets[number]) == 1
        data = data.replace(packets[number], bytes(len(packets[number])))
    path.write_bytes(data)


def test_a_corrupt_packet_is_skipped_and_the_others_keep_their_places(
    tmp_path: Path, here: None
) -> None:
    """V1: motion JPEG has key frames alone, so that damage stays where it is."""
    path = clips.write(tmp_path / "whole.avi", range(12), codec="mjpeg", pixels="yuvj420p")
    wipe(path, 3, 4, 8)
    clip = frames(path)
    got = list(clip)
    assert clip.report.corrupt_frames == 3
    assert [f.index for f in got] == [0, 1, 2, 5, 6, 7, 9, 10, 11]
    assert [clips.number_of(f.image) for f in got] == [f.index for f in got]
    assert [f.seconds for f in got] == pytest.approx([f.index / 25 for f in got])


def test_time_begins_with_a_first_frame_that_is_lost(tmp_path: Path, here: None) -> None:
    """V1."""
    path = clips.write(tmp_path / "whole.avi", range(5), codec="mjpeg", pixels="yuvj420p")
    wipe(path, 0)
    got = list(frames(path))
    assert [f.index for f in got] == [1, 2, 3, 4]
    assert got[0].seconds == pytest.approx(1 / 25)


def test_nothing_but_corrupt_packets(tmp_path: Path, here: None) -> None:
    """V1."""
    path = clips.write(tmp_path / "whole.avi", range(5), codec="mjpeg", pixels="yuvj420p")
    wipe(path, *range(5))
    assert code_of(path) in ("video.corrupt_frames", "video.unopenable")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264")]
)
def test_random_damage_ends_in_frames_or_in_a_typed_error(
    name: str, codec: str, tmp_path: Path, here: None
) -> None:
    """V1."""
    whole = clips.write(tmp_path / name, range(12), codec=codec).read_bytes()
    for seed in range(25):
        rng, data = random.Random(seed), bytearray(whole)
        for _ in range(1 + seed % 5):
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        (tmp_path / name).write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            clip = frames(tmp_path / name)
            got = list(clip)
        except VideoError as error:
            assert error.code.startswith("video.")
            continue
        assert got
        assert all(f.image.shape[0] == 3 for f in got)
        assert all(a.index < b.index for a, b in itertools.pairwise(got))
        assert all(a.seconds < b.seconds for a, b in itertools.pairwise(got))


def test_an_index_that_is_cut_off(tmp_path: Path, here: None) -> None:
    """V2: an MP4's index stands at its end."""
    path = clips.write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    assert code_of(path) == "video.unopenable"


def test_a_tail_that_is_cut_off(tmp_path: Path, here: None) -> None:
    """V3: with the index in front there are frames, and it is told how many are missing."""
    path = clips.write(tmp_path / "clip.mp4", range(40), container={"movflags": "faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 7 // 10])
    clip = frames(path)
    got = list(clip)
    assert 10 < len(got) < 40
    assert [clips.number_of(f.image) for f in got] == list(range(len(got)))
    assert clip.report.truncated == f"decoded {len(got)} of 40"
    path.write_bytes(whole)
    clip = frames(path, end=0.5)
    list(clip)
    assert clip.report.truncated is None


def test_one_frame_and_none(tmp_path: Path, here: None) -> None:
    """V4."""
    (one,) = frames(clips.write(tmp_path / "one.mp4", [0]))
    assert one.seconds == 0
    empty = tmp_path / "empty.mkv"
    with av.open(str(empty), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "bgr0"
        file.start_encoding()
    assert code_of(empty) in ("video.zero_frames", "video.unopenable")


def test_time_stamps_that_cannot_be(tmp_path: Path, here: None) -> None:
    """V6: none at all, and some that go back or leap."""
    whole = clips.write(tmp_path / "clip.mp4", range(12))
    raw = clips.remux(whole, tmp_path / "clip.h264", lambda n, p: True, format="h264")
    clip = frames(raw)
    got = list(clip)
    assert [clips.number_of(f.image) for f in got] == list(range(12))
    steps = np.diff([f.seconds for f in got])
    assert (steps > 0).all()

    def change(number: int, packet: Any) -> bool:
        packet.time_base = whole_base
        if number == 5:
            packet.pts += int(3600 / float(whole_base))
        if number >= 9:  # the clock is set back by half of what passed
            packet.pts -= int(0.2 / float(whole_base))
        packet.dts = number  # muxers want these to rise
        return True

    with av.open(str(whole)) as file:
        whole_base = file.streams.video[0].time_base
    odd = clips.remux(whole, tmp_path / "odd.mkv", change)
    clip = frames(odd)
    got = list(clip)
    assert [clips.number_of(f.image) for f in got] == list(range(12))
    assert [f.seconds for f in got] == pytest.approx([i / 25 for i in range(12)], abs=0.002)
    assert clip.report.repaired_times == 2


def rewritten(path: Path, box: bytes, at: int, value: bytes) -> None:
    """Put `value` `at` bytes after the name of the last box of that name."""
    data = bytearray(path.read_bytes())
    place = data.rindex(box) + at
    data[place : place + len(value)] = value
    path.write_bytes(data)


@pytest.mark.parametrize("claimed", [1, 1_000_000_000])
def test_a_frame_rate_is_not_believed(claimed: int, tmp_path: Path, here: None) -> None:
    """V7: Matroska's default duration, in nanoseconds, says 10^9 or one frame a second."""
    path = clips.write(tmp_path / "clip.mkv")
    data = path.read_bytes()
    name = b"\x23\xe3\x83\x84"  # DefaultDuration, four bytes long
    assert data.count(name) == 1
    place = data.index(name) + 4
    path.write_bytes(data[:place] + struct.pack(">I", claimed) + data[place + 4 :])
    clip = frames(path)
    assert [f.seconds for f in clip] == pytest.approx([i / 25 for i in range(8)])
    assert clip.info["rate"] != pytest.approx(25)


def test_a_count_of_frames_is_not_believed(tmp_path: Path, here: None) -> None:
    """V8, V16: AVI's header claims two thousand million."""
    path = clips.write(tmp_path / "clip.avi", codec="mpeg4")
    rewritten(path, b"strh", 8 + 32, struct.pack("<I", 2**31 - 1))
    rewritten(path, b"avih", 8 + 12, struct.pack("<I", 2**31 - 1))
    clip = frames(path)
    assert len(list(clip)) == 8
    assert clip.info["frames"] == 2**31 - 1
    assert clip.report.truncated == f"decoded 8 of {2**31 - 1}"


def test_a_size_that_changes(tmp_path: Path, here: None) -> None:
    """V10: two streams of H.264, one after the other: each frame has its own size."""
    parts = []
    for name, size in (("a", (32, 48)), ("b", (64, 32))):
        whole = clips.write(tmp_path / f"{name}.mp4", range(4), size=size)
        clips.remux(whole, tmp_path / f"{name}.h264", lambda n, p: True, format="h264")
        parts.append((tmp_path / f"{name}.h264").read_bytes())
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(parts))
    clip = frames(path)
    assert [tuple(f.image.shape[1:]) for f in clip] == [(32, 48)] * 4 + [(64, 32)] * 4
    assert clip.report.sizes == [(32, 48), (64, 32)]


def add_sound(file: Any) -> Any:
    stream = file.add_stream("aac", rate=8000)
    stream.layout = "mono"
    return stream


def sound(file: Any, stream: Any) -> None:
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
    silence.sample_rate = 8000
    for number in range(4):
        silence.pts = 1024 * number
        file.mux(stream.encode(silence))
    file.mux(stream.encode())


def test_sound_alone(tmp_path: Path, here: None) -> None:
    """V11."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        sound(file, add_sound(file))
    assert code_of(path) == "video.no_video_stream"


def test_which_of_several_streams(tmp_path: Path, here: None) -> None:
    """V11: the default one, else the first; sound and cover pictures do not count."""
    path = tmp_path / "several.mkv"
    with av.open(str(path), "w") as file:
        voice = add_sound(file)
        streams = [file.add_stream("ffv1", rate=25) for _ in range(3)]
        for number, stream in enumerate(streams):
            stream.height, stream.width, stream.pix_fmt = 32, 48, "bgr0"
            stream.codec_context.thread_count = 1
            stream.disposition = (
                av.stream.Disposition.default if number == 2 else av.stream.Disposition(0)
            )
        for number, stream in enumerate(streams):
            frame = av.VideoFrame.from_ndarray(clips.picture(10 * number), format="rgb24")
            frame.pts = 0
            file.mux(stream.encode(frame))
            file.mux(stream.encode())
        sound(file, voice)
    (frame,) = frames(path)
    assert clips.number_of(frame.image) == 20


def test_a_cover_picture_is_no_video(tmp_path: Path, here: None) -> None:
    """V11."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        cover = file.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 32, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        voice = add_sound(file)
        frame = av.VideoFrame.from_ndarray(clips.picture(3), format="rgb24")
        frame.pts = 0
        file.mux(cover.encode(frame))
        file.mux(cover.encode())
        sound(file, voice)
    assert code_of(path) == "video.no_video_stream"


def test_caps_before_decoding(tmp_path: Path, here: None) -> None:
    """V16: 16,000 pixels squared are claimed, and nothing is decoded."""
    path = clips.write(tmp_path / "clip.mkv", [0], codec="ffv1", pixels="bgr0")
    assert code_of(path, limits=Limits(max_pixels=32 * 48 - 1)) == "video.too_many_pixels"
    assert len(list(frames(path, limits=Limits(max_pixels=32 * 48)))) == 1
    wide = tmp_path / "wide.gif"
    wide.write_bytes(
        b"GIF89a" + struct.pack("<HHBBB", 16000, 16000, 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<HHHHB", 0, 0, 16000, 16000, 0) + b"\x02\x02L\x01\x00;"
    )  # fmt: skip
    began = time.process_time()
    assert code_of(wide) == "video.too_many_pixels"
    assert time.process_time() - began < 0.5


def test_a_thousand_frames_in_a_hundredth_of_a_second(tmp_path: Path, here: None) -> None:
    """V16: 100,000 frames a second."""
    from fractions import Fraction

    path = clips.write(tmp_path / "c.mp4", range(20), size=(16, 16), base=Fraction(1, 100_000))
    assert [f.seconds for f in frames(path)] == pytest.approx([i / 1e5 for i in range(20)])


STUB = {
    "hangs": "import time; time.sleep(60)",
    "hangs later": (
        "import os, json, struct, time\n"
        "def say(head, data=b''):\n"
        "    text = json.dumps({**head, 'bytes': len(data)}).encode()\n"
        "    os.write(1, struct.pack('<I', len(text)) + text + data)\n"
        "say({'kind': 'info', 'frames': 9, 'rate': 25.0})\n"
        "say({'kind': 'frame', 'index': 0, 'seconds': 0.0, 'width': 2, 'height': 1, 'stride': 6,"
        " 'rotation': 0, 'interlaced': False, 'hdr': False}, bytes(6))\n"
        "time.sleep(60)"
    ),
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "babbles": "print('x' * 100)",
}


@pytest.mark.parametrize("what", STUB)
def test_a_decoder_that_hangs_or_crashes(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V17: it is ended, and told."""
    path = clips.write(tmp_path / "clip.mp4", [0])
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*given: Any, **more: Any) -> Any:
        started.append(popen(*given, **more))
        return started[-1]

    monkeypatch.setattr(channel, "COMMAND", (sys.executable, "-S", "-c", STUB[what]))
    monkeypatch.setattr(channel, "START", 0.2 if what == "hangs" else 20.0)
    monkeypatch.setattr(channel.subprocess, "Popen", start)
    begin = time.monotonic()
    with pytest.raises(VideoError) as caught:
        list(frames(path, limits=Limits(timeout=0.5)))
    assert caught.value.code == (
        "video.timeout" if what.startswith("hangs") else "video.unopenable"
    )
    assert time.monotonic() - begin < 30
    assert started[0].poll() is not None


def test_who_stops_early_leaves_no_process(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", range(200), size=(64, 96))
    with frames(path) as clip:
        next(clip)
        process = clip._source.gi_frame.f_locals["channel"]._process  # type: ignore[attr-defined]
        assert process.poll() is None
    assert process.poll() is not None


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.write(tmp_path / "clip.mp4", [0])
    find = channel.importlib.util.find_spec
    monkeypatch.setattr(
        channel.importlib.util, "find_spec", lambda name: None if name == "av" else find(name)
    )
    with pytest.raises(UsageError) as caught:
        frames(path)
    assert caught.value.code == "usage.extra_missing"
    assert "sightline[video]" in str(caught.value.hint)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    assert code_of(path) == "video.unopenable"


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """V15: 130 MB of pixels go through a process that grows by less than a fifth of that."""
    path = clips.write(tmp_path / "long.avi", range(1500), size=(120, 240), codec="mpeg4")
    with frames(path) as clip:
        marks = []
        for count, _ in enumerate(clip, start=1):
            if count in (200, 800, 1500):
                marks.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert count == 1500
    assert max(marks) - marks[0] < 25e6
