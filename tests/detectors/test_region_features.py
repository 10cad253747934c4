"""Features on disk: computed once, whole or not at all, and those of another network are gone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.detectors.region_features import Book, FeatureStore, Page, digest
from sightline.errors import ResourceError
from sightline.types import Targets

TRUTH = Targets(
    torch.tensor([[0.0, 0.0, 10.0, 8.0], [20.0, 0.0, 40.0, 30.0], [2.0, 2.0, 4.0, 4.0]]),
    torch.tensor([1, 0, 1]),
    torch.tensor([False, True, False]),
)


def page(seed: int = 0) -> Page:
    rng = torch.Generator().manual_seed(seed)
    boxes = torch.tensor(
        [[0.0, 0.0, 10.0, 16.0], [20.0, 0.0, 30.0, 10.0], [50.0, 50.0, 60.0, 60.0]]
    )
    boxes = torch.cat([boxes, TRUTH.boxes[[0, 2]]])
    near = torch.tensor([0])
    cells = torch.randn(1, 6, generator=rng).half()
    return Page(boxes, torch.randn(5, 4, generator=rng).half(), near, cells, TRUTH)


def test_true_boxes_come_last_and_crowds_are_none() -> None:
    assert page().proposals == 3
    assert page().own.tolist() == [0, 2]


def test_how_much_regions_have_of_each_class() -> None:
    """IoU with plain objects, the covered share with crowds, the highest of each class."""
    expected = [[0, 0.5, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert torch.allclose(page().overlaps(3), torch.tensor(expected))
    none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
    bare = replace(page(), truth=none)
    assert torch.equal(bare.overlaps(2), torch.zeros(5, 2))


def test_a_page_is_computed_once(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "a" * 64)
    path = store.page("one", TRUTH, page)
    again = FeatureStore(tmp_path, "a" * 64)
    assert again.page("one", TRUTH, lambda: pytest.fail("computed again")) == path
    assert (store.computed, again.computed) == (1, 0)
    found = Book([path], [TRUTH])[0]
    for name in ("boxes", "features", "near", "cells"):
        assert torch.equal(getattr(found, name), getattr(page(), name)), name


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_what_is_damaged_is_computed_anew(tmp_path: Path, damage: str) -> None:
    store = FeatureStore(tmp_path, "a" * 64)
    path = store.page("one", TRUTH, page)
    data = path.read_bytes()
    changed = bytes([*data[:-1], data[-1] ^ 1])
    path.write_bytes({"cut": data[:-5], "changed": changed, "empty": b""}[damage])
    with pytest.raises(ResourceError) as caught:
        Book([path], [TRUTH])[0]
    assert caught.value.code == "resource.lost"
    store.page("one", TRUTH, page)
    assert store.computed == 2
    assert path.read_bytes() == data


def test_features_of_another_network_do_not_stay(tmp_path: Path) -> None:
    old = FeatureStore(tmp_path, "a" * 64).page("one", TRUTH, page)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.features").write_text("mine")
    new = FeatureStore(tmp_path, "b" * 64).page("one", TRUTH, page)
    assert new.exists() and not old.exists()
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "mine" / "x.features").exists()


def test_everything_counts_in_a_digest() -> None:
    x = torch.arange(6.0)
    several = [digest("a", x), digest("a", x.double()), digest("a", x.view(2, 3)), digest("b", x)]
    several += [digest("a", x + 1), digest("ax"), digest("a", "x"), digest("", "ax")]
    assert len(set(several)) == len(several)
    assert digest("a", x) == digest("a", x.clone())
    assert digest(x.view(2, 3).T) == digest(x.view(2, 3).T.contiguous())


def test_images_with_a_class_are_known_without_reading() -> None:
    book = Book([Path("no"), Path("nothing")], [TRUTH, TRUTH])
    assert book.having(1) == [0, 1]
    assert book.having(0) == []  # a crowd teaches nothing
