"""Two processes that learn together are one that learns the whole batch; none waits for ever."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from one_of_several import several
from safetensors.torch import load_file

from sightline.data.records import Dataset

FROZEN = ["steps=6", "batch=4", "evaluate_every=0.5", "learning_rate=0.002", "start='frozen'"]
"""Batch norms that do not learn, as where a run starts from published weights."""


def run(number: int, drawn: Dataset, out: Path, *changes: str) -> None:
    for status, words in several(number, [str(drawn.root), str(out), *FROZEN, *changes]):
        assert status == 0, words


def difference(one: Path, other: Path) -> float:
    first, second = (load_file(path / "last.safetensors") for path in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[k].float() - second[k].float()).abs().max()) for k in first)


def figures(out: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((out / "last.json").read_text())["figures"]
    return answer


def same_bits(one: Path, other: Path) -> bool:
    return all(
        (one / f"{name}.safetensors").read_bytes() == (other / f"{name}.safetensors").read_bytes()
        for name in ("best", "last")
    )


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "bound"), [("sgd", 1e-6), ("adamw", 2e-4)])
def test_two_halves_of_a_batch_teach_what_the_whole_does(
    drawn: Dataset, tmp_path: Path, optimizer: str, bound: float
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(1, drawn, one, f"optimizer={optimizer!r}")
    run(2, drawn, two, f"optimizer={optimizer!r}")
    apart = difference(one, two)
    print(f"{optimizer}: the weights of 1 × 4 and 2 × 2 images differ by {apart:.1e} at most")
    assert apart < bound  # AdamW makes a step of a gradient that is nearly nothing
    told = figures(one)
    assert told["detections"] > 0
    assert told["images"] == 5  # which two processes cannot halve
    assert figures(two) == pytest.approx(told, abs=1e-3)


@pytest.mark.slow
def test_norms_that_learn_take_the_statistics_of_all(drawn: Dataset, tmp_path: Path) -> None:
    for number in (1, 2):
        more = ["start=None", "steps=1", "log_steps=1", "optimizer='sgd'"]
        run(number, drawn, tmp_path / str(number), *more)
    one, two = (
        json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[0]) for name in "12"
    )
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert difference(tmp_path / "1", tmp_path / "2") < 1e-3


@pytest.mark.slow
def test_more_processes_than_images_to_evaluate_on(drawn: Dataset, tmp_path: Path) -> None:
    run(2, drawn, tmp_path / "run", "validation=1", "steps=2")
    assert figures(tmp_path / "run")["images"] == 1


@pytest.mark.slow  # test_processes has the same of what they say to each other
def test_a_lost_process_ends_the_run_at_once(drawn: Dataset, tmp_path: Path) -> None:
    began = time.monotonic()
    first, second = several(
        2, [str(drawn.root), str(tmp_path / "run"), *FROZEN, "harm=('SIGKILL', 1, 3)"]
    )
    assert second[0] == -9
    assert first[0] == 6
    assert "[resource.worker_lost]" in first[1]
    assert time.monotonic() - began < 120


@pytest.mark.slow
def test_a_silent_process_is_waited_for_a_bounded_time(drawn: Dataset, tmp_path: Path) -> None:
    arguments = [str(drawn.root), str(tmp_path / "run"), *FROZEN, "worker_timeout=8.0"]
    found = several(2, [*arguments, "harm=('SIGSTOP', 1, 3)"], waits_for=1)
    assert found[0][0] == 6
    assert "[resource.worker_lost]" in found[0][1]


def torchrun(drawn: Dataset, out: Path, *changes: str) -> subprocess.CompletedProcess[str]:
    """A run of two processes by torchrun, which starts them anew once."""
    script = str(Path(__file__).with_name("one_of_several.py"))
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    arguments = [script, str(drawn.root), str(out), *FROZEN, "threads=1", *changes]
    return subprocess.run(
        [sys.executable, "-m", *start, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.slow
def test_torchrun_takes_it_up_from_the_last_checkpoint(drawn: Dataset, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(2, drawn, whole, "save_seconds=0.0")
    done = torchrun(drawn, killed, "save_seconds=0.0", "harm=('SIGKILL', 1, 3)")
    assert done.returncode == 0, done.stderr
    assert f"resuming {killed} at step" in done.stderr, done.stderr
    assert same_bits(killed, whole)


@pytest.mark.slow
def test_torchrun_that_is_asked_to_stop_lets_the_step_end(drawn: Dataset, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(2, drawn, whole)
    done = torchrun(drawn, stopped, "harm=('everybody', 1, 2)")
    assert done.returncode != 0
    assert "stopped at step 3" in done.stderr, done.stderr
    run(2, drawn, stopped, "resume=True")
    assert same_bits(stopped, whole)


@pytest.mark.slow
def test_one_that_is_asked_to_stop_stops_all(drawn: Dataset, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(2, drawn, whole)
    arguments = [str(drawn.root), str(stopped), *FROZEN]
    ends = several(2, [*arguments, "harm=('SIGTERM', 1, 2)"])
    assert [status for status, _ in ends] == [143, 143]
    assert "stopped at step 3" in ends[0][1]
    run(2, drawn, stopped, "resume=True")
    assert same_bits(stopped, whole)


@pytest.mark.slow
def test_numbers_that_go_wrong_in_one_end_all(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ends = several(2, [str(drawn.root), str(out), *FROZEN, "bad_steps=0", "harm=('nan', 1, 2)"])
    assert [status for status, _ in ends] == [7, 7], ends
    record = json.loads((out / "diverged.json").read_text())
    assert record["step"] == 2
    assert record["parts"] == ["box"]
    assert len(record["images"]) == 4  # those of both


def test_processes_of_different_runs_are_refused(drawn: Dataset, tmp_path: Path) -> None:
    ends = several(2, [str(drawn.root), str(tmp_path / "run"), *FROZEN, "other_seed=1"])
    for status, words in ends:
        assert status == 2
        assert "seed: 0 and 5 [train.processes_differ]" in words
