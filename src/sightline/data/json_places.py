"""Where in a JSON text the faults stand that Python's reader takes without a word, or cannot place.

The text is gone over by its tokens, which takes longer than reading it, so it is done only for
files that are known to be at fault.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],]|NaN|-?Infinity|-?\d+', re.DOTALL)
"""Texts, brackets, commas, digits, and what is no JSON. No beginning fails, so no text is slow."""

DIGITS = 4300
"""The longest integer that Python reads."""

MOST = 1000
"""Faults told of one file."""

DEEP = 500
"""The depth from which on a file that is nested too deeply is said to be so."""


@dataclass
class _Level:
    """An object or a list that is open at this place of the text."""

    keys: set[str] | None
    at: int | str = 0
    waits: bool = True


@dataclass(frozen=True)
class Misplaced:
    """A fault of the text: its rule, what is wrong, the JSON pointer with line and column."""

    code: str
    message: str
    pointer: str
    hint: str


@dataclass
class _Walk:
    text: str
    levels: list[_Level] = field(default_factory=list)
    line: int = 1
    counted: int = 0

    def place(self, start: int) -> str:
        """The pointer of what is being read, with line and column of `start`."""
        self.line += self.text.count("\n", self.counted, start)
        self.counted = start
        column = start - self.text.rfind("\n", 0, start)
        steps = (str(level.at).replace("~", "~0").replace("/", "~1") for level in self.levels)
        pointer = "".join(f"/{step[:80]}" for step in list(steps)[:20])
        return f"{pointer or '/'} (line {self.line}:{column})"

    def faults(self) -> Iterator[Misplaced]:
        """Every fault of the text, in its order."""
        for match in TOKENS.finditer(self.text):
            token, start = match[0], match.start()
            if token[0] == '"':
                yield from self._string(token, start)
            elif token in "{[":
                self.levels.append(_Level(set() if token == "{" else None))
                if len(self.levels) > DEEP:
                    place = f"line {self.text.count(chr(10), 0, start) + 1}"
                    yield Misplaced("json.depth", "nested too deeply", place, "")
                    return
            elif token in "}]":
                if self.levels:
                    self.levels.pop()
            elif token == ",":
                if self.levels and self.levels[-1].keys is None:
                    self.levels[-1].at = int(self.levels[-1].at) + 1
                elif self.levels:
                    self.levels[-1].waits = True
            elif token[-1].isdigit():
                if len(token.lstrip("-")) <= DIGITS:
                    continue
                message = f"a number of {len(token)} digits"
                hint = "no coordinate and no id needs more than 19"
                yield Misplaced("json.number", message, self.place(start), hint)
            else:
                hint = "write a number, or leave the entry out"
                yield Misplaced("json.constant", f"{token} is not JSON", self.place(start), hint)

    def _string(self, token: str, start: int) -> Iterator[Misplaced]:
        """A text: a key where the object around it waits for one."""
        level = self.levels[-1] if self.levels else None
        if level is None or level.keys is None or not level.waits:
            return
        key = json.loads(token)
        level.at, level.waits = key, False
        if key in level.keys:
            message = f"the key {key[:80]!r} stands twice in one object"
            yield Misplaced("json.twice", message, self.place(start), "keep one of the two")
        level.keys.add(key)


def misplaced(text: str) -> list[Misplaced]:
    """The first `MOST` faults of a JSON text that Python's reader can read, or all but read.

    `json.twice`, `json.constant` (NaN and Infinity), `json.number` (integers of thousands of
    digits), `json.depth`, which ends the walk.
    """
    found = []
    for fault in _Walk(text).faults():
        found.append(fault)
        if len(found) == MOST:
            break
    return found
