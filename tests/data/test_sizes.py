"""Sizes of images as label files and headers tell them."""

from pathlib import Path

import pytest
from PIL import Image

from sightline.data.sizes import LARGEST, header_size, image_size, said_size, written_size
from sightline.errors import AnnotationError


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("RGB", (53, 37)).save(path)
    return path


def test_numbers_and_texts_say_a_size_or_none() -> None:
    assert said_size(37, 53.0) == written_size(" 37", "53 ") == (37, 53)
    assert said_size(None, None) is written_size(None, "") is written_size(" ", None) is None


@pytest.mark.parametrize("side", [None, 0, -3, 1.5, True, "37", float("nan"), 10**400, [37]])
def test_what_is_no_size(side: object) -> None:
    for sides in ((side, 53), (37, side)):
        with pytest.raises(AnnotationError) as caught:
            said_size(*sides)
        assert caught.value.code == "image.size"


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "٣٧", "1_0", "9" * 5000, "wide"])
def test_texts_that_are_no_size(text: str) -> None:
    for sides in ((text, "53"), ("37", text)):
        with pytest.raises(AnnotationError) as caught:
            written_size(*sides)
        assert caught.value.code == "image.size"
        assert len(caught.value.message) < 200


def test_what_is_said_holds_unless_it_is_too_large_to_be_true(photo: Path) -> None:
    assert image_size((5, 7), photo) == (5, 7)  # held against the header when it is set upright
    assert image_size(None, photo) == header_size(photo) == (37, 53)
    with pytest.raises(AnnotationError, match="image has 53 × 37") as caught:
        image_size((1, LARGEST + 1), photo)
    assert caught.value.code == "image.size"


def test_an_image_without_room_for_a_mask(tmp_path: Path) -> None:
    side = (LARGEST - 1).bit_length() // 2
    head = bytearray(_png(tmp_path))
    head[16:24] = (1 << side).to_bytes(4, "big") + ((1 << side) + 1).to_bytes(4, "big")
    (tmp_path / "wide.png").write_bytes(head)
    for said in (None, ((1 << side) + 1, 1 << side)):
        with pytest.raises(AnnotationError) as caught:
            image_size(said, tmp_path / "wide.png")
        assert caught.value.code == "image.too_many_pixels"


def _png(folder: Path) -> bytes:
    Image.new("L", (5, 3)).save(folder / "b.png")
    return (folder / "b.png").read_bytes()


def test_faults_of_a_header_become_those_of_labels(tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(AnnotationError) as caught:
        header_size(tmp_path / "c.png")
    assert caught.value.code == "image.unsupported"
