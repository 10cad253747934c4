"""Darknet's .cfg files: read into layers, written from layers, and held against a network's own.

The grammar is Darknet's: `[kind]`, then lines `key=value`; `#` and `;` begin comments; blanks mean
nothing. Layers are numbered from 0 behind [net], as Darknet counts them. Every key that changes
what a layer computes is known here, and a key that is not known is an error: nothing that a file
asks for is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from sightline.errors import WeightsError
from sightline.nets.darknet_plan import Fact, Layer

MAX_BYTES = 1_000_000
MAX_LAYERS = 1000
LARGEST = 1e7  # no figure of a network is larger, of whatever kind

CHOSEN = ("anchors", "mask", "num")
"""What a file may choose for a network of ours: it is read into it."""

KINDS = {"network": "net", "conv": "convolutional", "max": "maxpool"}
"""Other spellings of kinds → the usual one."""

TRAINING = {
    "region": {
        *("bias_match", "jitter", "rescore", "object_scale", "noobject_scale", "class_scale"),
        *("coord_scale", "absolute", "thresh", "random", "max"),
    },
    "yolo": {"jitter", "ignore_thresh", "truth_thresh", "random", "max"},
}
"""Keys that only Darknet's training reads. Of [net], that is every key but `SHAPE`."""

SHAPE = ("width", "height", "channels")


@dataclass(frozen=True)
class Section:
    """One `[kind]` of a file, with the line that it begins in; values as they are written."""

    kind: str
    line: int
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """A .cfg file: the input's shape (height, width), the layers, and where each begins."""

    size: tuple[int, int]
    layers: tuple[Layer, ...]
    lines: tuple[int, ...]
    path: Path | None = None

    def fault(
        self, number: int, message: str, code: str = "weights.architecture", hint: str | None = None
    ) -> WeightsError:
        """The error that layer `number` is at fault for."""
        kind = self.layers[number].kind
        return _fault(
            self.path, self.lines[number], f"layer {number} ({kind}): {message}", code, hint
        )


def place(number: int, kind: str) -> str:
    """How an error names a layer."""
    return f"layer {number} ({kind})"


def _fault(
    path: Path | None, line: int, message: str, code: str, hint: str | None = None
) -> WeightsError:
    return WeightsError(message, code=code, path=path, pointer=f"line {line}", hint=hint)


def sections(text: bytes, path: Path | None = None) -> list[Section]:
    """The sections of a file. Raises WeightsError weights.format, with the line, for what is none:
    a line outside of every section or without "=", a key said twice.
    """
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise _fault(path, line, "not text in UTF-8", "weights.format") from error
    found: list[Section] = []
    for number, raw in enumerate(lines, start=1):
        said, shown = "".join(raw.split()), raw.strip()[:60]
        if not said or said[0] in "#;":
            continue
        if said[0] == "[":
            if said[-1] != "]" or len(said) < 3:
                raise _fault(path, number, f"no section: {shown!r}", "weights.format")
            name = said[1:-1].lower()
            found.append(Section(KINDS.get(name, name), number))
            continue
        key, _, value = said.partition("=")
        where = f"{_where(found)}: " if found else ""
        if not found or not key or not value:
            message = f"{where}neither [kind] nor key=value: {shown!r}"
            raise _fault(path, number, message, "weights.format")
        if key in found[-1].values:
            raise _fault(path, number, f"{where}{key} is said twice", "weights.format")
        found[-1].values[key] = value
    return found


def _where(found: Sequence[Section]) -> str:
    kind = found[-1].kind
    return "[net]" if len(found) == 1 else place(len(found) - 2, kind)


@dataclass(frozen=True)
class _Reader:
    """The values of one layer's section, each asked for once; what is left over is not known."""

    section: Section
    number: int
    path: Path | None
    seen: set[str] = field(default_factory=set)

    def fault(self, message: str, code: str = "weights.format") -> WeightsError:
        text = f"{place(self.number, self.section.kind)}: {message}"
        return _fault(self.path, self.section.line, text, code)

    def text(self, key: str, usual: str) -> str:
        self.seen.add(key)
        return self.section.values.get(key, usual)

    def floats(self, key: str) -> tuple[float, ...]:
        written = self.text(key, "")
        parts = written.rstrip(",").split(",") if written else []
        try:
            answer = tuple(float(part) for part in parts)
        except ValueError:
            raise self.fault(f"{key} is {written[:60]!r}, not numbers") from None
        if not all(abs(one) < LARGEST for one in answer):  # nor is it NaN
            raise self.fault(f"{key} has a number out of all bounds: {written[:60]}")
        return answer

    def wholes(self, key: str) -> tuple[int, ...]:
        found = self.floats(key)
        if not all(one.is_integer() for one in found):
            raise self.fault(f"{key} is {self.section.values[key][:60]!r}, not whole numbers")
        return tuple(int(one) for one in found)

    def whole(self, key: str, usual: int) -> int:
        found = self.wholes(key)
        if len(found) > 1:
            raise self.fault(f"{key} is {len(found)} numbers, not one")
        return found[0] if found else usual

    def layer_of(self, value: int) -> int:
        """A layer's number, absolute or counted back from here."""
        found = value if value >= 0 else self.number + value
        if not 0 <= found < self.number:
            raise self.fault(f"it asks for layer {value}, which does not come before it")
        return found


