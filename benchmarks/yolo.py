"""YOLO v3 at 416×416 on the CPU: ours against OpenCV's engine, the same network and numbers.

    python benchmarks/yolo.py [--rounds 7] [--threads 2] [--peer NAME=PYTHON …] [--model yolo_v3]

The numbers are made up (seeded); our own writer puts them into NAME.cfg and NAME.weights in a
temporary folder, and from those every side reads them. OpenCV 4 has a reader of Darknet's files.
OpenCV 5 has none: the same layers are written as ONNX for its engine (needs the package onnx).

Each side is a process of its own, told over a pipe when to run; rounds are interleaved, the first
one warms up. A row is the median of a side in milliseconds, and the peer's divided by ours. Ours
runs as `sightline detect --model NAME.cfg` does: folded, channels last, in bfloat16 too where the
CPU multiplies it. The share of what follows the network (decoding, NMS) is of our own time. Times
are wall time; `--cpu-time` counts each process's own seconds, for a machine that others use.

`--peer` names other interpreters (`opencv4=ENV/bin/python`); the usual one is this interpreter.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE, CLASSES = 416, 80
Run = Callable[[], dict[str, float]]
"""One image; seconds by part."""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def make(folder: Path, model: str) -> None:
    """NAME.cfg, NAME.weights, NAME.onnx and an image, the same for all sides."""
    import numpy as np
    import torch

    from sightline import catalogue
    from sightline.detectors import darknet_files

    torch.manual_seed(0)
    detector: Any = catalogue.build(model, [f"class_{number}" for number in range(CLASSES)])
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    np.save(folder / "image.npy", image)
    detector.eval()
    with torch.no_grad():  # sure of a few dozen priors and their classes, as a trained network
        batch = detector.prepare([torch.from_numpy(image).permute(2, 0, 1)])
        for head, maps in zip(detector.heads, detector.encode(batch), strict=True):
            head.weight.mul_((3 / head(maps).std((0, 2, 3)))[:, None, None, None])
            head.bias.sub_(head(maps).mean((0, 2, 3)))
            rows = head(maps).permute(0, 2, 3, 1).reshape(-1, 5 + CLASSES)
            sure = rows[:, 4].sort(descending=True).values[len(rows) // 200]
            head.bias.view(-1, 5 + CLASSES)[:, 4] -= sure
            head.bias.view(-1, 5 + CLASSES)[:, 5:] -= 7.5  # one class in two hundred is likely
    darknet_files.save(detector, folder / "net.cfg")
    write_onnx(detector.plan().layers, folder / "net.onnx")


def write_onnx(layers: Any, path: Path) -> None:
    """The layers of a plan as an ONNX graph, batch norms as their own nodes."""
    try:
        import onnx
    except ImportError:
        return
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []
    outputs: list[str] = []

    def node(kind: str, sources: list[str], name: str, **how: Any) -> str:
        nodes.append(helper.make_node(kind, sources, [name], **how))
        return name

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    maps, x = [], "image"
    for number, layer in enumerate(layers):
        here, facts = f"layer{number}", layer.facts
        if layer.kind == "convolutional":
            x = _convolution(layer, x, here, node, constant)
        elif layer.kind == "maxpool":
            size, stride = facts["size"], facts["stride"]
            pads = [0, 0, size - stride, size - stride]
            how = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": pads}
            x = node("MaxPool", [x], here, **how)
        elif layer.kind == "shortcut":
            x = node("Add", [x, maps[facts["from"]]], here)
        elif layer.kind == "route":
            x = node("Concat", [maps[one] for one in facts["layers"]], here, axis=1)
        elif layer.kind == "upsample":
            import numpy as np

            scales = constant(f"{here}.s", np.array([1, 1, 2, 2], np.float32))
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
            x = node("Resize", [x, "", scales], here, nearest_mode="floor", **how)
        elif layer.kind == "yolo":
            outputs.append(x)
        else:
            return  # only YOLO v3's layers
        maps.append(x)
    shape = [1, 3, SIZE, SIZE]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    shapes = [[1, 3 * (5 + CLASSES), SIZE // stride, SIZE // stride] for stride in (32, 16, 8)]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, own)
        for name, own in zip(outputs, shapes, strict=False)
    ]
    graph = helper.make_graph(nodes, "net", [image], ends, constants)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def _convolution(layer: Any, x: str, here: str, node: Any, constant: Any) -> str:
    from sightline.nets.darknet_weights import tensors

    values = {name: tensor.detach().numpy() for name, tensor in tensors(layer)}
    facts = layer.facts
    side = {"strides": [facts["stride"]] * 2, "pads": [facts["padding"]] * 4}
    weights = constant(f"{here}.w", values["weights"])
    if not facts["batch_normalize"]:
        return str(
            node("Conv", [x, weights, constant(f"{here}.b", values["biases"])], here, **side)
        )
    x = node("Conv", [x, weights], f"{here}.conv", **side)
    parts = [constant(f"{here}.{k}", values[k]) for k in ("scales", "biases", "means", "variances")]
    x = node("BatchNormalization", [x, *parts], f"{here}.norm", epsilon=1e-5)
    return str(node("LeakyRelu", [x], here, alpha=0.1))


def ours(folder: Path, threads: int, clock: Any, dtype: str) -> tuple[str, Run]:
    """Our five verbs, but the preparation, which all sides have outside of their times."""
    import numpy as np
    import torch

    from sightline import predict

    torch.set_num_threads(threads)
    model = predict.load(folder / "net.cfg", score=0.3, dtype=dtype)  # type: ignore[arg-type]
    detector = model.detector
    image = torch.from_numpy(np.load(folder / "image.npy")).permute(2, 0, 1).contiguous()

    @torch.inference_mode()
    def run() -> dict[str, float]:
        batch = detector.prepare([image])
        start = clock()
        features = detector.encode(batch)
        raw = detector.predict(features)  # type: ignore[attr-defined]
        middle = clock()
        regions = detector.propose(batch, features)
        scored = detector.answer(raw, regions)  # type: ignore[attr-defined]
        found = detector.postprocess(batch, features, scored)
        end = clock()
        return {"network": middle - start, "after": end - middle, "objects": len(found[0])}

    return f"sightline {dtype}", run


def opencv(folder: Path, threads: int, clock: Any) -> tuple[str, Run]:
    """OpenCV's network alone, without its decoding and NMS: the best case for the peer."""
    import cv2
    import numpy as np

    cv2.setNumThreads(threads)
    if hasattr(cv2.dnn, "readNetFromDarknet"):
        how = "Darknet's files"
        net = cv2.dnn.readNetFromDarknet(str(folder / "net.cfg"), str(folder / "net.weights"))
    else:
        how = "ONNX, new engine"
        net = cv2.dnn.readNetFromONNX(str(folder / "net.onnx"), cv2.dnn.ENGINE_NEW)
    names = net.getUnconnectedOutLayersNames()
    blob = cv2.dnn.blobFromImage(np.load(folder / "image.npy"), 1 / 255)

    def run() -> dict[str, float]:
        start = clock()
        net.setInput(blob)
        net.forward(names)
        return {"network": clock() - start, "after": 0.0, "objects": 0}

    return f"OpenCV {cv2.__version__} ({how})", run


