"""The size of an image: what a label file says of it, and what the image's own header says."""

from pathlib import Path

from sightline import images
from sightline.data.checks import is_number, is_whole
from sightline.errors import AnnotationError, ImageError
from sightline.types import Size

LARGEST = 1 << 28
"""Pixels that an image may have: a mask of it is as many bytes."""


def said_size(height: object, width: object) -> Size | None:
    """The size that a label file gives in numbers, None where it gives none.

    AnnotationError `image.size` for what is no size.
    """
    if height is None and width is None:
        return None
    sides = [int(s) for s in (height, width) if is_number(s) and 1 <= s == int(s)]
    if len(sides) < 2:
        raise AnnotationError(
            f"{str(width)[:40]} × {str(height)[:40]} is no image size",
            code="image.size",
            hint="write the image's width and height, or leave both out",
        )
    return sides[0], sides[1]


def written_size(height: str | None, width: str | None) -> Size | None:
    """The same of two texts, which are whole numbers in ASCII digits; empty ones give none."""
    return said_size(_whole(height), _whole(width))


def _whole(text: str | None) -> int | str | None:
    """The number that a text is; the text itself where it is none."""
    text = (text or "").strip()
    return int(text) if is_whole(text) else text or None


def header_size(path: Path) -> Size:
    """The upright size in the image's header; its faults as AnnotationError, without a place."""
    try:
        return images.read_size(path)
    except ImageError as error:
        raise AnnotationError(error.message, code=error.code, hint=error.hint) from error


def image_size(said: Size | None, path: Path) -> Size:
    """The size that was said, else the header's; a mask of that size must fit into memory.

    `upright.settle` holds it against the header later; here only a size that is too large to be
    true. AnnotationError: the image's own faults, `image.too_many_pixels`, `image.size`.
    """
    if said is not None and said[0] * said[1] <= LARGEST:
        return said
    size = header_size(path)
    if size[0] * size[1] > LARGEST:
        raise AnnotationError(
            f"{size[1]} × {size[0]} pixels are more than {LARGEST:,}",
            code="image.too_many_pixels",
            hint="cut the image up first",
        )
    if said is not None:
        raise disagree(said, size, "the image")
    return size


def disagree(said: Size, actual: Size, name: str) -> AnnotationError:
    """The labels speak of another size than the image has."""
    return AnnotationError(
        f"the labels speak of {said[1]} × {said[0]} pixels, {name} has {actual[1]} × {actual[0]}",
        code="image.size",
        hint="were the images resized, or exchanged, after labelling?",
    )
