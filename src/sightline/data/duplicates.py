"""Images that are there twice, or nearly so: in one split a nuisance, in two a leak.

Exact copies have the same bytes. Near ones are found by the signs of a small image's lowest
cosine frequencies (a 63-bit hash), and confirmed on 16 × 16 thumbnails, mirrored too: what is
re-encoded, resized or a little brighter is still found, and look-alikes are told apart.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt64
from numpy import ndarray
from PIL import Image as PillowImage

from sightline.data.records import Dataset, Fault
from sightline.errors import SightlineError
from sightline.images import read

BITS_APART = 12
"""Hashes further apart than this are not compared any closer."""

ALIKE = 0.985
"""The least correlation of two thumbnails, brightness and contrast taken out, that counts."""

SIDE, FREQUENCIES, THUMB = 32, 8, 16
HINT = "keep one of them"


@dataclass(frozen=True)
class Pair:
    """Two images, by row, that are the same: `exact`, or near and perhaps `mirrored`."""

    first: int
    second: int
    exact: bool
    mirrored: bool
    correlation: float


@dataclass(frozen=True)
class _Prints:
    digests: list[str | None]
    hashes: UInt64[ndarray, "N"]
    mirrors: UInt64[ndarray, "N"]
    thumbs: Float[ndarray, "N T"]
    thumbs_mirrored: Float[ndarray, "N T"]


def find(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> list[Pair]:
    """Every pair of equal or nearly equal images; files that cannot be read are passed over.

    `progress` is told how many images have been looked at.
    """
    prints = _prints(paths, progress)
    answer = []
    for i, j, mirrored in _candidates(prints):
        if prints.digests[i] is None or prints.digests[j] is None:
            continue
        if prints.digests[i] == prints.digests[j]:
            if not mirrored:
                answer.append(Pair(i, j, True, False, 1.0))
            continue
        other = prints.thumbs_mirrored if mirrored else prints.thumbs
        alike = float(prints.thumbs[i] @ other[j])
        if alike >= ALIKE:
            answer.append(Pair(i, j, False, mirrored, alike))
    best: dict[tuple[int, int], Pair] = {}
    for pair in answer:
        key = (pair.first, pair.second)
        if key not in best or pair.correlation > best[key].correlation:
            best[key] = pair
    return [best[key] for key in sorted(best)]


def groups(pairs: Sequence[Pair], count: int) -> list[int]:
    """A number for each of `count` images, the same for all that pairs join."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for pair in pairs:
        a, b = sorted((root(pair.first), root(pair.second)))
        parent[b] = a
    return [root(i) for i in range(count)]


def leaks(splits: Mapping[str, Dataset]) -> list[Fault]:
    """Images that are in two splits (`image.leak`, `image.near_leak`) or twice in one
    (`image.duplicate`, `image.near_duplicate`): each pair a warning.
    """
    rows = {e.path: name for name, dataset in splits.items() for e in dataset}
    paths = list(rows)
    answer = []
    for pair in find(paths):
        one, two = paths[pair.first], paths[pair.second]
        apart = rows[one] != rows[two]
        code = f"image.{'' if pair.exact else 'near_'}{'leak' if apart else 'duplicate'}"
        how = "the same bytes as" if pair.exact else "nearly the same picture as"
        how = "the mirror image of" if pair.mirrored else how
        where = f" ({rows[one]})" if apart else ""
        hint = "figures on it flatter: " + HINT if apart else HINT
        text = f"{how} {one}{where}"
        pointer = f"split {rows[two]}" if apart else None
        answer.append(Fault(code, text, str(two), pointer, hint, "warning"))
    return answer


def _prints(paths: Sequence[Path], progress: Callable[[int], None] | None) -> _Prints:
    count = len(paths)
    digests: list[str | None] = [None] * count
    small = np.zeros((count, SIDE, SIDE), np.float32)
    for i, path in enumerate(paths):
        try:
            digests[i] = hashlib.sha256(path.read_bytes()).hexdigest()
            small[i] = _small(path)
        except (OSError, SightlineError):
            digests[i] = None
        if progress is not None:
            progress(i + 1)
    plain, mirrored = small, small[:, :, ::-1]
    return _Prints(digests, _hash(plain), _hash(mirrored), _thumbs(plain), _thumbs(mirrored))


def _small(path: Path) -> Float[ndarray, "S S"]:
    """The image in grey, SIDE × SIDE; JPEGs are decoded at an eighth of their size and more."""
    with PillowImage.open(path, formats=("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")) as image:
        if image.format == "JPEG" and image.getexif().get(0x0112, 1) == 1:
            image.draft("L", (4 * SIDE, 4 * SIDE))
            grey = image.convert("L")
            return np.asarray(grey.resize((SIDE, SIDE), PillowImage.Resampling.BOX), np.float32)
    pixels = read(path).permute(1, 2, 0).numpy()
    whole = PillowImage.fromarray(pixels).convert("L")
    return np.asarray(whole.resize((SIDE, SIDE), PillowImage.Resampling.BOX), np.float32)


def _hash(small: Float[ndarray, "N S S"]) -> UInt64[ndarray, "N"]:
    """The signs of the lowest cosine frequencies but the mean, against their median."""
    places = np.arange(SIDE) + 0.5
    basis = np.cos(np.pi / SIDE * np.arange(FREQUENCIES)[:, None] * places)
    spectrum = np.einsum("fy,nyx,gx->nfg", basis, small, basis).reshape(len(small), -1)[:, 1:]
    bits = spectrum > np.median(spectrum, axis=1, keepdims=True)
    weights = np.uint64(1) << np.arange(bits.shape[1], dtype=np.uint64)
    answer: ndarray = (bits.astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
    return answer


def _thumbs(small: Float[ndarray, "N S S"]) -> Float[ndarray, "N T"]:
    """Thumbnails of mean 0 and length 1, so that their product is their correlation."""
    step = SIDE // THUMB
    thumbs = small.reshape(len(small), THUMB, step, THUMB, step).mean(axis=(2, 4))
    flat = thumbs.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6))


def _candidates(prints: _Prints) -> Iterator[tuple[int, int, bool]]:
    """Pairs i < j whose hashes are close, plain or with the second mirrored."""
    for i in range(len(prints.hashes) - 1):
        for others, mirrored in ((prints.hashes, False), (prints.mirrors, True)):
            apart = np.bitwise_count(others[i + 1 :] ^ prints.hashes[i])
            for j in np.flatnonzero(apart <= BITS_APART).tolist():
                yield i, i + 1 + j, mirrored