def serve(side: str, folder: Path, threads: int, clock: str) -> None:
    """A side's process: its name, then one measurement for every line that it is sent."""
    if side == "opencv":
        name, run = opencv(folder, threads, CLOCKS[clock])
    else:
        name, run = ours(folder, threads, CLOCKS[clock], side)
    print(json.dumps({"name": name}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)


def multiplies_bf16() -> bool:
    """Whether the CPU has instructions for bfloat16 (AVX-512 BF16 or AMX), as Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def measure(folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Each side's measurements, round by round, by its name."""
    from sightline import waiting

    peers = dict(pair.split("=", 1) for pair in options.peer) or {"opencv": sys.executable}
    commands = [(sys.executable, "fp32"), *((python, "opencv") for python in peers.values())]
    if multiplies_bf16():
        commands.append((sys.executable, "bf16"))
    words = [str(folder), str(options.threads), "cpu" if options.cpu_time else "wall"]
    # a thread that waits must not look like one that works
    brief = {} if waiting.chosen() else waiting.BRIEF
    calm = {**os.environ, **brief, "KMP_BLOCKTIME": "0"}
    sides = []
    for python, side in commands:
        command = [python, __file__, "--serve", side, *words]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=calm
        )
        sides.append((process, _line(process)["name"]))
    found: dict[str, list[dict[str, float]]] = {name: [] for _, name in sides}
    for turn in range(options.rounds + 1):
        for process, name in sides:
            assert process.stdin is not None
            process.stdin.write("run\n")
            process.stdin.flush()
            row = _line(process)
            if turn:
                found[name].append(row)
    for process, _ in sides:
        process.communicate()
    return found


def _line(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        raise SystemExit(f"a side ended with status {process.wait()}: {process.args}")
    return json.loads(text)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        side, folder, threads, clock = sys.argv[2:]
        serve(side, Path(folder), int(threads), clock)
        return
    parser = argparse.ArgumentParser(description="YOLO v3 at 416, ours against OpenCV")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="yolo_v3_darknet53")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.model)
        found = measure(Path(folder), options)
    kind = "CPU" if options.cpu_time else "wall"
    print(f"{options.model} at {SIZE}×{SIZE}, {options.threads} threads, {kind} time, medians")
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    totals = {name: row["network"] + row["after"] for name, row in medians.items()}
    own = [name for name in totals if name.startswith("sightline")]
    for name, row in medians.items():
        line = f"{name:40} {1000 * totals[name]:8.1f} ms"
        if name in own:
            share = row["after"] / totals[name]
            line += f"   decoding and NMS {1000 * row['after']:.2f} ms, {100 * share:.2f} %"
            line += f" ({row['objects']:.0f} objects)"
        print(line)
    for peer in (name for name in totals if name not in own):
        for name in own:
            print(f"{name} is {totals[peer] / totals[name]:.2f}× as fast as {peer}")


if __name__ == "__main__":
    main()
