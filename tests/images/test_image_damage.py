"""Damaged bytes never crash, never hang: a typed error, or an image of the claimed size (I35)."""

import random
import time

import pytest
import torch
from drawing import SAMPLES

from sightline.errors import ImageError, ResourceError
from sightline.images import Limits, read, read_size

LIMITS = Limits(max_pixels=1_000_000)


def damaged(seed: int) -> tuple[str, bytes]:
    """One of the samples after one of nine kinds of damage."""
    rng = random.Random(seed)
    name = rng.choice(list(SAMPLES))
    data = bytearray(SAMPLES[name])
    at, length = rng.randrange(len(data)), rng.randrange(1, 40)
    match rng.randrange(9):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            for _ in range(length):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = rng.randbytes(length)
        case 5:
            data[at : at + length] = bytes(len(data[at : at + length]))
        case 6:
            data[at : at + length] = b"\xff" * len(data[at : at + length])
        case 7:
            data[at:at] = data[: rng.randrange(len(data))]
        case _:  # the header is where lies are most expensive
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(min(64, len(data)))] = rng.choice((0, 1, 127, 128, 255))
    return name, bytes(data)


def endure(seeds: range) -> dict[str, int]:
    """How often each outcome came; anything untyped is raised."""
    outcomes: dict[str, int] = {}
    for seed in seeds:
        name, data = damaged(seed)
        start = time.process_time()
        try:
            image = read(data, LIMITS)
        except (ImageError, ResourceError) as error:
            outcome = error.code
        except Exception as error:
            raise AssertionError(f"seed {seed}, {name}: {error!r}") from error
        else:
            outcome = "image"
            assert image.dtype == torch.uint8 and image.shape[0] == 3, f"seed {seed}"
            assert tuple(image.shape[1:]) == read_size(data), f"seed {seed}"
        assert time.process_time() - start < 5, f"seed {seed}, {name}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hundreds_of_damaged_files():
    outcomes = endure(range(600))
    assert {"image", "image.truncated", "image.corrupt"} <= set(outcomes)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ten_thousand_damaged_files():
    assert sum(endure(range(600, 10_600)).values()) == 10_000
