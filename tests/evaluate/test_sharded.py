"""Answers that travel between processes come as they went."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from folders import coco_folder
from sightline import processes
from sightline.data import open_dataset
from sightline.evaluate import sharded
from sightline.evaluate.sharded import pack, predict_shared, unpack
from sightline.skeletons import PERSON
from sightline.types import Detections


def found(count: int, **more: object) -> Detections:
    return Detections(
        torch.rand(count, 4) * 40,
        torch.rand(count),
        torch.arange(count),
        torch.arange(count) + 7,
        (30, 50),
        ("cat", "dog", "person"),
        **more,  # type: ignore[arg-type]
    )


def same(one: Detections, other: Detections) -> bool:
    parts = (*sharded.TENSORS, "masks")
    equal = all(
        torch.equal(a, b) if a is not None and b is not None else a is b
        for a, b in ((getattr(one, name), getattr(other, name)) for name in parts)
    )
    facts = ("size", "classes", "category_ids", "skeleton")
    return equal and all(getattr(one, name) == getattr(other, name) for name in facts)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_nothing_is_lost_on_the_way(count: int) -> None:
    torch.manual_seed(count)
    sent = [
        found(count),
        found(count, category_ids=(3, 17, 90)),
        found(count, masks=torch.rand(count, 30, 50) > 0.5),
        found(count, keypoints=torch.rand(count, 17, 3), skeleton=PERSON),
    ]
    assert all(same(a, b) for a, b in zip(sent, unpack(pack(sent)), strict=True))
    assert unpack(pack([])) == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_image_is_seen_once_and_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """More processes than images too: one of them then has nothing to do."""
    dataset = open_dataset(coco_folder(tmp_path), "val")
    seen: list[str] = []

    def predict(detector: object, part: object, **_: object) -> list[Detections]:
        names = [example.path.name for example in part]  # type: ignore[attr-defined]
        seen.extend(names)
        return [found(ord(name[0]) - ord("a")) for name in names]

    def each(rank: int) -> Callable[[bytes], list[bytes]]:
        def gathered(message: bytes) -> list[bytes]:
            parts = []
            for other in range(number):
                examples = dataset.examples[other::number]
                mine = [found(ord(e.path.name[0]) - ord("a")) for e in examples]
                parts.append(message if other == rank else pack(mine))
            return parts

        return gathered

    monkeypatch.setattr(sharded, "predict", predict)
    monkeypatch.setattr(processes, "joined", lambda: True)
    monkeypatch.setattr(processes, "world_size", lambda: number)
    for rank in range(number):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(processes, "gathered", each(rank))
        answers = predict_shared(object(), dataset)  # type: ignore[arg-type]
        assert [len(answer) for answer in answers] == [0, 1]
    assert sorted(seen) == ["a.jpg", "b.jpg"]
