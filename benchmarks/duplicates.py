"""How well and how fast copies of images are found: recall of changed copies, false pairs, time.

    python benchmarks/duplicates.py FOLDER [FOLDER …] [--copies 100]
    python benchmarks/duplicates.py --hashes 100000

Each folder's JPEG images are taken to be different ones; pairs found among them are printed, to be
looked at. Then some of them are changed in eight ways, and each copy must be found beside its
original and beside nothing else. With --hashes so many random hashes are searched for near pairs,
by the index and by a look at every pair, and the pairs must be the same.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.data.duplicates import BITS, find
from sightline.data.near_hashes import near_pairs

Pixels = Image.Image


def changed(picture: Pixels) -> Iterator[tuple[str, Pixels, int]]:
    """(name, picture, JPEG quality) of each change."""
    width, height = picture.size
    x, y = round(0.03 * width), round(0.03 * height)
    yield "JPEG quality 30", picture, 30
    yield "half the size", picture.resize((width // 2, height // 2), Image.Resampling.LANCZOS), 85
    larger = picture.resize((width * 3 // 2, height * 3 // 2), Image.Resampling.BICUBIC)
    yield "1.5 times the size", larger, 85
    yield "3 % cut off each side", picture.crop((x, y, width - x, height - y)), 85
    yield "3 % cut off the left", picture.crop((x, 0, width, height)), 85
    yield "20 % brighter", picture.point([min(255, v * 6 // 5) for v in range(256)] * 3), 85
    yield "25 levels darker", picture.point([max(0, v - 25) for v in range(256)] * 3), 85
    yield "mirrored", picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85


def measure(folder: Path, copies: int) -> None:
    paths = sorted(folder.rglob("*.jpg"))
    begin = time.process_time()
    groups = find(paths).groups
    seconds = time.process_time() - begin
    print(f"{folder}: {len(paths)} images, {seconds:.1f} s of one core, {len(groups)} groups found")
    for group in groups:
        print(f"  {group.kind}: {', '.join(paths[row].name for row in group.rows)}")
    known = {row for group in groups for row in group.rows}
    apart = [path for row, path in enumerate(paths) if row not in known]
    chosen = np.random.default_rng(0).choice(len(apart), min(copies, len(apart)), replace=False)
    with tempfile.TemporaryDirectory() as place:
        made: dict[str, list[tuple[Path, int]]] = {}
        for row in chosen:
            for name, picture, quality in changed(Image.open(apart[row]).convert("RGB")):
                path = Path(place) / f"{row}-{len(made)}-{name[:4].strip()}-{len(name)}.jpg"
                picture.save(path, quality=quality)
                made.setdefault(name, []).append((path, int(row)))
        for name, files in made.items():
            answer = find([*apart, *(path for path, _ in files)]).groups
            pairs = {(a, b) for g in answer for a in g.rows for b in g.rows if a < b}
            truth = {(row, len(apart) + k) for k, (_, row) in enumerate(files)}
            right = len(pairs & truth)
            precision = right / max(len(pairs), 1)
            print(f"  {name:22} recall {right}/{len(truth)}, precision {precision:.3f}")


def search(count: int) -> None:
    codes = np.random.default_rng(0).integers(0, 2**63, count, np.uint64)
    list(near_pairs(codes[:2], 0, BITS))  # compiled, or loaded
    found = []
    for name, way in (("index", near_pairs), ("every pair", near_pairs.reference)):
        begin = time.process_time()
        pairs = list(way(codes, 0, BITS))
        seconds = time.process_time() - begin
        number = sum(len(first) for first, _ in pairs)
        print(f"{count} hashes, {name}: {seconds:.1f} s of one core, {number} pairs", flush=True)
        found.append(pairs)
    same = all(
        np.array_equal(a, b)
        for one, two in zip(*found, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    print("the same pairs" if same else "OTHER PAIRS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--hashes", type=int)
    parser.add_argument("--copies", type=int, default=100)
    options = parser.parse_args()
    if options.hashes:
        search(options.hashes)
    for folder in options.folders:
        measure(folder, options.copies)


if __name__ == "__main__":
    main()
