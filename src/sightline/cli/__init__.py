"""The command line: `sightline VERB`, one typed function a verb.

Exit statuses: 0 done, 2 the call makes no sense, 3 some inputs failed, 4 all did, 5 weights,
6 the machine refuses, 7 training diverged, 130 and 143 interrupted, 1 a bug of ours.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import typer

import sightline
from sightline import processes, progress, waiting
from sightline.cli import (
    anchors,
    check,
    compare,
    convert,
    darknet,
    demo,
    detect,
    evaluate,
    explain,
    lost,
    lr_find,
    models,
    proposals,
    split,
    train,
)
from sightline.errors import ResourceError, SightlineError, SightlineWarning, UsageError

BROKEN_PIPE = 141
"""128 + SIGPIPE, as a program that the signal ends."""

INTERRUPTED = 130
"""128 + SIGINT; what an interrupted verb ends with as well."""

ISSUES = "please report it with the output of the same command and --debug"

app = typer.Typer(
    name="sightline",
    help="Find things in images, and see how they were found.",
    epilog="Start with: sightline demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Find things in images, and see how they were found."""


app.command(short_help="See what it finds in a few photos, at once.")(demo.demo)
app.command(short_help="Find things in your images.")(detect.detect)
app.command(short_help="See every stage of an answer, and why.")(explain.explain)
app.command(short_help="Find where a model loses objects.")(lost.lost)
app.command(cls=proposals.EvaluateCommand, short_help="Measure a model on labelled images.")(
    evaluate.evaluate
)
app.command(short_help="Teach a model your own classes.")(train.train)
app.command(short_help="Compare every generation on your images.")(compare.compare)
app.command(short_help="Write a data set in another format.")(convert.convert)
app.command(short_help="Divide a data set into train, val, test.")(split.split)
app.command(short_help="Find what is wrong with labelled images.")(check.check)
app.command(short_help="Find the box shapes to begin with.")(anchors.anchors)
app.command("lr-find", short_help="Find a learning rate to train with.")(lr_find.lr_find)
app.command(short_help="Write a YOLO v2 or v3 as Darknet's files.")(darknet.darknet)
app.command(short_help="List the models and their weights.")(models.models)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"sightline {sightline.__version__}")
        raise SystemExit(0)
    end = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:end]
    given = [item for i, item in enumerate(given) if item != "--debug" or i > end]
    handler = signal.signal(signal.SIGTERM, _terminated)
    show = warnings.showwarning
    warnings.showwarning = _show_warning if not debug else show
    progress.allow_notices()
    try:
        with waiting.brief():
            status = _run(given, debug)
    finally:  # a program that calls `main` gets its own ways back
        signal.signal(signal.SIGTERM, handler)
        warnings.showwarning = show
        progress.allow_notices(False)
    raise SystemExit(status)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(arguments: list[str], debug: bool) -> int:
    command = typer.main.get_command(app)
    try:
        status = command.main(arguments, prog_name="sightline", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            return _broken_pipe()
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        return report(error)
    if status == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _broken_pipe() -> int:
    # Python would flush standard output once more on its way out, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def report(error: Exception) -> int:
    """Say in one line on standard error what went wrong; the answer is the exit status."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        context: Any = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "sightline"
        message = error.format_message().rstrip(".")
        print(f"error: {message}\nTry '{where} --help'.", file=sys.stderr)
        return 2
    known = typed(error)
    if known is not None:
        print(f"error: {_who()}{plain(str(known))}", file=sys.stderr)
        return known.exit_status
    name, text = type(error).__name__, plain(str(error))
    print(f"error: this is a bug of sightline ({name}: {text}); {ISSUES}", file=sys.stderr)
    return 1


def _who() -> str:
    """Which of several processes speaks; nothing where the environment makes no sense: that may be
    the very error to tell.
    """
    try:
        return f"process {processes.rank()}: " if processes.world_size() > 1 else ""
    except UsageError:
        return ""


def typed(error: Exception) -> SightlineError | None:
    """The error itself if it is one of ours, ours for what the machine refuses, else None."""
    if isinstance(error, SightlineError):
        return error
    memory = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
    if memory or type(error).__name__ == "OutOfMemoryError":
        return ResourceError(
            "out of memory",
            code="resource.out_of_memory",
            hint="smaller images, tiles or batches need less",
        )
    if isinstance(error, OSError) and error.errno is not None:
        from sightline.files import CODES

        if error.errno in CODES:
            code, message, hint = CODES[error.errno]
            return ResourceError(message, code=code, path=error.filename, hint=hint)
    return None


def plain(text: str) -> str:
    """`text` on one line, without control characters and without what the terminal cannot show."""
    encoding = sys.stderr.encoding or "ascii"
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Our warnings in one line; those of the libraries below say nothing to a user."""
    if issubclass(category, SightlineWarning):
        print(f"warning: {plain(str(message))}", file=sys.stderr)
