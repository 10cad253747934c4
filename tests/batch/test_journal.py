"""The journal of a video: what stands in it comes back as it was, and half a line does not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.batch.journal import Journal, fingerprint
from sightline.errors import ResourceError
from sightline.skeletons import PERSON
from sightline.types import Detections

SIZE = (30, 50)
CLASSES = ("cat", "dog")


def answer(seed: int, count: int = 3, masks: bool = True, points: bool = True) -> Detections:
    random = np.random.default_rng(seed)
    boxes = torch.from_numpy(random.uniform(0, 30, (count, 4)).astype(np.float32))
    return Detections(
        boxes,
        torch.from_numpy(random.random(count).astype(np.float32)),
        torch.from_numpy(random.integers(0, 2, count)),
        torch.arange(count),
        SIZE,
        CLASSES,
        (7, 8),
        masks=torch.from_numpy(random.random((count, *SIZE)) < 0.4) if masks else None,
        keypoints=torch.from_numpy(random.random((count, 17, 3)).astype(np.float32))
        if points
        else None,
        skeleton=PERSON if points else None,
    )


def same(a: Detections, b: Detections) -> bool:
    both = (("boxes", "scores", "labels", "region", "masks", "keypoints"), a, b)
    for name in both[0]:
        left, right = getattr(a, name), getattr(b, name)
        if (left is None) != (right is None) or (left is not None and not torch.equal(left, right)):
            return False
    return (a.size, a.classes, a.category_ids, a.skeleton) == (
        b.size,
        b.classes,
        b.category_ids,
        b.skeleton,
    )


@pytest.mark.parametrize(("masks", "points"), [(True, True), (False, True), (False, False)])
def test_to_the_bit(masks: bool, points: bool, tmp_path: Path) -> None:
    found = [answer(i, i % 3, masks, points) for i in range(7)]
    journal = Journal(tmp_path / "j", "mark", CLASSES)
    for i, one in enumerate(found):
        assert journal.known(5 * i) is None
        journal.add(5 * i, one)
    journal.close(finished=False)
    again = Journal(tmp_path / "j", "mark", CLASSES)
    for i, one in enumerate(found):
        known = again.known(5 * i)
        assert known is not None
        assert same(known, one)
    assert again.known(35) is None
    assert again.resumed == 7
    again.close(finished=True)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=10)
@given(st.floats(0, 1))
def test_cut_anywhere_it_goes_on_from_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "j"
    found = [answer(i, 1, masks=False) for i in range(4)]
    journal = Journal(path, "mark", CLASSES)
    for i, one in enumerate(found):
        journal.add(i, one)
    journal.close(finished=False)
    data = path.read_bytes()
    cut = data[: round(share * len(data))]
    path.write_bytes(cut)
    again = Journal(path, "mark", CLASSES)
    for i, one in enumerate(found):
        known = again.known(i)
        if known is None:
            again.add(i, one)
        else:
            assert same(known, one)
    assert again.resumed == max(0, cut.count(b"\n") - 1)
    again.close(finished=False)
    assert path.read_bytes() == data


def test_another_run_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "one", CLASSES)
    journal.add(0, answer(0))
    journal.close(finished=False)
    other = Journal(tmp_path / "j", "two", CLASSES)
    assert other.known(0) is None
    other.close(finished=False)
    assert (tmp_path / "j").read_bytes().count(b"\n") == 1


def test_two_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "mark", CLASSES)
    with pytest.raises(ResourceError) as caught:
        Journal(tmp_path / "j", "mark", CLASSES)
    assert caught.value.code == "resource.locked"
    journal.close(finished=True)


def test_what_must_be_the_same(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"video")
    layer = torch.nn.Linear(2, 3)
    first = fingerprint(path, layer, {"score": 0.3})
    assert fingerprint(path, layer, {"score": 0.3}) == first
    assert fingerprint(path, layer, {"score": 0.4}) != first
    with torch.no_grad():
        layer.weight[0, 0] += 1
    changed = fingerprint(path, layer, {"score": 0.3})
    assert changed != first
    path.write_bytes(b"another")
    assert fingerprint(path, layer, {"score": 0.3}) != changed
