"""The cache of published weights, against a server of this machine that breaks as real ones do.

The real loading code runs; only the opener turns the https address into the test server's.
"""

import contextlib
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from sightline.errors import ResourceError, WeightsError
from sightline.nets import download
from sightline.nets.download import HttpsOnly, fetch

DATA = bytes(range(256)) * 12_289  # 3 MB, so that it comes in several pieces
FILE = f"net-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.data` with ranges; `server.cuts` are bytes after which it hangs up."""

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.log.append(asked)  # type: ignore[attr-defined]
        data: bytes = server.data  # type: ignore[attr-defined]
        mode: str = server.mode  # type: ignore[attr-defined]
        if mode == "gone":
            self.send_error(404)
            return
        if mode == "redirect":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/other")
            self.end_headers()
            return
        match = re.match(r"bytes=(\d+)-", asked or "")
        start = int(match[1]) if match and mode != "no ranges" else 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            told = start + 1 if mode == "wrong range" else start
            self.send_header("Content-Range", f"bytes {told}-{len(data) - 1}/{len(data)}")
        if mode != "no length":
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cuts: list[int] = server.cuts  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data[start : start + cuts.pop(0)] if cuts else data[start:])

    def log_message(self, *args: object) -> None:
        """Silence."""


class Server(http.server.ThreadingHTTPServer):
    """What it does, and what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.mode = DATA, ""
        self.cuts: list[int] = []
        self.log: list[str | None] = []

    def opener(
        self, url: str, headers: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[download.Response]:
        """The https address, asked of this server."""
        assert url.startswith("https://")
        address = f"http://127.0.0.1:{self.server_port}/{url.rpartition('/')[2]}"
        request = urllib.request.Request(address, headers=dict(headers))
        answer: contextlib.AbstractContextManager[download.Response] = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), HttpsOnly
        ).open(request, timeout=10)
        return answer


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_a_file_is_fetched_once_and_checked_each_time(tmp_path: Path, server: Server) -> None:
    cache = tmp_path / "deep" / "cache"
    path = fetch(FILE, cache=cache, opener=server.opener)
    assert path.read_bytes() == DATA
    assert names(cache) == [FILE]
    assert fetch(FILE, cache=cache, opener=server.opener) == path
    assert server.log == [None]
    damaged = bytearray(DATA)
    damaged[1000] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(WeightsError, match="delete the file") as caught:
        fetch(FILE, cache=cache, opener=server.opener)
    assert caught.value.code == "weights.checksum"
    assert path.exists()  # it may be the user's own


def test_a_broken_connection_is_resumed_where_it_broke(tmp_path: Path, server: Server) -> None:
    server.cuts = [1_000_000, 700_000]
    assert fetch(FILE, cache=tmp_path, opener=server.opener).read_bytes() == DATA
    assert server.log == [None, "bytes=1000000-", "bytes=1700000-"]


def test_a_part_of_an_earlier_run_is_resumed(tmp_path: Path, server: Server) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(DATA[:12_345])
    assert fetch(FILE, cache=tmp_path, opener=server.opener).read_bytes() == DATA
    assert server.log == ["bytes=12345-"]
    assert names(tmp_path) == [FILE]


@pytest.mark.parametrize("mode", ["no ranges", "wrong range", "no length"])
def test_servers_that_cannot_resume_start_again(tmp_path: Path, server: Server, mode: str) -> None:
    server.mode = mode
    (tmp_path / f"{FILE}.part").write_bytes(DATA[:12_345])
    assert fetch(FILE, cache=tmp_path, opener=server.opener).read_bytes() == DATA


@pytest.mark.parametrize(("extra", "requests"), [(b"", 1), (b"more", 2)])
def test_a_part_with_nothing_left_to_send(
    tmp_path: Path, server: Server, extra: bytes, requests: int
) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(DATA + extra)
    assert fetch(FILE, cache=tmp_path, opener=server.opener).read_bytes() == DATA
    assert len(server.log) == requests


def test_a_wrong_file_is_refused_and_not_kept(tmp_path: Path, server: Server) -> None:
    server.data = b"<html>not today</html>"
    with pytest.raises(WeightsError) as caught:
        fetch(FILE, cache=tmp_path, opener=server.opener)
    assert caught.value.code == "weights.checksum"
    assert names(tmp_path) == []


def test_a_connection_that_breaks_forever_keeps_what_came(tmp_path: Path, server: Server) -> None:
    server.cuts = [1000] * 99
    with pytest.raises(WeightsError, match="goes on from there") as caught:
        fetch(FILE, cache=tmp_path, opener=server.opener)
    assert caught.value.code == "weights.truncated"
    assert 0 < (tmp_path / f"{FILE}.part").stat().st_size < len(DATA)
    server.cuts = []
    assert fetch(FILE, cache=tmp_path, opener=server.opener).read_bytes() == DATA


def test_without_network_it_says_what_to_do(tmp_path: Path) -> None:
    def unreachable(url: str, headers: Mapping[str, str]) -> NoReturn:
        raise urllib.error.URLError("[Errno -3] Temporary failure in name resolution")

    with pytest.raises(WeightsError) as caught:
        fetch(FILE, cache=tmp_path, opener=unreachable)
    assert caught.value.code == "weights.offline"
    assert caught.value.hint is not None
    assert "come with the package" in caught.value.hint
    assert str(tmp_path / FILE) in caught.value.hint
    assert download.BASE + FILE in caught.value.hint
    assert names(tmp_path) == []


def test_a_file_put_there_by_hand_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(DATA)

    def never(url: str, headers: Mapping[str, str]) -> NoReturn:
        raise AssertionError("asked the network")

    assert fetch(FILE, cache=tmp_path, opener=never) == tmp_path / FILE


def test_what_the_server_has_not_is_not_found(tmp_path: Path, server: Server) -> None:
    server.mode = "gone"
    with pytest.raises(WeightsError, match="404") as caught:
        fetch(FILE, cache=tmp_path, opener=server.opener)
    assert caught.value.code == "weights.not_found"


def test_redirects_that_leave_https_are_refused(tmp_path: Path, server: Server) -> None:
    server.mode = "redirect"
    with pytest.raises(WeightsError, match="https only") as caught:
        fetch(FILE, cache=tmp_path, opener=server.opener)
    assert caught.value.code == "weights.offline"
    assert len(server.log) == 1


@pytest.mark.parametrize("base", ["http://example.org/", "file:///etc/", "ftp://example.org/"])
def test_other_schemes_are_refused_before_anything_is_asked(tmp_path: Path, base: str) -> None:
    with pytest.raises(WeightsError, match="https only"):
        fetch(FILE, base=base, cache=tmp_path)


def test_a_disk_too_small_is_told_before_the_download(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(DATA) - 1))
    with pytest.raises(ResourceError) as caught:
        fetch(FILE, cache=tmp_path, opener=server.opener)
    assert caught.value.code == "resource.disk_full"


def test_a_cache_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError):
        fetch(FILE, cache=tmp_path / "file" / "cache")


def test_two_processes_fetch_it_once(tmp_path: Path, server: Server) -> None:
    """Both start together; the one that waits finds the file and asks nothing."""
    script = (
        "import sys, urllib.request\n"
        "from pathlib import Path\n"
        "from sightline.nets.download import fetch\n"
        "def opener(url, headers):\n"
        "    print('asked', flush=True)\n"
        f"    address = 'http://127.0.0.1:{server.server_port}/x'\n"
        "    plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n"
        "    return plain.open(urllib.request.Request(address, headers=dict(headers)))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        f"fetch({FILE!r}, cache=Path(sys.argv[1]), opener=opener)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    paths = os.pathsep.join(p for p in sys.path if p)
    pair = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        for _ in range(2)
    ]
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sorted(said) == ["", "asked\n"]
    assert (tmp_path / FILE).read_bytes() == DATA


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "here"))
    assert download.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("SIGHTLINE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / ".cache" / "sightline"


def test_the_bar_is_silent_away_from_a_terminal(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(FILE, cache=tmp_path, opener=server.opener)
    assert capsys.readouterr() == ("", "")
