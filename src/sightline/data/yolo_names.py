"""The class names of a `data.yaml`, as they are written.

YAML reads `yes` as true, `1.10` as a number and `null` as nothing. A class name is text, so what
stands in the file counts; the user is told, since other programs read such a name otherwise.
"""

import re
from pathlib import Path

import yaml

from sightline.data.checks import Checks
from sightline.errors import AnnotationError

TEXT, NUMBER, NOTHING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "null"))
PLAIN = re.compile(r"0|-?[1-9][0-9]*")
"""Numbers that every program writes as they were read."""

LARGEST = 2**31
HINTS = {
    "category.none": "write names: [cat, dog]",
    "category.id": "number the classes 0, 1, 2 …, as the label files do",
    "category.name": "give every class a name; put null and ~ in quotes if they are names",
    "category.duplicate_name": "join the two, or rename one",
}


def class_names(
    root: yaml.MappingNode, report: tuple[Checks, Path]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names in the order of their ids, and the ids: 0 … K−1 for a list.

    Faults make the whole file unusable and are told with their lines, as are names that YAML takes
    for something else (`category.retyped`, a warning).
    """
    checks, path = report

    def refuse(code: str, message: str, node: yaml.Node) -> None:
        checks.ruin(AnnotationError(message, code=code, hint=HINTS[code]), path, _place(node))

    value = next((node for key, node in root.value if key.value == "names"), None)
    pairs: list[tuple[yaml.Node | None, yaml.Node]] = []
    if isinstance(value, yaml.SequenceNode):
        pairs = [(None, node) for node in value.value]
    elif isinstance(value, yaml.MappingNode):
        pairs = list(value.value)
    if not pairs:
        refuse("category.none", "there are no class names", value or root)
    found: dict[int, str] = {}
    taken: set[str] = set()
    for place, (key, node) in enumerate(pairs):
        number = place if key is None else _number(key)
        if number is None or number in found:
            refuse("category.id", f"{_text(key)!r} is no class id of its own", key or node)
            continue
        name = _text(node)
        if node.tag == NOTHING or not name:
            refuse("category.name", f"class {number} has no name", node)
            name = f"\0{number}"
        elif name in taken:
            refuse("category.duplicate_name", f"two classes are called {name!r}", node)
        elif node.tag != TEXT and not (node.tag == NUMBER and PLAIN.fullmatch(name)):
            kind = node.tag.rsplit(":")[-1]
            message = f"YAML takes the class name {name!r} for {kind}; it is read as written"
            hint = f"put it in quotes: '{name}'"
            checks.repair("category.retyped", message, path, _place(node), hint)
        taken.add(name)
        found[number] = name
    return tuple(found[key] for key in sorted(found)), tuple(sorted(found))


def _text(node: yaml.Node | None) -> str:
    """What is written; nothing for lists and mappings, which are no names."""
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""


def _number(node: yaml.Node) -> int | None:
    """A class id: a whole number from 0."""
    text = _text(node)
    if node.tag != NUMBER or not PLAIN.fullmatch(text) or len(text) > 10:
        return None
    return int(text) if 0 <= int(text) < LARGEST else None


def _place(node: yaml.Node) -> str:
    return f"names (line {node.start_mark.line + 1}:{node.start_mark.column + 1})"
