"""What a JSON file is, from its first bytes: label files may be far too large to read twice."""

import re
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import AnnotationError

HEAD = 1 << 16
"""Bytes that are looked at."""

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"?|([{}\[\]:])', re.DOTALL)
"""A text, closed or cut off at the end, or a mark: no input makes it look back. Commas, by far the
most of all marks, tell nothing here.
"""

_DEPTH = {"{": 1, "[": 1, "}": -1, "]": -1, ":": 0}


@dataclass(frozen=True)
class JsonHead:
    """`keys` are those of the outer object, or of the first objects of the outer list."""

    is_list: bool
    keys: frozenset[str]


def json_head(path: Path) -> JsonHead:
    """The outer keys that stand in the first bytes of a file, whether the rest is sound or not.

    AnnotationError `file.unreadable`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(HEAD).decode("utf-8-sig", "replace")
    except OSError as error:
        raise AnnotationError(str(error), code="file.unreadable", path=path) from error
    is_list = text.lstrip()[:1] == "["
    level, depth = 1 + is_list, 0
    keys: set[str] = set()
    last: str | None = None
    for word, mark in _TOKEN.findall(text):
        if not mark:
            last = word
            continue
        if mark == ":" and depth == level and last is not None:
            keys.add(last)
        last = None
        depth += _DEPTH[mark]
    return JsonHead(is_list, frozenset(keys))
