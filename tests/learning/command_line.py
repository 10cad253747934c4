"""Runs of the command line, for tests of what is learnt."""

import json
import subprocess
import sys
from typing import Any


def command(verb: str, *words: object) -> dict[str, Any]:
    """What a verb prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "sightline", verb, *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
