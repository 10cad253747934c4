"""Batches are a pure function of seed, step and size, whoever makes them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.data.augment import Augmentation
from sightline.data.loader import Loaded, Loader
from sightline.data.placement import Picture
from sightline.data.prefetch import prefetch
from sightline.data.records import Dataset, Example, Objects, Skeleton
from sightline.data.sampler import Sampler, repeat_factors
from sightline.errors import DatasetError, ImageError, ResourceError, UsageError

FLIPS = Skeleton(("left", "right"), ((0, 1),), (1, 0), (0.1, 0.1))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Seven pictures of noise; the fourth has no object, the fifth a crowd."""
    rng, examples = np.random.default_rng(0), []
    for i in range(7):
        height, width = 40 + 3 * i, 70 - 2 * i
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        count = 0 if i == 3 else 2
        points = np.full((count, 2, 3), 20, np.float32)
        objects = Objects.of(
            [[5, 5, 35, 30], [10, 2, 40, 39]][:count], [0, 1][:count], None, points
        )
        if i == 4:
            objects.crowd[0] = True
        examples.append(Example(path, i, (height, width), objects))
    return Dataset(tuple(examples), ("a", "b"), (1, 2), FLIPS, "noise", tmp_path, None)


def same(one: Loaded, other: Loaded) -> bool:
    fields = ("boxes", "labels", "crowd", "keypoints")
    return torch.equal(one[0], other[0]) and all(
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one[1], other[1], strict=True)
        for name in fields
    )


MIXED = Augmentation(mixup=0.5)


def test_a_batch_depends_on_seed_step_and_size_only(dataset: Dataset) -> None:
    first = Loader(dataset, MIXED, 3, seed=5)
    order = [first.batch(step, 64) for step in (0, 1, 9)]
    fresh = Loader(dataset, MIXED, 3, seed=5, cache_bytes=0)
    for step, loaded in zip((9, 1, 0), reversed(order), strict=True):
        assert same(fresh.batch(step, 64), loaded)
    assert not same(Loader(dataset, MIXED, 3, seed=6).batch(0, 64), order[0])
    assert not same(order[0], order[1])
    pixels, targets = fresh.batch(0, 96)
    assert pixels.shape == (3, 3, 96, 96) and pixels.dtype == torch.uint8 and len(targets) == 3
    assert pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_is_the_same_with_any_number_of_workers(dataset: Dataset, workers: int) -> None:
    sizes = [64, 32, 64, 96, 64, 32, 32]
    alone = list(Loader(dataset, MIXED, 2, seed=1).stream(2, sizes))
    assert [pixels.shape[-1] for pixels, _ in alone] == sizes
    together = Loader(dataset, MIXED, 2, seed=1, workers=workers)
    for one, other in zip(alone, together.stream(2, sizes), strict=True):
        assert same(one, other)
    assert together.waited > 0
    second = list(together.stream(3, sizes[1::2], stride=2))  # one of two processes
    for one, other in zip(alone[1::2], second, strict=True):
        assert same(one, other)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_parts_of_all_processes_are_the_batch_of_one(dataset: Dataset, processes: int) -> None:
    pixels, targets = Loader(dataset, MIXED, 6, seed=1).batch(3, 64)
    parts = [
        Loader(dataset, MIXED, 6, seed=1).share(rank, processes).batch(3, 64)
        for rank in range(processes)
    ]
    joined = torch.cat([part[0] for part in parts])
    assert same((pixels, targets), (joined, [t for part in parts for t in part[1]]))


def test_a_batch_that_does_not_divide_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="--batch 4"):
        Loader(dataset, MIXED, 5, seed=1).share(0, 2)


def test_a_stream_may_be_left_early_and_be_endless(dataset: Dataset) -> None:
    from itertools import repeat

    before = threading.active_count()
    stream = Loader(dataset, MIXED, 2, seed=1, workers=2).stream(0, repeat(32))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_images_without_objects_and_crowds_are_ordinary(dataset: Dataset) -> None:
    loader = Loader(dataset, Augmentation.none(), 7, seed=0)
    _, targets = loader.batch(0, 64)
    rows = loader.sampler.rows(0).tolist()
    empty, crowded = targets[rows.index(3)], targets[rows.index(4)]
    assert empty.boxes.shape == (0, 4) and empty.keypoints is not None
    assert empty.keypoints.shape == (0, 2, 3)
    assert crowded.crowd.tolist() == [True, False]
    assert crowded.boxes.dtype == torch.float32 and crowded.labels.dtype == torch.int64


