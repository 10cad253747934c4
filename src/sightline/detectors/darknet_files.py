"""Darknet's .cfg and .weights files as our YOLO v2 and v3, and back.

    found = darknet_files.read("yolov3.cfg")              # yolov3.weights lies beside it
    darknet_files.save(found.detector, "again.cfg", source=found.source)

What a file may choose is read from it: input size, classes, priors. All else must be one of our
networks, layer for layer. What was read and not changed is written as the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sightline.checkpoint import Checkpoint
from sightline.detectors.yolo_v2 import STRIDE, YoloV2, yolo_v2_darknet19, yolo_v2_tiny
from sightline.detectors.yolo_v3 import yolo_v3_darknet53, yolo_v3_tiny
from sightline.errors import UsageError, WeightsError
from sightline.files import write_bytes, write_text
from sightline.nets import darknet_cfg, darknet_weights
from sightline.nets.darknet_cfg import Config
from sightline.nets.darknet_plan import Layer
from sightline.nets.darknet_weights import Header

ENDS = ("region", "yolo")
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class Network:
    """One of our builders: its name in the catalogue, its options, how many layers it has."""

    name: str
    build: Callable[..., YoloV2]
    layers: int
    options: Mapping[str, str] = field(default_factory=dict)


NETWORKS: dict[str, tuple[Network, ...]] = {
    "region": (
        Network("yolo_v2_darknet19", yolo_v2_darknet19, 32),
        Network("yolo_v2_tiny", yolo_v2_tiny, 16),
        Network("yolo_v2_tiny", partial(yolo_v2_tiny, neck="512"), 16, {"neck": "512"}),
    ),
    "yolo": (
        Network("yolo_v3_darknet53", yolo_v3_darknet53, 107),
        Network("yolo_v3_tiny", yolo_v3_tiny, 24),
    ),
}
"""Kind of the last layer → the networks that end so."""


@dataclass(frozen=True)
class Source:
    """What a network does not hold of the files that it was read from."""

    cfg: bytes
    header: Header


@dataclass(frozen=True)
class Found:
    """A network read from Darknet's files: its name in the catalogue, its options, its source."""

    detector: YoloV2
    name: str
    options: Mapping[str, str]
    source: Source


def pair(path: str | Path, weights: str | Path | None = None) -> tuple[Path, Path]:
    """The .cfg and the .weights file that a path stands for; each lies beside the other."""
    path = Path(path)
    cfg = path.with_suffix(".cfg")
    if weights is not None:
        return cfg, Path(weights)
    return cfg, path.with_suffix(".weights")


def read(path: str | Path, weights: str | Path | None = None) -> Found:
    """The network of a .cfg file, with the numbers of `weights` or of the .weights file beside it.

    Class names are the lines of the .names file of the same name beside it, else class_0, class_1
    and so on. Raises WeightsError, which names file, layer number and kind: weights.not_found,
    .format, .architecture (no network of ours), .truncated, .non_finite, .class_count.
    """
    cfg, numbers = pair(path, weights)
    text = _bytes(cfg, darknet_cfg.MAX_BYTES)
    config = darknet_cfg.parse(text, cfg)
    count = _classes(config)
    network = _nearest(config)
    names = class_names(cfg, count)
    with torch.device("meta"):  # nothing is made of the files before they are understood
        form = network.build(names)
    _compare(config, form, network.name)
    priors = _priors(config, form)
    darknet_weights.check(form.plan().layers, numbers)
    detector = network.build(names)
    detector.set_priors(priors)
    detector.preparation = replace(detector.preparation, longer=config.size[0])
    header = darknet_weights.load(detector.plan().layers, numbers)
    assert isinstance(detector.seen, Tensor)
    detector.seen.fill_(header.seen)
    return Found(detector, network.name, network.options, Source(text, header))


def stored(path: str | Path, weights: str | Path | None = None) -> Checkpoint:
    """What a checkpoint of ours would hold of the network that `read` gives."""
    found = read(path, weights)
    manifest = {
        "model": found.name,
        "classes": list(found.detector.classes),
        "options": dict(found.options),
        "preparation": {"longer": found.detector.preparation.longer},
    }
    return Checkpoint(found.detector.state_dict(), manifest, pair(path, weights)[1])


def save(
    detector: YoloV2,
    path: str | Path,
    weights: str | Path | None = None,
    source: Source | None = None,
) -> tuple[Path, Path]:
    """Write a network as .cfg and .weights (beside it, unless named), and its classes as .names.

    With the `source` that it was read from, the .cfg is that text again, if it still says what the
    network is, and the version in the .weights file is that of the first. Raises UsageError
    (`usage.darknet`) for a network that Darknet does not know or whose norms are folded,
    WeightsError weights.non_finite, ResourceError (disk full, no permission).
    """
    cfg, numbers = pair(path, weights)
    layers, size = detector.plan().layers, detector.preparation.longer
    assert isinstance(detector.seen, Tensor)
    version = Header().version if source is None else source.header.version
    header = Header(version, int(detector.seen))
    if header.seen >= 2**31:  # more than an old header can count
        header = replace(header, version=max(header.version, Header().version))
    text = darknet_cfg.text_of((size, size), layers)
    if source is not None and _still_says(source.cfg, detector):
        text = source.cfg
    try:
        darknet_weights.save(layers, numbers, header)
    except ValueError as error:
        raise UsageError(
            f"the network cannot be written: {error}",
            code="usage.darknet",
            hint="it was made ready to detect; read it again with darknet_files.read, or build it "
            "and load its checkpoint",
        ) from error
    if detector.classes != _numbered(len(detector.classes)):
        write_text(cfg.with_suffix(".names"), "".join(f"{name}\n" for name in detector.classes))
    return write_bytes(cfg, text), numbers


