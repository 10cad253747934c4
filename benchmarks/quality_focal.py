"""The quality focal loss and its gradient: kernel against the definition, interleaved.

python benchmarks/quality_focal.py [--rounds 7]
"""

import argparse
import time

import numpy as np
import torch

from sightline.memory import keep_freed_memory
from sightline.ops.quality_focal import quality_focal


def seconds(loss: object, logits: torch.Tensor, targets: torch.Tensor) -> float:
    own = logits.clone().requires_grad_()
    began = time.perf_counter()
    loss(own, targets).backward()  # type: ignore[operator]
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    keep_freed_memory()
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 3069, 80, generator=rng) * 2 - 5  # a batch of 8 at 384 pixels
    targets = torch.zeros_like(logits)
    some = torch.rand(logits.shape, generator=rng) < 0.01
    targets[some] = torch.rand(int(some.sum()), generator=rng)
    times: dict[str, list[float]] = {"definition": [], "kernel": []}
    for turn in range(rounds + 1):
        for name, loss in (("definition", quality_focal.reference), ("kernel", quality_focal)):
            took = seconds(loss, logits, targets)
            if turn:  # the first is the compiler's
                times[name].append(took)
    peer, ours = (float(np.median(times[name])) for name in ("definition", "kernel"))
    print(f"definition {1e3 * peer:.1f} ms, kernel {1e3 * ours:.1f} ms, {peer / ours:.1f}×")


if __name__ == "__main__":
    main()
