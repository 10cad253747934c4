"""Photos to try things on: those that packages of yours brought along, without a network.

    python examples/photos.py OUT

Writes grace_hopper.jpg, which comes with matplotlib, china.jpg and flower.jpg, which come with
scikit-learn, and, where scikit-image is installed (`pip install scikit-image`), astronaut.png
(Eileen Collins) and chelsea.png (a cat).

Grace Hopper is the US Navy's and Eileen Collins NASA's, both public domain; the cat is Stéfan van
der Walt's, CC0.
"""

import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from sightline.files import make_folder, write_bytes

PLACES = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
"""Package, and the photo's place in it."""


def photos() -> dict[str, bytes]:
    """Name → file, of all that are there."""
    found: dict[str, bytes] = {}
    for package, place in PLACES:
        if find_spec(package) is not None:
            file = resources.files(package).joinpath(place)
            if file.is_file():
                found[Path(place).name] = file.read_bytes()
    return found


def main() -> None:
    """Write them."""
    out = make_folder(Path(sys.argv[1]))
    for name, data in photos().items():
        print(write_bytes(out / name, data))


if __name__ == "__main__":
    main()
