"""Threads of a network wait briefly in the command line's process, and as they like in others."""

import os
import subprocess
import sys

import pytest

from sightline import waiting

REPORT = """
import os, sys
from sightline import waiting
assert "torch" not in sys.modules
with waiting.brief():
    print(os.environ.get("GOMP_SPINCOUNT"))
print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, ["10000", "None"]),
        ({"GOMP_SPINCOUNT": "7"}, ["7", "7"]),
        ({"OMP_WAIT_POLICY": "active"}, ["None", "None"]),
    ],
)
def test_what_the_user_chose_stays(chosen: dict[str, str], told: list[str]) -> None:
    without = {
        k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env=without | chosen,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == told


def test_once_torch_is_loaded_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert torch.get_num_threads() >= 1
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    with waiting.brief():
        assert "GOMP_SPINCOUNT" not in os.environ


def test_the_command_line_says_it_before_torch_is_loaded() -> None:
    """`sightline.cli` alone loads no torch, so that a verb's first import finds the environment."""
    code = "import sys, sightline.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
