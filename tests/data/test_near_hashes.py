"""Hashes that differ in few bits: the index finds the same pairs as a look at all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.data.fingerprints import MIRROR
from sightline.data.near_hashes import BLOCK, near_pairs
from sightline.kernels.cpu import near_hashes

MASK = (1 << 64) - 1


def pairs(found: object) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for a, b in found for i, j in zip(a, b, strict=True)]  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, MASK), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=24)), max_size=30),
    st.integers(0, 24),
    st.sampled_from([0, int(MIRROR), MASK]),
)
def test_the_index_finds_the_same_pairs_in_the_same_order(
    centres: list[int], changes: list[tuple[int, set[int]]], bits: int, flip: int
) -> None:
    """Hashes around a few centres, whose differences lie about what is searched for."""
    values = [centres[c % len(centres)] ^ sum(1 << bit for bit in turned) for c, turned in changes]
    codes = np.array([*centres, *values], np.uint64)
    found = pairs(near_pairs(codes, flip, bits))
    assert found == pairs(near_pairs.reference(codes, flip, bits))
    apart = [
        (i, j)
        for i in range(len(codes))
        for j in range(i + 1, len(codes))
        if (int(codes[i]) ^ int(codes[j]) ^ flip).bit_count() <= bits
    ]
    assert found == apart


def test_blocks_and_more_pairs_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert near_hashes.BLOCK == BLOCK
    monkeypatch.setattr(near_hashes, "ROOM", 8)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, MASK, 2500, np.uint64)
    codes[1000:1100] = codes[2400]  # a still camera
    for flip in (0, int(MIRROR)):
        for (a, b), (c, d) in zip(
            near_pairs(codes, flip, 16), near_pairs.reference(codes, flip, 16), strict=True
        ):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_nothing_to_compare() -> None:
    for count in (0, 1):
        codes = np.zeros(count, np.uint64)
        assert pairs(near_pairs(codes, 0, 16)) == pairs(near_pairs.reference(codes, 0, 16)) == []
