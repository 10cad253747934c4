"""`sightline models`: what the catalogue holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """List the models, and which of them have weights in the package."""
    rows = [_state(name) for name in _names()]
    if as_json:
        print(json.dumps(rows))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        also = f" (also: {', '.join(row['aliases'])})" if row["aliases"] else ""
        print(f"{row['name']:<{width}}  {row['weights']}{also}")
        for key, choices in row["options"].items():
            print(f"{'':<{width}}  option {key}: {' or '.join(choices)}")
        if row["figures"]:
            shown = ", ".join(f"{key} {value:.3f}" for key, value in row["figures"].items())
            print(f"{'':<{width}}  {len(row['classes'])} classes; {shown}")


def _names() -> list[str]:
    from sightline import catalogue

    return [*catalogue.MODELS, *catalogue.PUBLISHED]


def _state(name: str) -> dict[str, Any]:
    from sightline import catalogue
    from sightline.nets import weights
    from sightline.predict import embedded

    aliases = [alias for alias, full in catalogue.ALIASES.items() if full == name]
    path = embedded(name)
    state = "train it on your own images: sightline train"
    if name in catalogue.PUBLISHED:
        fetched = weights.PUBLISHED[name].fetched
        state = "published weights, fetched when you name them"
        state = state if fetched else "published weights: give their file (--weights)"
    elif name in catalogue.WEIGHTLESS:
        state = "ready: it needs no weights"
    elif path is not None:
        state = "ready: weights in the package"
    options = catalogue.options_of(name) if name in catalogue.MODELS else {}
    return {"name": name, "aliases": aliases, "weights": state, "options": options, **_card(path)}


def _card(path: Path | None) -> dict[str, Any]:
    """Classes and main figures, as the manifest has them."""
    if path is None:
        return {"classes": [], "figures": {}}
    manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    figures = manifest.get("figures") or {}
    main = {key: figures[key] for key in ("AP", "AP50") if isinstance(figures.get(key), float)}
    return {"classes": manifest["classes"], "figures": main}
