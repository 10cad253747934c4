"""The first directory of a TIFF, which is also what EXIF data are.

Only the tags that pixels need are ever passed on to a decoder: no further page, no metadata, no
directory that leads back to itself.
"""

from dataclasses import dataclass
from typing import Literal

from sightline.errors import ImageError
from sightline.images.bounds import corrupt, number, take, truncated
from sightline.types import Size

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
STRIPS, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 273, 279, 322, 323, 324, 325

NEEDED = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIPS, 277, 278, STRIP_BYTES, 284}
NEEDED |= {292, 293, 317, 320, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, 338, 339, 347}
NEEDED |= {*range(512, 522), 529, 530, 531, 532}

WIDTHS = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of the unsigned types: BYTE, SHORT, LONG, LONG8."""

LENGTHS = {1: 1, 2: 1, 6: 1, 7: 1, 3: 2, 8: 2, 4: 4, 9: 4, 11: 4, 13: 4, 5: 8, 10: 8, 12: 8}
LENGTHS |= {16: 8, 17: 8, 18: 8}
"""Bytes of every type of field."""

PIECES = 200_000
"""More strips or tiles than this are an attack on our patience, not an image."""


@dataclass(frozen=True)
class Directory:
    """`entries`: tag, type and count of each field that pixels need, and of the orientation, and
    the bytes that stand for its value.
    """

    data: bytes
    order: Literal["little", "big"]
    big: bool
    entries: tuple[tuple[int, int, int, bytes], ...]

    def values(self, tag: int) -> tuple[int, ...]:
        """All unsigned integers of the first field with that tag; none where it is absent."""
        for found, kind, count, inline in self.entries:
            if found != tag or kind not in WIDTHS:
                continue
            if count > PIECES:
                raise ImageError(f"tag {tag} has {count:,} values", code="image.timeout")
            width, packed = WIDTHS[kind], inline
            if count * width > len(inline):
                packed = take(self.data, int.from_bytes(inline, self.order), count * width)
            return tuple(number(packed, i * width, width, self.order) for i in range(count))
        return ()

    def value(self, tag: int, default: int) -> int:
        """The first of `values`."""
        return next(iter(self.values(tag)), default)

    @property
    def size(self) -> Size:
        """(height, width) as stored."""
        return self.value(HEIGHT, 0), self.value(WIDTH, 0)

    @property
    def orientation(self) -> int:
        """1 … 8; 1 for all that makes no sense: other values and types, tags that disagree."""
        found = [entry for entry in self.entries if entry[0] == ORIENTATION]
        values = {
            number(value, 0, WIDTHS[kind], self.order) if kind in (1, 3, 4) and count == 1 else 0
            for _, kind, count, value in found
        }
        answer = values.pop() if len(values) == 1 else 1
        return answer if 1 <= answer <= 8 else 1

    def check(self, max_pixels: int) -> None:
        """Raise ImageError where data lie beyond the end, or a tile is beyond all bounds."""
        if self.value(TILE_WIDTH, 1) * self.value(TILE_HEIGHT, 1) > max_pixels:
            raise ImageError("a TIFF tile is too large", code="image.too_many_pixels")
        for tag, kind, count, inline in self.entries:
            if tag in NEEDED and (length := count * LENGTHS.get(kind, 0)) > len(inline):
                take(self.data, int.from_bytes(inline, self.order), length)
        for starts, lengths in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
            for start, length in zip(self.values(starts), self.values(lengths), strict=False):
                if start + length > len(self.data):
                    raise truncated()

    def bare(self) -> bytes:
        """The same TIFF with a new directory at its end that holds only what pixels need."""
        kept: dict[int, tuple[int, int, int, bytes]] = {}
        for entry in self.entries:
            if entry[0] in NEEDED:
                kept.setdefault(entry[0], entry)
        wide, narrow = (8, 8) if self.big else (4, 2)
        fields = b"".join(
            tag.to_bytes(2, self.order)
            + kind.to_bytes(2, self.order)
            + count.to_bytes(wide, self.order)
            + value
            for tag, kind, count, value in sorted(kept.values())
        )
        head = 8 if self.big else 4
        start = len(self.data) + len(self.data) % 2  # directories begin on a word
        table = len(kept).to_bytes(narrow, self.order) + fields + bytes(wide)
        return b"".join(
            (
                self.data[:head],
                start.to_bytes(wide, self.order),
                self.data[head + wide :].ljust(start - head - wide, b"\0"),
                table,
            )
        )


def first(data: bytes) -> Directory:
    """The first directory of a classic TIFF or a BigTIFF."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = number(data, 2, 2, order) == 43
    head, wide, narrow = (8, 8, 8) if big else (4, 4, 2)
    start = number(data, head, wide, order)
    if start < head + wide:
        raise corrupt("the TIFF has no directory")
    count, at, step = number(data, start, narrow, order), start + narrow, 4 + 2 * wide
    if count > 0xFFFF:
        raise corrupt(f"the TIFF's directory claims {count} fields")
    table = take(data, at, count * step)
    entries = tuple(
        (
            tag,
            number(table, i + 2, 2, order),
            number(table, i + 4, wide, order),
            table[i + 4 + wide : i + step],
        )
        for i in range(0, count * step, step)
        if (tag := int.from_bytes(table[i : i + 2], order)) in NEEDED or tag == ORIENTATION
    )
    return Directory(data, order, big, entries)


def orientation(exif: bytes) -> int:
    """EXIF's orientation, 1 … 8; 1 where the data are absent, damaged or make no sense."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return first(exif).orientation
    except ImageError:  # metadata may be anything: they never stop an image
        return 1
