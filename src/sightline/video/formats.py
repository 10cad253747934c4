"""What may be opened, and as what: decided here by the first bytes, never by FFmpeg's guesses.

FFmpeg reads some 350 formats; several of them (playlists, HLS, DASH, SDP, concat scripts, patterns
of image names, filter graphs) make it open other files and addresses, and a file says itself which
it is. So a file is opened only as one of the containers below, which hold their frames themselves,
FFmpeg gets the open file instead of a name, and no protocol is allowed to it. Live sources are
opened only when the user names them, each with the protocols that it needs.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sightline.errors import VideoError

MAGIC: tuple[tuple[int, bytes, str], ...] = (
    *((4, kind, "mov") for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (8, b"WEBP", "webp"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"\x89PNG\r\n\x1a\n", "apng"),
    (0, b"FLV\x01", "flv"),
    (0, b"OggS", "ogg"),
    (0, bytes.fromhex("3026b2758e66cf11"), "asf"),
    (0, b"DKIF", "ivf"),
    (0, b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x00\x00\x01\xb3", "mpegvideo"),
)
"""(where, what stands there, FFmpeg's demuxer)."""

ANIMATED = ("gif", "webp", "apng")
"""Images that may hold several frames."""

KINDS = (
    "mp4 m4v mov mkv webm avi mpg mpeg ts m2ts mts flv f4v ogv ogg wmv asf 3gp 3g2 ivf y4m mxf h264"
    " 264 hevc h265 265"
)
SUFFIXES = frozenset(f".{kind}" for kind in KINDS.split())
"""Endings of videos: what has one is read as a video, so that a broken one is told as such."""

SCRIPTS = (b"ffconcat", b"#EXTM3U", b"<?xml", b"<MPD", b"v=0", b"[playlist]", b"file '")
"""How files begin that make FFmpeg open others."""

PROTOCOLS = {
    "rtsp": ("rtsp", "rtsp,rtp,udp,tcp"),
    "rtsps": ("rtsp", "rtsp,rtp,udp,tcp,tls"),
    "tcp": ("mpegts", "tcp"),
}
"""Addresses that are opened when they are named: scheme → (demuxer, protocols allowed to it)."""

CAMERA = re.compile(r"/dev/video\d+")

HEAD = 1024


@dataclass(frozen=True)
class Input:
    """What is to be opened: a file, a camera or a stream, and as which format."""

    kind: Literal["file", "camera", "stream"]
    name: str
    format: str
    protocols: str = "none"

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, and has no end."""
        return self.kind != "file"


def sniff(head: bytes) -> str | None:
    """FFmpeg's demuxer for what begins with `head` (1 KiB), or None for what is not read."""
    for place, magic, name in MAGIC:
        if head[place : place + len(magic)] == magic:
            return name
    for first, length in ((0, 188), (4, 192)):  # MPEG-TS, and with BluRay's four bytes in front
        if len(head) > first + 2 * length and all(
            head[first + i * length] == 0x47 for i in range(3)
        ):
            return "mpegts"
    start = 4 if head[:4] == b"\0\0\0\1" else 3 if head[:3] == b"\0\0\1" else None
    if start is not None and len(head) > start:
        if head[start] in (0x06, 0x09, 0x07, 0x27, 0x47, 0x67):  # what H.264 begins with
            return "h264"
        if head[start] in (0x40, 0x42, 0x46, 0x4E):  # and H.265
            return "hevc"
    return None


def is_live(name: str) -> bool:
    """Whether this is the name of a camera or the address of a stream."""
    scheme = name.partition("://")[0].lower() if "://" in name else ""
    return scheme in PROTOCOLS or CAMERA.fullmatch(name) is not None


def is_video(path: Path) -> bool:
    """Whether a file is one, by its ending or its first bytes; images are where they move.

    False for what cannot be read: whoever reads it as an image says why.
    """
    if path.suffix.lower() in SUFFIXES:
        return path.is_file()
    try:
        found = sniff(peek(path))
    except (VideoError, OSError):
        return False
    if found in ANIMATED:
        return moves(path, found)
    return found is not None and (found != "mov" or _is_movie(path))


def _is_movie(path: Path) -> bool:
    """HEIC and AVIF images are built like MP4; their brand says that they are images."""
    return peek(path)[8:12] not in (b"heic", b"heix", b"mif1", b"avif", b"avis", b"msf1")


def moves(path: Path, kind: str) -> bool:
    """Whether an image of a kind of `ANIMATED` has more than one frame."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG" if kind == "apng" else kind.upper()]) as picture:
            return bool(getattr(picture, "is_animated", False))
    except Exception:  # it is damaged, which is said where it is read
        return False


def locate(source: str | os.PathLike[str] | int) -> Input:
    """What a path, a camera's number or device, or an address stands for.

    Raises VideoError: video.not_found, .forbidden_format, .unopenable, .permission.
    """
    name = f"/dev/video{source}" if isinstance(source, int) else os.fspath(source)
    if CAMERA.fullmatch(name):
        return Input("camera", name, "video4linux2")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.\-]+):", name)
    if scheme and not os.path.lexists(name):
        known = PROTOCOLS.get(scheme[1].lower())
        if known is None or not name[scheme.end() :].startswith("//"):
            raise VideoError(
                f"{scheme[1]}: is not opened",
                code="video.forbidden_format",
                path=name,
                hint=f"files, cameras and {', '.join(f'{p}://' for p in PROTOCOLS)} are",
            )
        return Input("stream", name, *known)
    return Input("file", name, _format(Path(name)))


def _format(path: Path) -> str:
    head = peek(path)
    found = sniff(head)
    if found is not None:
        return found
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(SCRIPTS):
        raise VideoError(
            "this is a list of other files, and is not followed",
            code="video.forbidden_format",
            path=path,
            hint="name the videos themselves",
        )
    raise VideoError(
        "this is empty" if not head else "no kind of video that is known begins like this",
        code="video.unopenable",
        path=path,
        hint="MP4, MOV, MKV, WebM, AVI, MPEG, TS, FLV, Ogg, ASF, MXF, GIF, APNG and WebP are read",
    )


def peek(path: Path) -> bytes:
    """The first bytes of a regular file; a pipe or a device is not waited for. VideoError."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except PermissionError as error:
        message = "you may not read this file"
        raise VideoError(message, code="video.permission", path=path) from error
    except (OSError, ValueError) as error:
        message = "there is no such file"
        raise VideoError(message, code="video.not_found", path=str(path)) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise VideoError("this is no regular file", code="video.unopenable", path=path)
        return os.read(handle, HEAD)
    finally:
        os.close(handle)


def check_size(width: int, height: int, most: int, name: str) -> None:
    """VideoError (`video.too_many_pixels`) before anything is decoded."""
    if width * height > most:
        raise too_many_pixels(f"a frame of {width} × {height}", most, name)


def too_many_pixels(what: str, most: int, name: str) -> VideoError:
    """What is said of frames that are larger than is allowed."""
    return VideoError(
        f"{what} has more than {most:,} pixels",
        code="video.too_many_pixels",
        path=name,
        hint="if you trust it: Limits(max_pixels=…), or --max-pixels",
    )
