"""What an answer takes: time by stage, throughput, memory.

Latencies are taken in turn, image by image, all models in one process on one thread, so that
whatever else the machine does meets all of them.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sightline import images, pipeline
from sightline.compare.rows import Times
from sightline.data.records import Dataset
from sightline.predict import Model
from sightline.train.compare import WARMUP, one_thread, peak_memory

BATCH, PATIENCE = 8, 20.0
"""Images of a batch for the throughput, and seconds after which no further batch is begun."""

SLOW = 60.0
"""Seconds after which a model answers no further image for its latency."""


def measure(
    models: Mapping[str, Model],
    paths: Mapping[str, Path],
    test: Dataset,
    looks: int,
    training: Mapping[str, float | None],
) -> dict[str, Times]:
    """The times of every model on the first images of `test`; `looks` of them tell latencies."""
    count = min(len(test), looks)
    pixels = [images.read(test[row].path) for row in range(count)]
    with one_thread():
        spent, stages = _latencies(models, pixels)
    answer = {}
    for name, model in models.items():
        answer[name] = Times(
            training=training[name],
            milliseconds=1000 * statistics.median(spent[name]),
            stages={
                verb: 1000 * statistics.median(one[verb] for one in stages[name])
                for verb in stages[name][0]
            },
            throughput=_throughput(model, pixels[:BATCH]),
            memory=peak_memory(paths[name], test[0].path),
        )
    return answer


def _latencies(
    models: Mapping[str, Model], pixels: Sequence[Tensor]
) -> tuple[dict[str, list[float]], dict[str, list[Mapping[str, float]]]]:
    """CPU seconds, and wall seconds of the verbs, of every image after the first ones."""
    spent: dict[str, list[float]] = {name: [] for name in models}
    stages: dict[str, list[Mapping[str, float]]] = {name: [] for name in models}
    for turn in range(WARMUP + len(pixels)):
        for name, model in models.items():
            if sum(spent[name]) > SLOW:
                continue
            began = time.process_time()
            trace = pipeline.run(model.detector, [pixels[max(0, turn - WARMUP)]])
            if turn >= WARMUP:
                spent[name].append(time.process_time() - began)
                stages[name].append(trace.seconds)
    return spent, stages


def _throughput(model: Model, pixels: Sequence[Tensor]) -> float:
    """Images a second of wall time on all threads; those of one size share a batch."""
    began, done = time.perf_counter(), 0
    with torch.inference_mode():
        while done == 0 or (done < 2 * BATCH and time.perf_counter() - began < PATIENCE):
            pipeline.detect(model.detector, pixels, BATCH)
            done += len(pixels)
    return done / (time.perf_counter() - began)
