"""The rules of dealing images out, each where it decides."""

from collections import Counter

import pytest

from sightline.data.split import divide

THREE = {"train": 0.6, "val": 0.2, "test": 0.2}


@pytest.mark.parametrize("seed", range(12))
def test_room_is_kept_for_a_class_that_a_split_still_lacks(seed: int) -> None:
    """Val and test have room for one image each. Class 0 has too few images to be in every split
    and is dealt first, as it is rarer: it must not take the place of class 1, which has enough.
    """
    contents = [{1: 3}, {0: 4}, {1: 4}, {}, {}, {0: 4, 1: 2}]
    names = [f"{i}.jpg" for i in range(len(contents))]
    parts = divide(contents, names, THREE, seed)
    assert [len(part) for part in parts] == [4, 1, 1]
    for part in parts:
        assert any(1 in contents[row] for row in part), "class 1 has an image for each split"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("more", [0, 30])
def test_the_one_image_of_a_rare_class_is_no_extreme(seed: int, more: int) -> None:
    """A split whose ratio is less than one image of a class gets one all the same: neither the one
    that shows the fewest objects of it, nor the one that shows the most.
    """
    contents = [Counter({0: i + 1}) for i in range(10)] + [Counter({1: 1})] * more
    names = [f"{i}.jpg" for i in range(len(contents))]
    parts = divide(contents, names, {"train": 0.95, "val": 0.05}, seed)
    found = [contents[row][0] for row in parts[1] if 0 in contents[row]]
    assert len(parts[1]) == (2 if more else 1)
    assert found == [5], "of 1 to 10 objects"
