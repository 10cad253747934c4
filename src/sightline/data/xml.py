"""XML label files: no document types, no entities, no depth, no masses of elements.

Every element knows the line it begins on, so that faults can be told with their place.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from sightline.data.reading import TEXT_LIMIT, read_bytes
from sightline.errors import AnnotationError


@dataclass(frozen=True)
class XmlLimits:
    """How deep, how many and how much: elements within each other, in all, and bytes."""

    depth: int = 20
    elements: int = 200_000
    size: int = TEXT_LIMIT


class Node(Element):
    """An element and the line of the file it begins on, counted from 1."""

    line: int = 0

    @property
    def place(self) -> str:
        """The element as a pointer into its file."""
        return f"line {self.line}"

    def each(self, tag: str) -> "list[Node]":
        """The children called `tag`, in order."""
        return [child for child in self if isinstance(child, Node) and child.tag == tag]


class _Tree:
    """Builds the tree while the parser reads, and stops it at the limits.

    Text after an element's last child (its tail) is dropped: no label file has any.
    """

    def __init__(self, limits: XmlLimits) -> None:
        self.limits = limits
        self.parser: Any = None
        self.root: Node | None = None
        self.open: list[Node] = []
        self.texts: list[str] = []
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        node = Node(tag, attributes)
        node.line = self.parser.parser.CurrentLineNumber
        self.count += 1
        if len(self.open) >= self.limits.depth or self.count > self.limits.elements:
            raise AnnotationError(
                "nested too deeply, or too long", code="xml.size", pointer=node.place
            )
        self._flush()
        if self.open:
            self.open[-1].append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, tag: str) -> None:
        self._flush()
        self.open.pop()

    def data(self, text: str) -> None:
        self.texts.append(text)

    def close(self) -> Node | None:
        return self.root

    def _flush(self) -> None:
        if self.open and not len(self.open[-1]):
            self.open[-1].text = "".join(self.texts)
        self.texts.clear()


def read_xml(path: Path, root: str, limits: XmlLimits = XmlLimits()) -> Node:
    """The root element of an XML file, which must be called `root`.

    AnnotationError: those of `read_bytes`; `xml.forbidden` for document types and entities,
    `xml.size` beyond the limits, `xml.syntax` and `xml.size` with the line, `xml.root`.
    """
    return parse_xml(read_bytes(path, limits.size), path, root, limits)


def parse_xml(data: bytes, path: Path, root: str, limits: XmlLimits = XmlLimits()) -> Node:
    """The root element of XML that stands in the file `path`; errors as those of `read_xml`."""
    tree = _Tree(limits)
    tree.parser = DefusedXMLParser(target=tree, forbid_dtd=True)
    try:
        tree.parser.feed(data)
        found = tree.parser.close()
    except AnnotationError as error:
        error.path = str(path)
        raise
    except DefusedXmlException as error:
        raise AnnotationError(
            "document types and entities are refused",
            code="xml.forbidden",
            path=path,
            pointer=f"line {tree.parser.parser.CurrentLineNumber}",
            hint="delete the <!DOCTYPE …>",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        line, column = getattr(error, "position", (1, 0))
        raise AnnotationError(
            str(error), code="xml.syntax", path=path, pointer=f"line {line}:{column}"
        ) from error
    if not isinstance(found, Node) or found.tag != root:
        raise AnnotationError(f"there is no <{root}>", code="xml.root", path=path)
    return found
