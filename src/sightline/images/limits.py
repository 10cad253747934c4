"""How much one image may cost."""

from dataclasses import dataclass

from sightline.errors import ImageError, UsageError
from sightline.images.headers import Header


@dataclass(frozen=True)
class Limits:
    """What is refused before any decoding: pixels, bytes, and scans of a progressive JPEG.

    A few bytes a scan make a decoder go over the whole image again, so their number bounds its
    time; ordinary files have about ten. Raises UsageError for a limit below 1.
    """

    max_pixels: int = 50_000_000
    max_bytes: int = 256 * 2**20
    max_scans: int = 100

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UsageError(f"{name} is {value}, not 1 or more", code="usage.out_of_range")

    def check_pixels(self, header: Header) -> None:
        """Raise image.too_many_pixels for a header that claims more than `max_pixels`."""
        height, width = header.stored
        if height * width > self.max_pixels:
            raise ImageError(
                f"{width} × {height} pixels are more than {self.max_pixels:,}",
                code="image.too_many_pixels",
                hint="if you trust the file: Limits(max_pixels=…), or cut it up first",
            )

    def check_bytes(self, count: int) -> None:
        """Raise image.too_large_bytes for more than `max_bytes`."""
        if count > self.max_bytes:
            raise ImageError(
                f"the file has more than {self.max_bytes:,} bytes",
                code="image.too_large_bytes",
                hint="if you trust the file: Limits(max_bytes=…)",
            )
