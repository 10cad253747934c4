"""Checkpoints: what is written comes back, and whatever happens to the files is noticed."""

import itertools
import json
import os
import random
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from crash_points import full_at, killed, watched
from sightline import checkpoint
from sightline.errors import ResourceError, SightlineError, WeightsError

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")

MANIFEST = {"model": "toy", "classes": ["cat", "dog"]}


def state(value: float = 1.0) -> dict[str, Tensor]:
    return {"a.weight": torch.full((3, 5), value), "a.steps": torch.tensor(7)}


class Toy(nn.Module):
    """Two classes, three anchors: a head of 6 outputs."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes
        self.body = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3 * len(classes))


def test_round_trip_of_every_spelling_of_the_path(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "run" / "v1.5", state(), MANIFEST)
    for name in ("v1.5", "v1.5.safetensors", "v1.5.json"):
        found = checkpoint.read(tmp_path / "run" / name)
        assert found.classes == ("cat", "dog")
        assert torch.equal(found.state["a.weight"], state()["a.weight"])
        assert found.state["a.steps"].dtype == torch.int64
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "v1.5.json",
        "v1.5.safetensors",
    ]
    assert json.loads((tmp_path / "run" / "v1.5.json").read_text())["dtype"] == "float32"


def test_half_precision_is_widened(tmp_path: Path) -> None:
    half = {"w": torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).half()}
    checkpoint.write(tmp_path / "h", half, MANIFEST)
    found = checkpoint.read(tmp_path / "h")
    assert found.state["w"].dtype == torch.float32
    assert torch.equal(found.state["w"], half["w"].float())
    assert found.manifest["dtype"] == "float16"


def test_shared_and_strided_tensors_are_written(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    checkpoint.write(tmp_path / "s", {"a": base, "b": base, "c": base.t()}, MANIFEST)
    found = checkpoint.read(tmp_path / "s").state
    assert torch.equal(found["b"], base)
    assert torch.equal(found["c"], base.t())


def test_a_folder_means_best_else_last(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(tmp_path)
    assert caught.value.code == "weights.not_found"
    checkpoint.write(tmp_path / "last", state(1), MANIFEST)
    assert checkpoint.read(tmp_path).state["a.weight"][0, 0] == 1
    checkpoint.write(tmp_path / "best", state(2), MANIFEST)
    assert checkpoint.read(tmp_path).state["a.weight"][0, 0] == 2


def _cut(folder: Path) -> None:
    tensors = folder / "m.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-9])


def _empty(folder: Path) -> None:
    (folder / "m.safetensors").write_bytes(b"")


def _flip(folder: Path) -> None:
    data = bytearray((folder / "m.safetensors").read_bytes())
    data[-5] ^= 1
    (folder / "m.safetensors").write_bytes(data)


def _edit(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "m.json").read_text())
        (folder / "m.json").write_text(json.dumps({**manifest, **values}))

    return change


def _text(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "m.json").write_text(text) and None


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_cut, "weights.truncated"),
        (_empty, "weights.truncated"),
        (_flip, "weights.checksum"),
        (_edit(sha256="0" * 64), "weights.checksum"),
        (_edit(format=2, sightline="9.0"), "weights.format"),
        (_edit(sha256=None), "weights.format"),
        (_edit(classes=["cat", "dot"]), "weights.checksum"),
        (_text("<html>"), "weights.format"),
        (_text("[" * 100_000), "weights.format"),
        (_text("[]"), "weights.format"),
        (lambda folder: (folder / "m.json").unlink(), "weights.not_found"),
        (lambda folder: (folder / "m.safetensors").unlink(), "weights.not_found"),
    ],
)
def test_damage_has_its_own_code(tmp_path: Path, damage: Callable[[Path], None], code: str) -> None:
    checkpoint.write(tmp_path / "m", state(), MANIFEST)
    damage(tmp_path)
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(tmp_path / "m")
    assert caught.value.code == code
    assert caught.value.path is not None


def test_no_flipped_byte_is_silent(tmp_path: Path) -> None:
    """Of the tensors and of the manifest: an error with a type, or the same content."""
    preparation = {"shorter": None, "longer": 64, "mean": [0.485, 0.456, 0.406]}
    checkpoint.write(tmp_path / "m", state(), {**MANIFEST, "preparation": preparation})
    sound = checkpoint.read(tmp_path / "m")
    draw, refused = random.Random(5), 0
    for file in ("m.safetensors", "m.json"):
        whole = (tmp_path / file).read_bytes()
        for _ in range(600):
            data = bytearray(whole)
            data[draw.randrange(len(data))] = draw.randrange(256)
            (tmp_path / file).write_bytes(data)
            try:
                found = checkpoint.read(tmp_path / "m")
            except WeightsError:
                refused += 1
            else:
                assert found.manifest == sound.manifest
                assert found.state.keys() == sound.state.keys()
                assert all(torch.equal(found.state[k], sound.state[k]) for k in sound.state)
        (tmp_path / file).write_bytes(whole)
    assert refused > 1000


def test_every_flipped_bit_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    """The name of its sum among them: no bit of it turns a new manifest into an old one."""
    checkpoint.write(tmp_path / "m", state(), MANIFEST)
    whole, sound = (tmp_path / "m.json").read_bytes(), checkpoint.read(tmp_path / "m").manifest
    for place, bit in itertools.product(range(len(whole)), range(8)):
        data = bytearray(whole)
        data[place] ^= 1 << bit
        (tmp_path / "m.json").write_bytes(data)
        try:
            assert checkpoint.read(tmp_path / "m").manifest == sound
        except WeightsError:
            continue


def test_a_manifest_from_before_its_sum_is_read(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "m", state(), MANIFEST)
    manifest = json.loads((tmp_path / "m.json").read_text())
    del manifest["manifest_sha256"], manifest["model"]
    (tmp_path / "m.json").write_text(json.dumps({**manifest, "data_sha256": "0" * 64}))
    assert checkpoint.read(tmp_path / "m").classes == ("cat", "dog")


def test_a_newer_format_says_which_version_reads_it(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "m", state(), MANIFEST)
    _edit(format=7, sightline="9.0")(tmp_path)
    with pytest.raises(WeightsError, match=r"sightline >= 9\.0"):
        checkpoint.read(tmp_path / "m")


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(tmp_path / "model.pth")
    assert caught.value.code == "weights.unsafe_format"


def test_nan_is_refused_on_both_ways(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        checkpoint.write(tmp_path / "m", {"w": torch.tensor([1.0, float("nan")])}, MANIFEST)
    assert caught.value.code == "weights.non_finite"
    assert not list(tmp_path.iterdir())
    import hashlib

    import safetensors.torch

    data = safetensors.torch.save({"w": torch.tensor([float("inf")])})
    (tmp_path / "m.safetensors").write_bytes(data)
    manifest = {"format": 1, "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError) as caught:
        checkpoint.read(tmp_path / "m")
    assert caught.value.code == "weights.non_finite"


def value_of(path: Path) -> float:
    (value,) = checkpoint.read(path).state["a.weight"].unique().tolist()
    return float(value)


@posix
def test_killed_at_any_point_the_old_or_the_new_is_there(tmp_path: Path) -> None:
    for point in itertools.count(1):
        goal = tmp_path / str(point) / "m"
        checkpoint.write(goal, state(1), {**MANIFEST, "figures": {"AP": 1}})

        def write(goal: Path = goal) -> None:
            checkpoint.write(goal, state(2), {**MANIFEST, "figures": {"AP": 2}})

        finished = killed(write, point)
        value = value_of(goal)
        assert value in ((2.0,) if finished else (1.0, 2.0))
        assert checkpoint.read(goal).manifest["figures"]["AP"] == value
        checkpoint.write(goal, state(3), MANIFEST)
        assert value_of(goal) == 3.0
        assert {p.name for p in goal.parent.iterdir()} == {"m.json", "m.safetensors"}
        if finished:
            break
    assert point >= 11  # twice write and fsync, three fsyncs of the folder, two renames, …


@posix
def test_what_a_killed_write_left_is_finished_or_swept(tmp_path: Path) -> None:
    for point in itertools.count(1):
        goal = tmp_path / str(point) / "m"
        checkpoint.write(goal, state(1), MANIFEST)
        other = goal.parent / ".m.safetensors.mine.tmp"
        other.write_text("not ours")

        def write(goal: Path = goal) -> None:
            checkpoint.write(goal, state(2), MANIFEST)

        finished = killed(write, point)
        before = value_of(goal)
        checkpoint.tidy(goal.parent)
        assert value_of(goal) == before
        assert {p.name for p in goal.parent.iterdir()} == {
            "m.json",
            "m.safetensors",
            other.name,
        }
        if finished:
            break


def test_a_disk_that_fills_at_any_point_is_typed(tmp_path: Path) -> None:
    for point in itertools.count(1):
        goal = tmp_path / str(point) / "m"
        checkpoint.write(goal, state(1), MANIFEST)
        with full_at(point) as seen:
            try:
                checkpoint.write(goal, state(2), MANIFEST)
            except ResourceError as error:
                assert error.code == "resource.disk_full"
            else:
                assert len(seen) < point
        assert value_of(goal) in (1.0, 2.0)
        assert {p.name for p in goal.parent.iterdir()} == {"m.json", "m.safetensors"}
        if len(seen) < point:
            break
        if point <= 5:  # before the manifest's rename nothing has changed
            assert value_of(goal) == 1.0
    assert point >= 8


def test_renames_reach_the_disk_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real = os.fsync

    def noted(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            events.append("folder")
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with watched(lambda kind: events.append(kind) if kind == "replace" else None):
        checkpoint.write(tmp_path / "m", state(), MANIFEST)
    assert events == ["folder", "replace", "folder", "replace", "folder"] or os.name == "nt"


@posix
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "m", state(1), MANIFEST)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            checkpoint.write(tmp_path / "m", {"w": torch.zeros(5000)}, MANIFEST)
        except ResourceError as error:
            status = 0 if error.code == "resource.disk_full" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert value_of(tmp_path / "m") == 1.0
    assert {p.name for p in tmp_path.iterdir()} == {"m.json", "m.safetensors"}


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError):
        checkpoint.write(tmp_path / "file" / "m", state(), MANIFEST)


def test_load_into_names_both_class_counts(tmp_path: Path) -> None:
    source = Toy(("a", "b"))
    checkpoint.write(tmp_path / "m", source.state_dict(), {"classes": ["a", "b"]})
    found = checkpoint.read(tmp_path / "m")
    same = Toy(("c", "d"))
    checkpoint.load_into(same, found)
    assert torch.equal(same.head.weight, source.head.weight)
    with pytest.raises(WeightsError, match=r"2 classes.* 3") as caught:
        checkpoint.load_into(Toy(("a", "b", "c")), found)
    assert caught.value.code == "weights.class_count"
    anonymous = checkpoint.Checkpoint(found.state, {})
    with pytest.raises(WeightsError, match=r"2 classes.* 3") as caught:
        checkpoint.load_into(Toy(("a", "b", "c")), anonymous)
    assert caught.value.code == "weights.class_count"


def test_load_into_with_a_new_head_is_explicit(tmp_path: Path) -> None:
    source, target = Toy(("a", "b")), Toy(("a", "b", "c"))
    before = target.head.weight.detach().clone()
    whole = checkpoint.Checkpoint(source.state_dict(), {"classes": ["a", "b"]})
    checkpoint.load_into(target, whole, ignore=("head.",))
    assert torch.equal(target.body.weight, source.body.weight)
    assert torch.equal(target.head.weight, before)


def test_load_into_copies_nothing_when_something_does_not_fit() -> None:
    target = Toy(("a", "b"))
    before = target.body.weight.detach().clone()
    wrong = {"body.weight": torch.ones(5, 4), "extra": torch.ones(1)}
    with pytest.raises(SightlineError) as caught:
        checkpoint.load_into(target, checkpoint.Checkpoint(wrong, {}))
    assert caught.value.code == "weights.architecture"
    assert "head.weight" in str(caught.value)
    assert "extra" in str(caught.value)
    assert torch.equal(target.body.weight, before)