def test_the_cache_stops_at_its_limit(dataset: Dataset) -> None:
    roomy = Loader(dataset, MIXED, 7, seed=0)
    roomy.batch(0, 32)
    assert len(roomy.pictures) == 7
    tight = Loader(dataset, MIXED, 7, seed=0, cache_bytes=roomy.pictures.nbytes // 2)
    tight.batch(0, 32)
    assert 0 < len(tight.pictures) < 7
    assert tight.pictures.nbytes <= roomy.pictures.nbytes // 2


def test_a_bad_file_ends_the_run_and_is_named(dataset: Dataset) -> None:
    dataset[2].path.write_bytes(dataset[2].path.read_bytes()[:60])
    for workers in (0, 2):
        with pytest.raises(ImageError) as caught:
            list(Loader(dataset, MIXED, 4, seed=0, workers=workers).stream(0, [32] * 4))
        assert caught.value.path is not None and caught.value.path.endswith("2.png")


def test_bad_files_are_skipped_if_wished_up_to_a_share(dataset: Dataset) -> None:
    dataset[2].path.write_bytes(b"not an image")
    loader = Loader(dataset, MIXED, 4, seed=0, workers=2).skip_bad(0.2)
    loaded = list(loader.stream(0, [32] * 6))
    assert list(loader.bad) == [2]
    again = list(Loader(dataset, MIXED, 4, seed=0).skip_bad(0.2).stream(0, [32] * 6))
    assert all(same(a, b) for a, b in zip(loaded, again, strict=True))
    dataset[5].path.write_bytes(b"not an image")
    with pytest.raises(ImageError):
        list(Loader(dataset, MIXED, 4, seed=0).skip_bad(0.2).stream(0, [32] * 6))


def test_threads_that_meet_the_same_bad_file_count_it_once(dataset: Dataset) -> None:
    loader = Loader(dataset, MIXED, 2, seed=0).skip_bad(0.2)
    both = threading.Barrier(2, timeout=10)

    class Broken:
        def __getitem__(self, row: int) -> Picture:
            if row == 2:
                both.wait()  # both threads have looked before either has told
                raise ImageError("broken", code="image.corrupt")
            return Picture.of(np.zeros((4, 4, 3), np.uint8), Objects.of([], []))

    loader.pictures = Broken()  # type: ignore[assignment]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(loader.picture, [2, 2]))
    assert len(found) == 2 and list(loader.bad) == [2]


def test_an_image_of_another_size_than_its_labels_is_refused(dataset: Dataset) -> None:
    wrong = replace(dataset[0], size=(10, 20))
    changed = replace(dataset, examples=(wrong,))
    with pytest.raises(DatasetError, match="size_mismatch"):
        Loader(changed, MIXED, 1, seed=0).batch(0, 32)


def test_an_epoch_meets_every_image_and_fills_the_last_batch(dataset: Dataset) -> None:
    sampler = Sampler(dataset, 3, seed=4)
    assert sampler.steps == 3
    epochs = [np.concatenate([sampler.rows(e * 3 + s) for s in range(3)]) for e in range(4)]
    for rows in epochs:
        assert len(rows) == 9 and set(rows.tolist()) == set(range(7))
        assert rows[7:].tolist() == rows[:2].tolist()
    assert any((epochs[0] != rows).any() for rows in epochs[1:])


def test_rare_classes_are_met_more_often(tmp_path: Path) -> None:
    labels = [[0]] * 98 + [[0, 1]] + [[]]
    examples = tuple(
        Example(tmp_path / str(i), i, (9, 9), Objects.of([[0, 0, 5, 5]] * len(row), row))
        for i, row in enumerate(labels)
    )
    dataset = Dataset(examples, ("common", "rare", "none"), (1, 2, 3), None, "x", tmp_path, None)
    factors = repeat_factors(dataset, 0.09)
    assert factors[98] == pytest.approx(3.0)  # √(0.09 / 0.01)
    assert (np.delete(factors, 98) == 1).all()
    assert (repeat_factors(dataset, 0.0) == 1).all()
    sampler = Sampler(dataset, 10, seed=0, balance=0.0225)  # 1.5 times
    counts = [int((sampler.epoch(e) == 98).sum()) for e in range(300)]
    assert sampler.steps == 10 and set(counts) <= {0, 1, 2}
    assert np.mean(counts) == pytest.approx(1.5 * 100 / 100.5, abs=0.12)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"seed": -1}, {"balance": 1.0}])
def test_senseless_arguments_are_refused(dataset: Dataset, wrong: dict[str, float]) -> None:
    arguments = {"batch": 2, "seed": 0} | wrong
    with pytest.raises(UsageError):
        Loader(dataset, MIXED, **arguments)  # type: ignore[arg-type]


def test_an_empty_data_set_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.empty"):
        Loader(dataset.subset([]), MIXED, 2, seed=0)


def test_prefetched_results_come_in_order_and_not_too_far_ahead() -> None:
    started: list[int] = []

    def work(job: int) -> int:
        started.append(job)
        time.sleep(0.002 * (job % 3))
        return job * job

    results = prefetch(work, range(20), workers=2)
    assert next(results) == 0
    time.sleep(0.1)
    assert len(started) <= 5  # one claimed, four waiting
    assert list(results) == [n * n for n in range(1, 20)]
    assert list(prefetch(work, [], workers=3)) == []


def test_errors_come_in_their_turn_whether_of_a_job_or_of_the_list() -> None:
    def broken() -> object:
        yield 1
        raise OSError("no more")

    def work(job: int) -> float:
        return 1 / (3 - job)

    results = prefetch(work, range(9), workers=2)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    results = prefetch(work, broken(), workers=2)  # type: ignore[arg-type]
    assert next(results) == 0.5
    with pytest.raises(OSError, match="no more"):
        next(results)


def test_a_job_that_hangs_is_named() -> None:
    release = threading.Event()
    results = prefetch(
        lambda job: release.wait(30), ["a.jpg"], workers=1, what=lambda job: f"file {job}",
        timeout=0.1,
    )  # fmt: skip
    with pytest.raises(ResourceError, match=r"file a\.jpg") as caught:
        next(results)
    assert caught.value.code == "loader.timeout"
    release.set()


def test_the_files_of_a_batch_are_those_that_its_pixels_came_from(dataset: Dataset) -> None:
    loader = Loader(dataset, MIXED, 3, seed=5)
    for step in range(4):
        pixels, files = loader.sources(step, 64)
        assert torch.equal(pixels, loader.batch(step, 64)[0])
        turn = [dataset[int(row)].path for row in loader.sampler.rows(step)]
        assert [paths[0] for paths in files] != [] and all(
            path in paths for path, paths in zip(turn, files, strict=True)
        )
    alone = Loader(dataset, Augmentation.none(), 3, seed=5)
    assert alone.sources(1, 64)[1] == [[dataset[int(r)].path] for r in alone.sampler.rows(1)]
