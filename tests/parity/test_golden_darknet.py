"""Darknet's networks, run from made-up weights, against the outputs that another reader gave.

`pytest tests/parity --golden DIR` takes darknet-<network>-<image>.npz of DIR. The weights are made
by the recipe of the folder's README, as the bytes of a .weights file; our own statement of each
network is the .cfg file; both go in by the way of a user's files, and come out as the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline import boxes as bx
from sightline import pipeline
from sightline.detectors import darknet_files
from sightline.nets import darknet_cfg, darknet_weights
from sightline.nets.darknet_plan import Layer

SIZE = 416
TOLERANCE = 1e-3
NETWORKS = {
    "darknet-yolov2-voc-astronaut": ("yolo_v2_darknet19", 20),
    "darknet-yolov3-cat": ("yolo_v3_darknet53", 80),
    "darknet-yolov3-tiny-coffee": ("yolo_v3_tiny", 80),
}
"""File → model, classes."""


def made_up(layers: Sequence[Layer]) -> bytes:
    """A .weights file for these layers, each from its number alone."""
    parts = [np.array([0, 2, 0], "<i4").tobytes(), np.array([0], "<i8").tobytes()]
    blocks = [layer for layer in layers if layer.block is not None]
    for number, layer in enumerate(blocks):
        rng = np.random.Generator(np.random.PCG64(number))
        for name, tensor in darknet_weights.tensors(layer):
            shape = tuple(tensor.shape)
            z = rng.standard_normal(shape).astype(np.float32)
            value = {
                "biases": 0.02 * z,
                "scales": 0.7 + 0.05 * z,
                "means": 0.1 * z,
                "variances": 1 + 0.1 * np.abs(z),
                "weights": z * np.sqrt(2 / np.prod(shape[1:])),
            }[name]
            parts.append(value.astype("<f4").tobytes())
    return b"".join(parts)


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_darknet(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = request.config.getoption("--golden") / f"{name}.npz"
    if not file.exists():
        pytest.skip(f"no golden file {file}")
    golden = dict(np.load(file, allow_pickle=False))
    model, classes = NETWORKS[name]
    network = next(n for some in darknet_files.NETWORKS.values() for n in some if n.name == model)
    with torch.device("meta"):
        form = network.build([f"class_{number}" for number in range(classes)])
    layers = form.plan().layers
    cfg, weights = tmp_path / "made-up.cfg", tmp_path / "made-up.weights"
    cfg.write_bytes(darknet_cfg.text_of((SIZE, SIZE), layers))
    weights.write_bytes(made_up(layers))

    found = darknet_files.read(cfg)
    assert found.name == model
    again = darknet_files.save(found.detector, tmp_path / "again.cfg", source=found.source)
    assert [path.read_bytes() for path in again] == [cfg.read_bytes(), weights.read_bytes()]

    detector = found.detector.eval()
    trace = pipeline.run(detector, [torch.from_numpy(golden["image"]).permute(2, 0, 1)])
    with torch.inference_mode():
        last = detector.heads[0](trace.features[0]).contiguous().numpy()
        confidence = detector.predict(trace.features)[0, :, 4:5].sigmoid()
    assert last.shape == tuple(golden["last_conv.shape"])
    (key,) = (key for key in golden if key.startswith("last_conv.") and key != "last_conv.shape")
    same(last.ravel()[::11], golden[key], key)

    boxes, scored = trace.scored.boxes, trace.scored
    sides = boxes[:, 2:] - boxes[:, :2]
    rows = torch.cat([bx.centres(boxes) / SIZE, sides / SIZE, confidence, scored.scores], dim=1)
    outputs = [key for key in golden if key.startswith("out.") and not key.endswith(".shape")]
    assert len(outputs) == len(trace.features)
    for level, key in enumerate(reversed(outputs)):  # theirs come coarsest first
        own = rows[scored.regions.level == level].numpy()
        assert own.shape == tuple(golden[f"{key}.shape"])
        own, theirs = own[::7], golden[key]
        same(own[:, :5], theirs[:, :5], key)
        told = theirs[:, 5:] > 0  # what the other reader found too unlikely, it left out
        if told.any():
            same(own[:, 5:][told], theirs[:, 5:][told], key)
            assert own[:, 5:][~told].max(initial=0) < theirs[:, 5:][told].min() + TOLERANCE


def same(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    distance = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert distance < TOLERANCE, f"{what} differs by {distance:.2e} of its largest"
