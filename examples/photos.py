"""Photos to try things on: those that packages of yours brought along, without a network.

    python examples/photos.py OUT

Writes grace_hopper.jpg, which comes with matplotlib, china.jpg and flower.jpg, which come with
scikit-learn, and, where scikit-image is installed (`pip install scikit-image`), astronaut.png
(Eileen Collins) and chelsea.png (a cat).

A portrait and the cat are there once more in four sizes on one page (grace_hopper-sizes.png,
chelsea-sizes.png): each of the sizes is another map's, or another window's, to find.

Grace Hopper is the US Navy's and Eileen Collins NASA's, both public domain; the cat is Stéfan van
der Walt's, CC0.
"""

import io
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from sightline.cli import demo
from sightline.files import make_folder, write_bytes

EXTRA = ("astronaut.png", "chelsea.png")
"""Of scikit-image, where that is installed."""

SIZES = ("grace_hopper.jpg", "chelsea.png")
"""Shown once more in four sizes."""


def photos() -> dict[str, bytes]:
    """Name → file, of all that are there."""
    places = demo.photos()
    if find_spec("skimage") is not None:
        places += [Path(str(resources.files("skimage") / "data" / name)) for name in EXTRA]
    return {path.name: path.read_bytes() for path in places if path.is_file()}


def in_sizes(photo: bytes, copies: int = 4) -> bytes:
    """A page (PNG) with a photo at the left, and at its right again and again, half as large."""
    with Image.open(io.BytesIO(photo)) as opened:
        image = opened.convert("RGB")
    page = Image.new("RGB", (image.width * 3 // 2, image.height), "#c8c8c8")
    page.paste(image, (0, 0))
    top = 0
    for copy in range(1, copies):
        small = image.resize((image.width >> copy, image.height >> copy), Image.Resampling.LANCZOS)
        page.paste(small, (image.width + (image.width // 2 - small.width) // 2, top))
        top += small.height
    stream = io.BytesIO()
    page.save(stream, "PNG")
    return stream.getvalue()


def main() -> None:
    """Write them."""
    out, found = make_folder(Path(sys.argv[1])), photos()
    sheets = {f"{Path(n).stem}-sizes.png": in_sizes(found[n]) for n in SIZES if n in found}
    for name, data in {**found, **sheets}.items():
        print(write_bytes(out / name, data))


if __name__ == "__main__":
    main()
