"""Arrays and tensors of any kind: one rule each, or an answer that says what to do (I33, I36)."""

import numpy as np
import pytest
import torch
from drawing import SAMPLES, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sightline.errors import ImageError
from sightline.images import read


def refused(source) -> str:
    with pytest.raises(ImageError) as caught:
        read(source)
    assert caught.value.hint
    return caught.value.code


WANTED = torch.from_numpy(picture()).permute(2, 0, 1)

SAME = {
    "hwc": picture(),
    "chw": np.ascontiguousarray(picture().transpose(2, 0, 1)),
    "alpha": np.dstack([picture(), np.full((37, 53), 9, np.uint8)]),
    "read-only": np.frombuffer(picture().tobytes(), np.uint8).reshape(37, 53, 3),
    "strides": np.repeat(picture(), 2, axis=0)[::2],
    "negative": picture()[::-1, ::-1].copy()[::-1, ::-1],
    "reversed channels": picture()[..., ::-1].copy()[..., ::-1],
    "float": picture() / 255,
    "float32": (picture() / 255).astype(np.float32),
    "float16": (picture() / 255).astype(np.float16),
    "big-endian": (picture() / 255).astype(">f4"),
    "uint16": picture().astype(np.uint16) * 257,
    "big-endian uint16": (picture().astype(np.uint16) * 257).astype(">u2"),
    "tensor": WANTED.contiguous(),
    "tensor hwc": torch.from_numpy(picture()),
    "tensor float": WANTED / 255,
    "tensor bfloat16": (WANTED.double() / 255).to(torch.float32).requires_grad_(),
    "tensor alpha": torch.cat([WANTED, WANTED[:1]]),
    "pil": Image.fromarray(picture()),
    "file": SAMPLES["png"],
    "bytearray": bytearray(SAMPLES["png"]),
    "memoryview": memoryview(SAMPLES["png"]),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_picture_in_every_form(name):
    found = read(SAME[name])
    assert found.dtype == torch.uint8 and not found.requires_grad
    torch.testing.assert_close(found, WANTED, rtol=0, atol=0)


def test_grey_and_bool():
    grey = picture()[..., 0]
    for source in (grey, grey[..., None], grey[None], torch.from_numpy(grey)):
        assert torch.equal(read(source), torch.from_numpy(grey).expand(3, -1, -1))
    assert torch.equal(
        read(grey > 99), torch.from_numpy((grey > 99) * np.uint8(255)).expand(3, -1, -1)
    )


def test_bytes_are_not_copied():
    values = picture()
    assert read(values).data_ptr() == values.ctypes.data
    tensor = WANTED.contiguous()
    assert read(tensor).data_ptr() == tensor.data_ptr()


def test_small_float_overshoot_is_rounding():
    values = np.array([[-0.001, 1.001], [0.0, 1.0]], np.float32)
    assert read(values)[0].tolist() == [[0, 255], [0, 255]]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (picture().astype(np.float32), "image.ambiguous"),
        (picture() / 127.5 - 1, "image.ambiguous"),
        (np.full((5, 6), np.nan), "image.non_finite"),
        (np.full((5, 6), -np.inf), "image.non_finite"),
        (torch.full((3, 5, 6), torch.inf), "image.non_finite"),
        (np.zeros((3, 8, 3), np.uint8), "image.ambiguous"),
        (np.zeros((1, 8, 4), np.uint8), "image.ambiguous"),
        (np.zeros((), np.uint8), "image.bad_dimensions"),
        (np.zeros(9, np.uint8), "image.bad_dimensions"),
        (np.zeros((2, 9, 8, 3), np.uint8), "image.bad_dimensions"),
        (np.zeros((9, 8, 2), np.uint8), "image.bad_dimensions"),
        (np.zeros((9, 8, 10), np.uint8), "image.bad_dimensions"),
        (torch.zeros(3, 0, 5, dtype=torch.uint8), "image.bad_dimensions"),
        (torch.zeros(2, 3, 4, 5, dtype=torch.uint8), "image.bad_dimensions"),
        (picture().astype(np.int64), "image.unsupported_mode"),
        (picture().astype(np.int8), "image.unsupported_mode"),
        (picture().astype(np.uint32), "image.unsupported_mode"),
        (picture().astype(object), "image.unsupported_mode"),
        (picture().astype(complex), "image.unsupported_mode"),
        (picture().astype(str), "image.unsupported_mode"),
        (np.zeros((4, 5), "datetime64[s]"), "image.unsupported_mode"),
        (np.zeros((4, 5), [("r", "u1"), ("g", "u1")]), "image.unsupported_mode"),
        (np.zeros((9, 8, 3), np.longdouble), "image.unsupported_mode"),
        (torch.zeros(3, 4, 5, dtype=torch.complex64), "image.unsupported_mode"),
        (torch.zeros(3, 4, dtype=torch.uint8).to_sparse(), "image.unsupported_mode"),
        (torch.zeros(3, 4, 5, device="meta"), "image.unsupported_mode"),
    ],
)
def test_what_cannot_be_told_is_asked_for(source, code):
    assert refused(source) == code


def test_a_tensor_of_doubtful_shape_is_channels_first():
    """Our own border convention, so that `read` changes nothing that it gave."""
    values = torch.arange(3 * 8 * 3, dtype=torch.uint8).view(3, 8, 3)
    assert torch.equal(read(values), values)


@settings(deadline=None)  # a busy machine is no fault
@given(
    hnp.arrays(
        hnp.scalar_dtypes() | st.just(np.dtype(np.uint8)) | st.just(np.dtype(bool)),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
    )
)
def test_any_array_gives_an_image_or_a_typed_error(values):
    try:
        image = read(values)
    except ImageError as error:
        assert error.hint
    else:
        assert image.dtype == torch.uint8 and image.shape[0] == 3 and 0 not in image.shape
        assert torch.equal(read(image), image)