def _convolutional(r: _Reader) -> dict[str, Fact]:
    size, padding = r.whole("size", 1), r.whole("padding", 0)
    return {
        "batch_normalize": r.whole("batch_normalize", 0),
        "filters": r.whole("filters", 1),
        "size": size,
        "stride": r.whole("stride", 1),
        "padding": size // 2 if r.whole("pad", 0) else padding,
        "activation": r.text("activation", "logistic"),
    }


def _maxpool(r: _Reader) -> dict[str, Fact]:
    stride = r.whole("stride", 1)
    size = r.whole("size", stride)
    return {"size": size, "stride": stride, "padding": r.whole("padding", size - 1)}


def _route(r: _Reader) -> dict[str, Fact]:
    return {"layers": tuple(r.layer_of(one) for one in r.wholes("layers"))}


def _shortcut(r: _Reader) -> dict[str, Fact]:
    source = r.layer_of(r.whole("from", 0))
    return {"from": source, "activation": r.text("activation", "linear")}


def _region(r: _Reader) -> dict[str, Fact]:
    return {
        "anchors": r.floats("anchors"),
        "classes": r.whole("classes", 20),
        "coords": r.whole("coords", 4),
        "num": r.whole("num", 1),
        "softmax": r.whole("softmax", 0),
    }


def _yolo(r: _Reader) -> dict[str, Fact]:
    return {
        "mask": r.wholes("mask"),
        "anchors": r.floats("anchors"),
        "classes": r.whole("classes", 20),
        "num": r.whole("num", 1),
    }


READERS: dict[str, Callable[[_Reader], dict[str, Fact]]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": lambda r: {"stride": r.whole("stride", 2)},
    "reorg": lambda r: {"stride": r.whole("stride", 1)},
    "region": _region,
    "yolo": _yolo,
}
"""Kind of layer → how its facts are read, with Darknet's own defaults."""


def parse(text: bytes, path: Path | None = None) -> Config:
    """The layers of a file. Raises WeightsError: weights.format (not of the grammar), .architecture
    (a kind of layer or a key that no network of ours has); with line, layer number and kind.
    """
    if len(text) > MAX_BYTES:
        raise _fault(path, 1, f"{len(text):,} bytes are no .cfg file", "weights.format")
    found = sections(text, path)
    if not found or found[0].kind != "net":
        line = found[0].line if found else 1
        hint = "is it cut short, or no Darknet .cfg file?"
        raise _fault(path, line, "does not begin with [net]", "weights.format", hint)
    if not 1 < len(found) <= MAX_LAYERS:
        message = f"{len(found) - 1} layers behind [net]"
        raise _fault(path, found[0].line, message, "weights.format")
    layers = [_layer(one, number, path) for number, one in enumerate(found[1:])]
    return Config(_size(found[0], path), tuple(layers), tuple(s.line for s in found[1:]), path)


def _layer(section: Section, number: int, path: Path | None) -> Layer:
    reader = _Reader(section, number, path)
    if section.kind not in READERS:
        message = f"no network of ours has such a layer; known are {', '.join(READERS)}"
        raise reader.fault(message, "weights.architecture")
    facts = READERS[section.kind](reader)
    strange = set(section.values) - reader.seen - TRAINING.get(section.kind, set())
    if strange:
        message = f"{', '.join(sorted(strange))} is no key that is known of it"
        raise reader.fault(message, "weights.architecture")
    return Layer(section.kind, facts)


def _size(net: Section, path: Path | None) -> tuple[int, int]:
    reader = _Reader(net, -1, path)
    try:
        width, height, channels = (reader.whole(key, 0) for key in SHAPE)
    except WeightsError as error:
        message = f"[net]: {error.message.partition(': ')[2]}"
        raise _fault(path, net.line, message, "weights.format") from None
    if channels != 3 or not all(32 <= x <= 8192 and x % 32 == 0 for x in (width, height)):
        message = f"[net]: an input of {width}×{height} pixels and {channels} channels"
        hint = "sides are multiples of 32 up to 8,192; channels are 3"
        raise _fault(path, net.line, message, "weights.architecture", hint)
    return height, width


def difference(given: Sequence[Layer], own: Sequence[Layer]) -> tuple[int, str] | None:
    """The first layer in which two networks differ, and how; None where they are the same.

    `given` may have fewer layers, or more: the number is then that of the first missing one.
    """
    for number, (theirs, ours) in enumerate(zip(given, own, strict=False)):
        if theirs.kind != ours.kind:
            return number, f"where there is {ours.kind}"
        for key, value in ours.facts.items():
            if key not in CHOSEN and theirs.facts[key] != value:
                return number, f"{key} is {_written(theirs.facts[key])}, not {_written(value)}"
    if len(given) != len(own):
        number = min(len(given), len(own))
        return number, f"the file has {len(given)} layers, not {len(own)}"
    return None


def text_of(size: tuple[int, int], layers: Sequence[Layer]) -> bytes:
    """A .cfg file that says these layers, for an input of `size` (height, width)."""
    height, width = size
    parts = [f"[net]\nwidth={width}\nheight={height}\nchannels=3\n"]
    for number, layer in enumerate(layers):
        facts: Mapping[str, Fact] = layer.facts
        lines = [f"{key}={_written(value)}" for key, value in facts.items()]
        parts.append(f"# {number}\n[{layer.kind}]\n" + "".join(f"{line}\n" for line in lines))
    return "\n".join(parts).encode()


def _written(value: Fact) -> str:
    if isinstance(value, tuple):
        return ",".join(_written(one) for one in value)
    if isinstance(value, float):
        return numpy.format_float_positional(numpy.float32(value), trim="-")
    return str(value)
