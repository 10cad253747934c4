"""Copies of images: found however they were changed, and told apart from what only looks alike."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.duplicates import _Forest, find, leaks
from sightline.data.records import Dataset, Example, Objects


def scene(seed: int, size: tuple[int, int] = (90, 140)) -> Image.Image:
    """Soft blobs and bars: a picture of its own for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 14, 3), dtype=np.uint8))
    return small.resize(size[::-1], Image.Resampling.BICUBIC)


def save(picture: Image.Image, path: Path, quality: int = 85) -> Path:
    picture.save(path, quality=quality)
    return path


CHANGES = {
    "recompressed": lambda p: p,
    "smaller": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS),
    "brighter": lambda p: p.point([min(255, v * 6 // 5) for v in range(256)] * 3),
    "cropped": lambda p: p.crop((4, 3, p.width - 4, p.height - 3)),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(tmp_path: Path, change: str) -> None:
    paths = [save(scene(seed), tmp_path / f"{seed}.jpg") for seed in range(6)]
    paths.append(save(CHANGES[change](scene(3)), tmp_path / "copy.jpg", 40))
    (group,) = find(paths).groups
    assert (group.rows, group.kind) == ((3, 6), "near")
    assert group.mirrored == (False, change == "mirrored")


def test_exact_copies_by_bytes_and_by_pixels(tmp_path: Path) -> None:
    first = save(scene(1), tmp_path / "a.png")
    second = save(scene(2), tmp_path / "b.png")
    again = tmp_path / "again.png"
    again.write_bytes(first.read_bytes())
    other = save(scene(1), tmp_path / "other.bmp")  # the same pixels in another format
    group = find([second, first, again, other]).groups[0]
    assert (group.rows, group.kind, group.copies) == ((1, 2, 3), "exact", (1, 1, 1))


def test_turned_by_exif_is_the_same_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    stored = scene(1).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    (group,) = find([save(scene(1), tmp_path / "a.jpg"), tmp_path / "turned.jpg"]).groups
    assert (group.rows, group.mirrored) == ((0, 1), (False, False))


def test_nothing_of_even_or_broken_images(tmp_path: Path) -> None:
    paths = [
        save(Image.new("RGB", (60, 40), (level, level, level)), tmp_path / f"{level}.jpg")
        for level in (0, 90, 91, 255)
    ]
    broken, absent = tmp_path / "broken.jpg", tmp_path / "absent.jpg"
    broken.write_bytes(paths[0].read_bytes()[:40])
    steps: list[tuple[int, int]] = []
    answer = find([*paths, broken, absent], lambda done, total: steps.append((done, total)))
    assert answer.groups == ()
    assert answer.unreadable == (4, 5)
    assert steps == [(k, 6) for k in range(1, 7)]
    assert find([]).groups == ()


def test_many_frames_of_one_scene_take_no_longer(tmp_path: Path) -> None:
    """All pairs of 250 frames are 31,000 comparisons; those of one group are not made twice."""
    noise = np.random.default_rng(0)
    pixels = np.asarray(scene(1), np.int16)
    paths = []
    for k in range(250):
        frame = np.clip(pixels + noise.integers(-2, 3, pixels.shape), 0, 255).astype(np.uint8)
        paths.append(save(Image.fromarray(frame), tmp_path / f"{k}.jpg"))
    begin = time.process_time()
    (group,) = find(paths).groups
    assert len(group.rows) == 250
    assert time.process_time() - begin < 20


def dataset(name: str, paths: list[Path]) -> Dataset:
    none = Objects.of([], [])
    examples = tuple(Example(path, path.stem, (90, 140), none) for path in paths)
    return Dataset(examples, ("cat",), (1,), None, "set", paths[0].parent, name)


def test_leaks_name_both_files(tmp_path: Path) -> None:
    a, b, c = (save(scene(seed), tmp_path / f"{seed}.jpg") for seed in range(3))
    twin = tmp_path / "twin.jpg"
    twin.write_bytes(a.read_bytes())
    near = save(scene(1), tmp_path / "near.jpg", 40)
    flipped = save(CHANGES["mirrored"](scene(2)), tmp_path / "flipped.jpg")
    inner = tmp_path / "inner.jpg"
    inner.write_bytes(b.read_bytes())
    faults = leaks(
        {"train": dataset("train", [a, b, inner, c]), "val": dataset("val", [twin, near, flipped])}
    )
    found = {fault.id: (fault.code, fault.severity, fault.message) for fault in faults}
    assert found == {
        "twin": ("image.leak", "warning", "twin.jpg (val) is the same image as 0.jpg (train)"),
        "inner": (
            "image.duplicate",
            "warning",
            "inner.jpg (train) is the same image as 1.jpg (train)",
        ),
        "near": ("image.near_leak", "warning", "near.jpg (val) is nearly 1.jpg (train)"),
        "flipped": (
            "image.near_leak",
            "warning",
            "flipped.jpg (val) is a mirrored copy of 2.jpg (train)",
        ),
    }
    assert all(fault.hint and fault.path for fault in faults)
    assert leaks({"train": dataset("train", [a, b, c])}) == []


def test_a_leak_through_a_chain_is_one(tmp_path: Path) -> None:
    """train, train, val: the copy in the other split is told, not the one in its own."""
    a = save(scene(1), tmp_path / "a.jpg")
    near = save(scene(1), tmp_path / "near.jpg", 40)
    twin = tmp_path / "twin.jpg"
    twin.write_bytes(near.read_bytes())
    faults = leaks({"val": dataset("val", [a, near]), "train": dataset("train", [twin])})
    assert [(f.id, f.code) for f in faults] == [("near", "image.duplicate"), ("twin", "image.leak")]


def test_mirrors_of_mirrors() -> None:
    forest = _Forest(4)
    forest.join(2, 3, mirrored=True)
    forest.join(0, 1, mirrored=True)
    forest.join(1, 3, mirrored=True)
    assert [forest.find(k) for k in range(4)] == [(0, False), (0, True), (0, True), (0, False)]


def test_real_blood_cells_look_alike(shared: Path) -> None:
    """Of 66,066 pairs two were taken of one field, seen by eye: refocused, and a little moved."""
    paths = sorted((shared / "data/bccd").rglob("*.jpg"))
    begin = time.process_time()
    assert [group.rows for group in find(paths).groups] == [(35, 36), (343, 348)]
    assert time.process_time() - begin < 20
