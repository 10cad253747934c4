"""Copies are found however they were saved; pictures that only look alike are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from folders import coco_folder
from PIL import Image, ImageEnhance
from skimage import data

from sightline.data.doctor import check
from sightline.data.duplicates import find, groups


def photos() -> dict[str, Image.Image]:
    names = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry")
    loaded = {}
    for name in names:
        try:
            loaded[name] = Image.fromarray(getattr(data, name)()).convert("RGB").resize((300, 220))
        except Exception:
            continue
    assert len(loaded) >= 3
    return loaded


def saved(image: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


VARIANTS = {
    "re-encoded": lambda image: image,
    "smaller": lambda image: image.resize((171, 125)),
    "larger": lambda image: image.resize((450, 330)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped": lambda image: image.crop((3, 2, 297, 218)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_copies_are_found(variant: str, tmp_path: Path) -> None:
    paths = []
    for name, image in photos().items():
        for kind, picture in (("one", image), ("two", VARIANTS[variant](image))):
            path = tmp_path / f"{name}-{kind}.jpg"
            path.write_bytes(saved(picture, 90 if kind == "one" else 60))
            paths.append(path)
    pairs = find(paths)
    assert {(p.first, p.second) for p in pairs} == {(i, i + 1) for i in range(0, len(paths), 2)}
    assert all(pair.mirrored == (variant == "mirrored") and not pair.exact for pair in pairs)


def test_exact_copies_and_files_that_are_no_images(tmp_path: Path) -> None:
    image = next(iter(photos().values()))
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(saved(image))
    (tmp_path / "c.jpg").write_bytes(b"no image")
    (tmp_path / "d.jpg").write_bytes(b"no image")
    paths = sorted(tmp_path.iterdir())
    seen: list[int] = []
    (pair,) = find(paths, seen.append)
    assert (pair.first, pair.second, pair.exact) == (0, 1, True)
    assert seen == [1, 2, 3, 4]
    assert groups([pair], 4) == [0, 0, 2, 3]


def test_groups_join_what_pairs_join() -> None:
    from sightline.data.duplicates import Pair

    pairs = [Pair(0, 3, True, False, 1.0), Pair(3, 5, True, False, 1.0), Pair(1, 2, True, False, 1)]
    assert groups(pairs, 6) == [0, 1, 1, 0, 4, 0]


def test_a_leak_between_splits_is_told(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg"):
        noise = Image.fromarray(rng.integers(0, 255, (5, 8, 3), dtype=np.uint8)).resize((60, 40))
        noise.save(root / "images" / "val" / name)
    train = root / "images" / "train"
    train.mkdir()
    for name in ("a.jpg", "b.jpg"):
        other = Image.fromarray(rng.integers(0, 255, (5, 8, 3), dtype=np.uint8)).resize((60, 40))
        other.save(train / name)
    labels = root / "annotations"
    (labels / "instances_train.json").write_bytes((labels / "instances_val.json").read_bytes())
    assert not [f for f in check(root).findings if "leak" in f.code or "duplicate" in f.code]
    (train / "b.jpg").write_bytes((root / "images" / "val" / "a.jpg").read_bytes())
    (fault,) = [f for f in check(root).findings if f.code == "image.leak"]
    assert fault.severity == "warning" and "train" in fault.message and fault.pointer == "split val"


def test_the_real_cells_are_not_taken_for_each_other(shared: Path) -> None:
    paths = sorted((shared / "data" / "bccd" / "JPEGImages").glob("*.jpg"))
    assert len(paths) == 364
    assert len(find(paths)) <= 1  # two shots of one field, moved by some pixels
