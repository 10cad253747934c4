"""The page as one file: what it shows, how it looks and what moves it, with nothing to fetch.

Names of files and classes are anybody's text: in the page's own text they are escaped, in its data
no character is left that could end a script. The page forbids itself, by a policy of its own, to
load anything and to run any script but its own.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from sightline.files import write_text

SCRIPTS = ("core.js", "suppress.js", "table.js", "charts.js", "viewer.js")


@dataclass(frozen=True)
class Page:
    """What a page shows: its texts, and the data of its tables, charts and pictures."""

    title: str
    facts: str
    advice: Sequence[str]
    footer: str
    data: Mapping[str, Any]


def write(path: Path, page: Page) -> Path:
    """Write the page to `path`, in one step; ResourceError where that cannot be."""
    return write_text(path, rendered(page))


def rendered(page: Page) -> str:
    """The whole text of the page."""
    folder = resources.files("sightline.report") / "assets"

    def part(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    style = part("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(part, SCRIPTS)) + "\n})();\n"
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    return Template(part("page.html")).substitute(
        policy=policy,
        title=html.escape(page.title),
        facts=html.escape(page.facts),
        advice="".join(f"<li>{html.escape(line)}</li>" for line in page.advice),
        footer=html.escape(page.footer),
        style=style,
        data=embedded(page.data),
        script=script,
    )


def embedded(value: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element: no <, > or &, and only ASCII."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _digest(text: str) -> str:
    """What a policy calls the inline text that it lets in."""
    total = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(total).decode('ascii')}'"
