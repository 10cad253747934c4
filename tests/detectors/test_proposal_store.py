"""Proposals are searched once, whatever is stopped, damaged or shared in between."""

import copy
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sightline.detectors.proposal_store import ProposalStore, batch_regions
from sightline.errors import ResourceError
from sightline.preparation import Preparation
from sightline.types import Batch, Frame


def picture(height: int = 30, width: int = 44, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=draw)


class Quarters:
    """A stand-in for a search: the whole picture and its left top quarter."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        height, width = image.shape[1:]
        return torch.tensor([[0, 0, width, height], [0, 0, width / 2, height / 2]])


def nothing(image: Tensor) -> Tensor:
    return torch.zeros(0, 4)


def test_searched_once_and_found_again_on_disk(tmp_path: Path) -> None:
    search = Quarters()
    store = ProposalStore(tmp_path / "not there yet")
    first = store.boxes(picture(), search, "fast")
    assert torch.equal(store.boxes(picture(), search, "fast"), first)
    again = ProposalStore(tmp_path / "not there yet").boxes(picture(), search, "fast")
    assert torch.equal(again, first) and again.dtype == torch.float32
    assert len(search.seen) == 1 and store.searched == 1


@pytest.mark.parametrize("folder", [True, False])
def test_every_pixel_the_shape_and_the_method_count(tmp_path: Path, folder: bool) -> None:
    search, store = Quarters(), ProposalStore(tmp_path if folder else None)
    other = picture()
    other[2, 29, 43] += 1
    flat = picture().reshape(3, 44, 30)
    for image, method in ((picture(), "a"), (other, "a"), (flat, "a"), (picture(), "b")):
        store.boxes(image, search, method)
    assert len(search.seen) == 4
    assert len({ProposalStore.key(i, m) for i, m in ((picture(), "a"), (flat, "a"))}) == 2


def test_the_order_of_bytes_in_memory_does_not_count() -> None:
    lying = picture().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert ProposalStore.key(lying, "a") == ProposalStore.key(picture(), "a")


def test_no_boxes_are_an_answer_too(tmp_path: Path) -> None:
    ProposalStore(tmp_path).boxes(picture(), nothing, "fast")
    search = Quarters()
    assert ProposalStore(tmp_path).boxes(picture(), search, "fast").shape == (0, 4)
    assert not search.seen


@pytest.mark.parametrize("damage", ["empty", "cut", "one bit", "another file", "a folder's name"])
def test_a_damaged_entry_is_searched_anew(tmp_path: Path, damage: str) -> None:
    boxes = ProposalStore(tmp_path).boxes(picture(), Quarters(), "fast")
    (path,) = (p for p in tmp_path.rglob("*") if p.is_file())
    data = bytearray(path.read_bytes())
    if damage == "empty":
        data.clear()
    elif damage == "cut":
        del data[-16:]
    elif damage == "one bit":
        data[-1] ^= 1
    elif damage == "another file":
        data = bytearray(b"text")
    else:
        data[:4] = b"SIGH"
    path.write_bytes(data)
    search = Quarters()
    assert torch.equal(ProposalStore(tmp_path).boxes(picture(), search, "fast"), boxes)
    assert len(search.seen) == 1
    assert torch.equal(ProposalStore(tmp_path).boxes(picture(), search, "fast"), boxes)
    assert len(search.seen) == 1, "the damaged file was not mended"


def test_a_stopped_search_leaves_nothing(tmp_path: Path) -> None:
    def stopped(image: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ProposalStore(tmp_path).boxes(picture(), stopped, "fast")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ResourceError):
        ProposalStore(tmp_path / "taken")


def test_a_folder_that_went_is_not_made_again(tmp_path: Path) -> None:
    store, search = ProposalStore(tmp_path / "desk"), Quarters()
    store.boxes(picture(seed=1), search, "fast")
    shutil.rmtree(tmp_path / "desk")
    for _ in range(2):
        store.boxes(picture(), search, "fast")
    assert not (tmp_path / "desk").exists()
    assert len(search.seen) == 2, "memory is left"


def test_memory_is_bounded_and_the_last_used_stay() -> None:
    search, store = Quarters(), ProposalStore(limit=3 * 32)
    for seed in (0, 1, 2, 0, 3):
        store.boxes(picture(seed=seed), search, "fast")
    assert len(search.seen) == 4
    store.boxes(picture(seed=0), search, "fast")
    assert len(search.seen) == 4, "the one used again was thrown out"
    store.boxes(picture(seed=1), search, "fast")
    assert len(search.seen) == 5, "more is kept than the limit"


def _all(folder: Path) -> list[list[float]]:
    store = ProposalStore(folder)
    found = [store.boxes(picture(seed=seed), Quarters(), "fast") for seed in range(20)]
    return torch.cat(found).tolist()


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = list(pool.map(_all, [tmp_path] * 2))
    assert found[0] == found[1] == _all(tmp_path)
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 20


def test_what_was_found_in_detection_can_be_learnt_from() -> None:
    store, weight = ProposalStore(), torch.ones(4, requires_grad=True)
    with torch.inference_mode():
        store.boxes(picture(), Quarters(), "fast")
    boxes = store.boxes(picture(), nothing, "fast")
    (boxes * weight).sum().backward()
    assert torch.equal(weight.grad, boxes.sum(dim=0))  # type: ignore[arg-type]


def test_padding_is_not_searched_and_boxes_lie_in_the_batch() -> None:
    preparation, search = Preparation(shorter=None, longer=64), Quarters()
    images = [picture(30, 64), picture(30, 64, seed=1)]
    regions = batch_regions(preparation(images), preparation, search)
    assert [image.shape for image in search.seen] == [(3, 30, 64)] * 2
    assert torch.equal(search.seen[1], images[1])
    assert regions.image.tolist() == [0, 0, 1, 1] and regions.level.tolist() == [0] * 4
    assert regions.boxes.tolist() == [[0, 0, 64, 30], [0, 0, 32, 15]] * 2
    assert regions.scores is not None and regions.scores.tolist() == [1, 0.5, 1, 0.5]


def test_the_canvas_around_a_training_picture_is_not_searched() -> None:
    preparation, search = Preparation(), Quarters()
    canvas = torch.tensor(preparation.padding, dtype=torch.uint8).view(3, 1, 1).repeat(1, 64, 64)
    canvas[:, 10:40, 20:64] = picture(30, 44)
    canvas[:, 20] = canvas[:, 0, :1]  # a row of that colour within
    batch = Batch(preparation.normalise(canvas[None]), (Frame((64, 64), (64, 64)),))
    regions = batch_regions(batch, preparation, search)
    assert torch.equal(search.seen[0], canvas[:, 10:40, 20:64])
    assert regions.boxes.tolist() == [[20, 10, 64, 40], [20, 10, 42, 25]]


def test_where_the_picture_lies_in_its_frame() -> None:
    preparation, search = Preparation(), Quarters()
    batch = Batch(
        preparation.normalise(picture(40, 60)[None]), (Frame((20, 30), (20, 30), (8, 16)),)
    )
    regions = batch_regions(batch, preparation, search)
    assert regions.boxes.tolist()[0] == [16, 8, 46, 28]
    assert torch.equal(search.seen[0], picture(40, 60)[:, 8:28, 16:46])


def test_a_picture_of_the_padding_s_colour_is_searched_whole() -> None:
    preparation, search = Preparation(), Quarters()
    batch = Batch(torch.zeros(1, 3, 32, 48), (Frame((32, 48), (32, 48)),))
    assert len(batch_regions(batch, preparation, search)) == 2
    assert search.seen[0].shape == (3, 32, 48)


def test_images_without_proposals_have_no_regions() -> None:
    batch = Batch(torch.zeros(2, 3, 32, 48), (Frame((32, 48), (32, 48)),) * 2)
    regions = batch_regions(batch, Preparation(), nothing)
    assert len(regions) == 0 and regions.boxes.shape == (0, 4)


def test_copies_of_a_detector_share_it_and_other_processes_its_folder(tmp_path: Path) -> None:
    store = ProposalStore(tmp_path, limit=100)
    assert copy.deepcopy([store])[0] is store
    boxes = store.boxes(picture(), Quarters(), "fast")
    other = pickle.loads(pickle.dumps(store))
    assert other.limit == 100 and torch.equal(other.boxes(picture(), nothing, "fast"), boxes)
