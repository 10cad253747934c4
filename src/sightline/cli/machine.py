"""The options that say on what a model runs."""

from typing import Annotated

import typer

Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads to compute with.", show_default="all cores")
]
Device = Annotated[
    str, typer.Option(help="Where to compute: cpu, cuda, or auto for a GPU where there is one.")
]
