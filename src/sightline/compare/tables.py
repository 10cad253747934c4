"""The table of a comparison: for people (Markdown), for spreadsheets (CSV), for programs (JSON)."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline.compare.rows import FIGURES, Row, Times
from sightline.compare.run import Comparison
from sightline.files import write_json, write_text

VERBS = ("prepare", "encode", "propose", "classify", "postprocess")


def record(row: Row, times: Times | None) -> dict[str, Any]:
    """One line of the table, flat; what is not known is None."""
    low, high = row.intervals.get("AP") or (None, None)
    answer: dict[str, Any] = {"model": row.name, "AP": row.figures.get("AP")}
    answer |= {"AP_low": low, "AP_high": high}
    answer |= {key: row.figures.get(key) for key in FIGURES[1:]}
    answer |= {
        "regions_an_image": None if row.failed else round(row.regions, 1),
        "parameters": None if row.failed else row.parameters,
        "start": row.start,
        "steps": row.steps,
        "failed": row.failed,
    }
    return answer if times is None else answer | _times(times)


def _times(times: Times) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "training_s": times.training,
        "ms": round(times.milliseconds, 2),
        **{f"{verb}_ms": round(times.stages[verb], 2) for verb in VERBS},
        "images_a_second": round(times.throughput, 2),
        "memory_MB": None if times.memory is None else round(times.memory / 1e6),
    }
    return answer


def records(found: Comparison, times: bool = True) -> list[dict[str, Any]]:
    """Every line; without `times` what the seed and the weights decide alone."""
    lines = [record(row, found.times.get(row.name) if times else None) for row in found.rows]
    keys = dict.fromkeys(key for line in lines for key in line)
    return [{key: line.get(key) for key in keys} for line in lines]


def as_csv(lines: list[dict[str, Any]]) -> str:
    """Comma-separated, a head first; a cell that a spreadsheet would run is quoted with a '."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({key: _cell(value) for key, value in line.items()})
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def as_markdown(found: Comparison) -> str:
    """The table that is read: AP with its interval, times, sizes."""
    heads = [
        *("model", "AP", "95 % interval", "AP50", "AP75", "small", "medium", "large"),
        *("regions", "training", "ms", "images/s", "memory (MB)", "parameters (M)"),
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for row in found.rows:
        name = row.name.replace("|", "\\|")
        if row.failed:
            reason = row.failed.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {name} | failed: {reason} |" + " |" * (len(heads) - 2))
            continue
        cells = [name, *_accuracy(row), f"{row.regions:,.0f}", *_costs(found.times.get(row.name))]
        lines.append(f"| {' | '.join((*cells, f'{row.parameters / 1e6:.2f}'))} |")
    return "\n".join(lines) + "\n"


def _accuracy(row: Row) -> list[str]:
    spread = row.intervals.get("AP")
    shown = [_figure(row.figures.get(key)) for key in FIGURES[:6]]
    between = "–" if spread is None else f"{spread[0]:.3f}–{spread[1]:.3f}"
    return [shown[0], between, *shown[1:]]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _costs(times: Times | None) -> list[str]:
    if times is None:
        return ["–"] * 4
    return [
        duration(times.training),
        f"{times.milliseconds:.1f}",
        f"{times.throughput:.1f}",
        "–" if times.memory is None else f"{times.memory / 1e6:.0f}",
    ]


def duration(seconds: float | None) -> str:
    """Seconds, or minutes and seconds."""
    if seconds is None:
        return "–"
    return (
        f"{seconds:.0f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    )


def stages(found: Comparison) -> str:
    """Where the time of an image goes, as Markdown."""
    lines = [f"| model | {' | '.join(VERBS)} |", "|---" + "|--:" * len(VERBS) + "|"]
    for name, times in found.times.items():
        cells = [f"{times.stages[verb]:.1f}" for verb in VERBS]
        lines.append(f"| {name} | {' | '.join(cells)} |".replace("\n", " "))
    return "\n".join(lines) + "\n"


def write(out: Path, found: Comparison, about: Mapping[str, Any], advice: list[str]) -> None:
    """table.json, table.csv and table.md in `out`; and figures.json, in which nothing is a time:
    the same seed, weights and images write the same bytes.
    """
    rows, timed = records(found, times=False), records(found)
    write_json(out / "figures.json", {**about, "rows": rows}, indent=1)
    whole = {**about, "rows": timed, "advice": advice}
    write_json(out / "table.json", whole, indent=1)
    write_text(out / "table.csv", as_csv(timed))
    parts = [as_markdown(found), "Milliseconds an image by stage:\n", stages(found)]
    parts.append("\n".join(f"- {line}" for line in advice) + "\n")
    write_text(out / "table.md", "\n".join(parts))