def class_names(cfg: Path, count: int) -> tuple[str, ...]:
    """The names beside a .cfg file (NAME.names, one a line), or class_0, class_1 …

    Raises WeightsError weights.class_count where there is another number of them.
    """
    path = cfg.with_suffix(".names")
    if not path.exists():
        return _numbered(count)
    try:
        lines = _bytes(path, darknet_cfg.MAX_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        message = "not text in UTF-8"
        raise WeightsError(message, code="weights.format", path=path) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != count or len(set(names)) != count:
        message = f"{len(names)} names ({len(set(names))} different) for {count} classes"
        hint = "one name a line, each once, in the order of the classes"
        raise WeightsError(message, code="weights.class_count", path=path, hint=hint)
    return names


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class_{number}" for number in range(count))


def _bytes(path: Path, limit: int) -> bytes:
    """At most one byte more than `limit` of a file."""
    try:
        if not path.is_file():
            message = "there is no such file" if not path.exists() else "not a file"
            raise WeightsError(message, code="weights.not_found", path=path)
        with path.open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        message = f"cannot be read: {error}"
        raise WeightsError(message, code="weights.not_found", path=repr(str(path))) from error


def _ends(config: Config) -> list[tuple[int, Layer]]:
    """The layers that make detections, with their numbers."""
    return [(n, layer) for n, layer in enumerate(config.layers) if layer.kind in ENDS]


def _classes(config: Config) -> int:
    ends = _ends(config)
    if not ends:
        hint = "is the file cut short, or of a classifier?"
        last = len(config.layers) - 1
        raise config.fault(last, "the last one, and none is [region] or [yolo]", hint=hint)
    for number, layer in ends:
        count = layer.facts["classes"]
        if count != ends[0][1].facts["classes"]:
            raise config.fault(number, f"{count} classes, where another layer has other ones")
        if not isinstance(count, int) or not 0 < count <= MAX_CLASSES:
            raise config.fault(number, f"{count} classes")
    first = ends[0][1].facts["classes"]
    assert isinstance(first, int)
    return first


def _nearest(config: Config) -> Network:
    """The network that a file most likely means: of as many layers and the same neck."""
    known = NETWORKS[_ends(config)[-1][1].kind]
    best = min(known, key=lambda network: abs(network.layers - len(config.layers)))
    if best.name == "yolo_v2_tiny" and len(config.layers) == best.layers:
        neck = str(config.layers[-3].facts.get("filters"))
        best = next((n for n in known if n.options.get("neck") == neck), best)
    return best


def _compare(config: Config, detector: YoloV2, name: str) -> None:
    """Raise what differs between a file and the network that it should be."""
    height, width = config.size
    found = darknet_cfg.difference(config.layers, detector.plan().layers)
    if found is not None:
        number, how = found
        hint = "known are the published yolov2, yolov2-tiny, yolov3 and yolov3-tiny"
        raise config.fault(min(number, len(config.layers) - 1), f"{how}, in {name}", hint=hint)
    if height != width:
        raise config.fault(0, f"an input of {width}×{height} pixels, which is no square")


def _priors(config: Config, detector: YoloV2) -> Tensor:
    """The priors of each level in pixels, finest first."""
    assert isinstance(detector.priors, Tensor)
    count, levels = detector.priors.shape[1], []
    for number, layer in reversed(_ends(config)):
        anchors, num = layer.facts["anchors"], layer.facts["num"]
        mask = layer.facts.get("mask") or tuple(range(count))
        assert isinstance(anchors, tuple) and isinstance(mask, tuple)
        if len(anchors) != 2 * int(num):  # type: ignore[arg-type]
            raise config.fault(number, f"{len(anchors)} numbers in anchors, num is {num}")
        if len(mask) != count or not all(0 <= m < len(anchors) // 2 for m in mask):
            raise config.fault(number, f"mask is {mask}: not {count} of {len(anchors) // 2} priors")
        if layer.kind == "region" and num != count:
            raise config.fault(number, f"{num} priors, not {count}")
        if not all(0 < side < 1e5 for side in anchors):
            raise config.fault(number, "a prior without width or height, or beyond all bounds")
        scale = STRIDE if layer.kind == "region" else 1
        shapes = torch.tensor(anchors, dtype=torch.float32).view(-1, 2) * scale
        levels.append(shapes[[int(m) for m in mask]])
    return torch.stack(levels)


def _still_says(text: bytes, detector: YoloV2) -> bool:
    """Whether a .cfg text says what a network is, input size, classes and priors included."""
    config = darknet_cfg.parse(text)
    size = detector.preparation.longer
    same = darknet_cfg.difference(config.layers, detector.plan().layers) is None
    assert isinstance(detector.priors, Tensor)
    return (
        same
        and config.size == (size, size)
        and bool(torch.equal(_priors(config, detector), detector.priors))
    )
