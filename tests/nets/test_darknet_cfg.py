"""Darknet's .cfg files: what is read, what is refused and where, and that nothing crashes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import WeightsError
from sightline.nets import darknet_cfg
from sightline.nets.darknet_plan import Layer

TEXT = b"""[net]
# Testing
batch=1
width=64
height = 96
channels=3

[conv]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[max]
size=2
stride=2

[convolutional]
filters=8
padding=2
size=5
activation=linear

[shortcut]
from=-2
activation=linear

[route]
layers=-1, 0

; the end
[yolo]
mask = 1,2
anchors = 10,13, 16,30,  33.5,23
classes=4
num=3
jitter=.3
ignore_thresh = .5
truth_thresh = 1
random=1
"""


def test_a_file_becomes_layers() -> None:
    config = darknet_cfg.parse(TEXT)
    assert config.size == (96, 64)
    kinds = [layer.kind for layer in config.layers]
    assert kinds == ["convolutional", "maxpool", "convolutional", "shortcut", "route", "yolo"]
    facts = [dict(layer.facts) for layer in config.layers]
    assert facts[0] == {
        **{"batch_normalize": 1, "filters": 8, "size": 3, "stride": 1, "padding": 1},
        "activation": "leaky",
    }
    assert facts[1] == {"size": 2, "stride": 2, "padding": 1}
    assert (facts[2]["padding"], facts[2]["batch_normalize"], facts[2]["stride"]) == (2, 0, 1)
    assert facts[3] == {"from": 1, "activation": "linear"}
    assert facts[4] == {"layers": (3, 0)}
    assert facts[5] == {
        **{"mask": (1, 2), "classes": 4, "num": 3},
        "anchors": (10.0, 13.0, 16.0, 30.0, 33.5, 23.0),
    }
    assert config.lines == (8, 16, 20, 26, 30, 34)


def test_windows_lines_and_a_byte_order_mark_change_nothing() -> None:
    other = b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n")
    assert darknet_cfg.parse(other) == darknet_cfg.parse(TEXT)


def test_what_is_written_is_read_again() -> None:
    config = darknet_cfg.parse(TEXT)
    again = darknet_cfg.parse(darknet_cfg.text_of(config.size, config.layers))
    assert (again.size, again.layers) == (config.size, config.layers)
    assert darknet_cfg.difference(config.layers, again.layers) is None


FAULTS = [
    (b"", "does not begin with [net]", "line 1"),
    (b"GIF89a", "neither [kind] nor key=value", "line 1"),
    (b"[net]\nwidth=64\nheight=64\nchannels=3\n", "0 layers behind [net]", "line 1"),
    (TEXT.replace(b"[net]", b"[net"), "no section", "line 1"),
    (TEXT.replace(b"[net]", b"[yolo]"), "does not begin with [net]", "line 1"),
    (TEXT.replace(b"width=64", b"width=65"), "an input of 65", "line 1"),
    (TEXT.replace(b"channels=3", b"channels=1"), "1 channels", "line 1"),
    (TEXT.replace(b"width=64", b"width=wide"), "[net]: width is 'wide'", "line 1"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=eight\nsize=3"), "layer 0 (conv", "line 8"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=1e300\nsize=3"), "out of all bounds", "line 8"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=nan\nsize=3"), "out of all bounds", "line 8"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=8.5\nsize=3"), "not whole numbers", "line 8"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=8\nsize=3,3"), "2 numbers, not one", "line 8"),
    (TEXT.replace(b"filters=8\nsize=3", b"filters=8\ngroups=2"), "groups is no key", "line 8"),
    (
        TEXT.replace(b"filters=8\nsize=3", b"filters=8\nfilters=9"),
        "filters is said twice",
        "line 11",
    ),
    (TEXT.replace(b"filters=8\nsize=3", b"filters\nsize=3"), "layer 0 (conv", "line 10"),
    (TEXT.replace(b"[max]", b"[avgpool]"), "layer 1 (avgpool): no network", "line 16"),
    (TEXT.replace(b"from=-2", b"from=-9"), "layer 3 (shortcut): it asks for layer -9", "line 26"),
    (TEXT.replace(b"-1, 0", b"-1, 4"), "layer 4 (route): it asks for layer 4", "line 30"),
    (TEXT.replace(b"random=1", b"scale_x_y=1.05"), "layer 5 (yolo): scale_x_y is no", "line 34"),
    (TEXT.replace(b"Testing", b"\xff"), "not text in UTF-8", "line 2"),
    (TEXT + b"#" * 1_000_001, "are no .cfg file", "line 1"),
    (TEXT + b"[route]\nlayers=0\n" * 1000, "1006 layers", "line 1"),
]


@pytest.mark.parametrize(("text", "told", "place"), FAULTS)
def test_faults_name_line_and_layer(text: bytes, told: str, place: str) -> None:
    with pytest.raises(WeightsError) as caught:
        darknet_cfg.parse(text)
    assert caught.value.code in ("weights.format", "weights.architecture")
    assert told in caught.value.message
    assert place in (caught.value.pointer or "")


def test_differences_name_the_first_layer() -> None:
    layers = list(darknet_cfg.parse(TEXT).layers)
    other = list(layers)
    other[2] = Layer("convolutional", {**layers[2].facts, "filters": 9})
    assert darknet_cfg.difference(layers, other) == (2, "filters is 8, not 9")
    other[1] = Layer("reorg", {"stride": 2})
    assert darknet_cfg.difference(layers, other) == (1, "where there is reorg")
    assert darknet_cfg.difference(layers[:4], layers) == (4, "the file has 4 layers, not 6")
    free = Layer("yolo", {**layers[5].facts, "anchors": (1.0, 2.0), "num": 1, "mask": (0,)})
    assert darknet_cfg.difference([*layers[:5], free], layers) is None


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), st.binary(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
def test_damaged_text_is_read_or_refused(cuts: list[tuple[int, int, bytes]]) -> None:
    text = TEXT
    for start, length, new in cuts:
        text = text[:start] + new + text[start + length :]
    try:
        config = darknet_cfg.parse(text)
    except WeightsError as error:
        assert error.code in ("weights.format", "weights.architecture") and error.pointer
    else:
        again = darknet_cfg.parse(darknet_cfg.text_of(config.size, config.layers))
        assert darknet_cfg.difference(again.layers, config.layers) is None
