"""Images a second of one process with all cores, and of one process a core by torchrun.

    python benchmarks/processes.py DATA [--steps 12] [--size 320] [--batch 8] [--runs 3]

Both train `retinanet_mobilenet_v2` by the command line on the same batches, in turn; the first four
steps do not count. What is printed is the median, and the ratio.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TORCHRUN = ["-m", "torch.distributed.run", "--standalone"]


def pace(data: str, processes: int, chosen: argparse.Namespace) -> tuple[float, float]:
    """(images a second, the last loss) of one run."""
    cores = len(os.sched_getaffinity(0))
    start = [] if processes == 1 else [*TORCHRUN, f"--nproc-per-node={processes}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        options = {
            "--model": "retinanet_mobilenet_v2",
            "--steps": chosen.steps + 4,
            "--size": chosen.size,
            "--batch": chosen.batch,
            "--threads": cores // processes,
            "--out": out,
        }
        words = [str(word) for pair in options.items() for word in pair]
        more = ["--no-validate", "--set", "log_steps=4", "--set", "bf16=False"]
        command = [sys.executable, *start, "-m", "sightline", "train", data, *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        rows = list(csv.DictReader((out / "log.csv").open()))
    rates = [float(row["images_per_second"]) for row in rows[1:] if row["images_per_second"]]
    return statistics.median(rates), float(rows[-1]["loss"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    for name, value in (("steps", 12), ("size", 320), ("batch", 8), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    found: dict[int, list[tuple[float, float]]] = {1: [], cores: []}
    for _ in range(chosen.runs):
        for processes, results in found.items():
            results.append(pace(chosen.data, processes, chosen))
    one, all_of_them = (statistics.median(r for r, _ in found[n]) for n in (1, cores))
    losses = [found[n][0][1] for n in (1, cores)]
    print(f"1 process, {cores} threads:     {one:6.2f} images/s, loss {losses[0]:.5f}")
    print(f"{cores} processes, 1 thread each: {all_of_them:6.2f} images/s, loss {losses[1]:.5f}")
    print(f"ratio {all_of_them / one:.2f}")
    print(json.dumps({"one": one, "several": all_of_them, "cores": cores}))


if __name__ == "__main__":
    main()
