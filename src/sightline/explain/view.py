"""One stage of an answer as people see it: numbers, a table, a picture; and all of them as a page.

Pictures are drawn when they are asked for, so that numbers alone cost nothing.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.evaluate.pictures import save
from sightline.files import make_folder, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = str | int | float | None

WIDE = 12
"""So many columns are shown at a terminal; a page and JSON have them all."""

LONG = 20
"""So many rows of a table are shown in a notebook."""


@dataclass(frozen=True)
class View:
    """What one stage did. `name` is one word or more with hyphens, the stem of its picture;
    `table` has `heads`, and `draw` makes the picture, None where there is nothing to see.
    """

    name: str
    title: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    table: Sequence[Sequence[Cell]] = ()
    draw: "Callable[[], Figure] | None" = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; the table as one object a row."""
        rows = [dict(zip(self.heads, row, strict=True)) for row in self.table]
        return {
            "stage": self.name, "title": self.title, "numbers": dict(self.numbers), "table": rows
        }  # fmt: skip

    def text(self, limit: int | None = None) -> str:
        """For people: the title, the numbers, the first `limit` rows."""
        lines = [self.title]
        lines += [f"  {key}: {shown(value)}" for key, value in self.numbers.items()]
        heads, more = list(self.heads[:WIDE]), [] if len(self.heads) <= WIDE else ["…"]
        cells = ([shown(cell) for cell in row[:WIDE]] for row in self.table[:limit])
        rows = [[*heads, *more], *([*row, *more] for row in cells)]
        if self.table:
            wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
            lines += [
                "  " + "  ".join(c.ljust(w) for c, w in zip(r, wide, strict=True)).rstrip()
                for r in rows
            ]
        if limit is not None and len(self.table) > limit:
            lines.append(f"  … and {len(self.table) - limit:,} more")
        return "\n".join(lines)

    def markdown(self, picture: str | None) -> str:
        """A section of a page."""
        lines = [f"## {self.title}", ""]
        lines += [f"- {key}: {shown(value)}" for key, value in self.numbers.items()]
        lines += [""] if self.numbers else []
        if picture is not None:
            lines += [f"![{self.title}]({picture})", ""]
        if self.table:
            lines.append(f"| {' | '.join(self.heads)} |")
            lines.append("|---" * len(self.heads) + "|")
            lines += [f"| {' | '.join(shown(cell) for cell in row)} |" for row in self.table]
            lines.append("")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows of it: numbers, the picture, the beginning of the table."""
        parts = [f"<h4>{escape(self.title)}</h4>"]
        parts += [f"<div>{escape(f'{key}: {shown(v)}')}</div>" for key, v in self.numbers.items()]
        if self.draw is not None:
            stream = io.BytesIO()
            self.draw().savefig(stream, format="png", facecolor="white")
            data = base64.b64encode(stream.getvalue()).decode()
            parts.append(f'<img alt="{escape(self.title)}" src="data:image/png;base64,{data}">')
        if self.table:
            rows = [("th", self.heads), *(("td", row) for row in self.table[:LONG])]
            lines = [
                "".join(f"<{tag}>{escape(shown(cell))}</{tag}>" for cell in row)
                for tag, row in rows
            ]
            parts.append(f"<table><tr>{'</tr><tr>'.join(lines)}</tr></table>")
        if len(self.table) > LONG:
            parts.append(f"<div>… and {len(self.table) - LONG:,} more</div>")
        return "\n".join(parts)


def shown(value: Any) -> str:
    """A number as people read it: three digits that count."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-3 <= abs(value) < 100 or value == 0 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return " × ".join(shown(one) for one in value)
    return str(value).replace("|", "/").replace("\n", " ")


def write(out: Path, title: str, views: Sequence[View]) -> list[Path]:
    """stages.json, stages.md, and a PNG a picture, in the folder `out`, which is made.

    ResourceError where the disk refuses.
    """
    make_folder(out)
    written, parts = [], [f"# {title}", ""]
    for number, view in enumerate(views, start=1):
        picture = None
        if view.draw is not None:
            picture = f"{number:02d}-{view.name}.png"
            written.append(save(view.draw(), out / picture))
        parts.append(view.markdown(picture))
    data = {"title": title, "stages": [view.to_json() for view in views]}
    written.append(write_json(out / "stages.json", data, indent=1))
    return [*written, write_text(out / "stages.md", "\n".join(parts))]
