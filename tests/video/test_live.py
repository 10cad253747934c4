"""Cameras and streams: V14 and V15."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clips
import pytest
import torch

from sightline.errors import VideoError
from sightline.video import Limits, VideoFrame, frames, live
from sightline.video.live import _Newest
from sightline.video.reading import Report

pytest.importorskip("av")


class Server:
    """A camera that sends MPEG-TS by TCP: to each connection what the next of `scripts` says.

    A script is (bytes, what then): "close" hangs up, "freeze" says nothing more.
    """

    def __init__(self, scripts: list[tuple[bytes, str]]) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.name = f"tcp://127.0.0.1:{self.socket.getsockname()[1]}"
        self.ended = threading.Event()
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    def _serve(self, scripts: list[tuple[bytes, str]]) -> None:
        held = []
        for data, then in scripts:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.sendall(data)
            if then == "close":
                connection.close()
            else:
                held.append(connection)
        self.socket.close()
        self.ended.wait(20)

    def close(self) -> None:
        self.ended.set()
        self.socket.close()


@pytest.fixture
def stream(tmp_path: Path) -> bytes:
    return clips.write(tmp_path / "clip.ts", range(60)).read_bytes()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAUSES", (0.05,))


def test_a_stream_that_stops_and_comes_back(stream: bytes, quick: None) -> None:
    """V14: it hangs up, then falls silent, then is gone: gaps are told, no frame repeats."""
    server = Server([(stream, "close"), (stream, "freeze")])
    got: list[VideoFrame] = []
    with frames(server.name, limits=Limits(timeout=1.5, retries=2)) as camera:
        assert camera.live
        with pytest.raises(VideoError) as caught:
            for frame in camera:
                got.append(frame)
    server.close()
    assert caught.value.code == "video.stream_lost"
    assert server.connections == 2
    assert len(got) > 60
    assert [f.index for f in got] == list(range(len(got)))
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(got))
    (gap,) = camera.report.gaps
    assert 0 <= gap.after < len(got) - 1
    late = got[gap.after + 1].seconds - got[gap.after].seconds
    assert late == pytest.approx(gap.seconds, abs=0.01)
    assert gap.seconds > 0.05


def test_nobody_is_there(quick: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    for name in (f"tcp://127.0.0.1:{port}", f"rtsp://127.0.0.1:{port}/a", "/dev/video97"):
        with pytest.raises(VideoError) as caught:
            frames(name, limits=Limits(timeout=2))
        assert caught.value.code == "video.unopenable"


def test_an_rtsp_server_that_says_nothing(quick: None) -> None:
    """V14: it takes the connection and is silent."""
    server = Server([(b"", "freeze")])
    begin = time.monotonic()
    with pytest.raises(VideoError) as caught:
        frames(server.name.replace("tcp:", "rtsp:") + "/a", limits=Limits(timeout=0.5))
    server.close()
    assert caught.value.code in ("video.unopenable", "video.timeout")
    assert time.monotonic() - begin < 25


def slowly(count: int, pause: float) -> Iterator[VideoFrame]:
    for index in range(count):
        time.sleep(pause)
        yield VideoFrame(index, index * pause, torch.zeros(3, 2, 2, dtype=torch.uint8))


def test_the_newest_frame_and_how_many_were_dropped() -> None:
    """V15: who is slow gets the newest, once."""
    report = Report()
    got = []
    for frame in _Newest(slowly(60, 0.005), report):
        got.append(frame.index)
        time.sleep(0.05)
    assert got[-1] == 59
    assert got == sorted(set(got))
    assert len(got) < 30
    assert report.dropped == 60 - len(got)


def test_an_error_of_the_source_reaches_who_takes_the_newest() -> None:
    def broken() -> Iterator[VideoFrame]:
        yield from slowly(1, 0)
        raise VideoError("gone", code="video.stream_lost")

    newest = _Newest(broken(), Report())
    with pytest.raises(VideoError, match="gone"):
        list(newest)


def test_latest_of_a_stream(stream: bytes, quick: None) -> None:
    server = Server([(stream, "freeze")])
    with frames(
        server.name, live="latest", every=2, limits=Limits(timeout=1.0, retries=0)
    ) as camera:
        first: Any = next(camera)
        assert first.index % 2 == 0
        with pytest.raises(VideoError):
            list(camera)
    server.close()
