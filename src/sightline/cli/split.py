"""`sightline split`: a data set divided into train, val and test, each with its share of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.convert import IMAGES, say, write
from sightline.cli.labelled import KNOWN, ON_BAD, SOURCE, From

if TYPE_CHECKING:
    from sightline.data import Dataset
    from sightline.data.checks import OnBad
    from sightline.data.division import Division

RATIOS = "Names of the splits and the part of the images each gets; they sum to 1."
SIMILAR = "Keep images together that are the same or nearly, as a test image must be new."
GROUP_BY = (
    "Keep images together whose file names agree in what this regular expression finds: "
    "'^(.+)_frame' for the frames of a video."
)
DEFAULT = "train=0.8,val=0.2"
FOLDS = (
    "For cross-validation, instead of --ratios: so many folders, fold-1 and so on, each with "
    "another part as val and all the rest as train."
)
KEEP = "Split of the source that stays as it is, as a test set may; the ratios divide the rest."
TO = f"Format to write, one that holds splits: {KNOWN}."
ROWS = 100
"""Classes shown at most; `--json` and split.json have all of them."""


def split(
    source: Annotated[Path, typer.Argument(help=SOURCE)],
    out: Annotated[Path, typer.Option(help="New or empty folder to write into.")],
    source_format: From = None,
    ratios: Annotated[str | None, typer.Option(help=RATIOS, show_default=DEFAULT)] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, max=1000, help=FOLDS, show_default=False)
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="SPLIT", help=KEEP, show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another division.")] = 0,
    similar: Annotated[bool, typer.Option("--similar/--no-similar", help=SIMILAR)] = True,
    group_by: Annotated[
        str | None, typer.Option(metavar="REGEX", help=GROUP_BY, show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help=TO, show_default="that of the source"),
    ] = None,
    images: Annotated[str, typer.Option(help=IMAGES)] = "copy",
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Divide a data set so that every split has its share of every class.

    Splits that it has already are taken together and divided anew. The source stays as it is: a
    folder of its own is written, with split.json, which tells how to do it again.
    """
    from sightline.data.checks import mode
    from sightline.data.convert import check_images
    from sightline.data.division import divide_dataset
    from sightline.data.formats.output import check_output
    from sightline.data.held_out import hold_out
    from sightline.data.open import format_of
    from sightline.data.split import check_ratios
    from sightline.files import write_json

    how = mode(on_bad, "--on-bad")
    parts = _parts(ratios, folds)
    check_ratios(parts)
    names = list(parts) if folds is None else ["train", "val"]
    to = _format(format_of(source, source_format), to, names if keep is None else [*names, keep])
    check_output(out, [], overwrite=False)
    check_images(images)
    old, dataset, staying = _opened(source, source_format, keep, how)
    groups = _groups(dataset, similar, group_by)
    aside = None if staying is None else hold_out(dataset, staying, groups)
    rest = (dataset, groups) if aside is None else (aside.rest, aside.groups)
    division = divide_dataset(rest[0], parts, seed, rest[1])
    also, torn = ([], []) if aside is None else ([aside.kept], aside.torn)
    folders = {"": division.parts()} if folds is None else division.folds()
    lost = {name: write([*p, *also], out / name, to, images)[1] for name, p in folders.items()}
    told: dict[str, Any] = {
        **division.to_json(),
        "similar": similar,
        "group_by": group_by,
        "keep": keep,
        "source": {"name": dataset.name, "splits": old, "fingerprint": dataset.fingerprint()},
    }
    files = division.files()
    files |= {str(part.split): [part.file_name(e) for e in part] for part in also}
    write_json(out / "split.json", {**told, "torn": torn, "files": files}, indent=1)
    if as_json:
        losses = {name: one.to_json() for name, one in lost.items()}
        answer = {"out": str(out), "format": to, **told, "losses": losses.get("", losses)}
        print(json.dumps(answer, allow_nan=False))
        return
    others = [name for name in old if aside is None or name != aside.kept.split]
    if others:
        print(f"its splits ({', '.join(others)}) were taken together and divided anew")
    for part in also:
        print(f"{part.split}: {len(part):,} images, as it was")
    _print(division)
    what = "" if folds is None else f"{folds} folds of "
    print(f"{what}{len(dataset):,} images in {out}, as {to}; how it was done: split.json")
    for name, one in lost.items():
        say(one, to, name)


def _opened(
    source: Path, source_format: str | None, keep: str | None, on_bad: OnBad
) -> tuple[tuple[str, ...], Dataset, Dataset | None]:
    """The names of its splits, all its images, and of these the split that stays."""
    import warnings

    from sightline.data import open_dataset, splits
    from sightline.data.division import gather
    from sightline.data.kept import kept
    from sightline.errors import SightlineWarning

    with kept():
        names = splits(source, source_format)
        dataset = gather(source, on_bad, source_format)
        if keep is None:
            return names, dataset, None
        with warnings.catch_warnings():  # of the labels all was told when everything was read
            warnings.simplefilter("ignore", SightlineWarning)
            part = open_dataset(source, keep, on_bad=on_bad, format=source_format)
        return names, dataset, part


def _parts(ratios: str | None, folds: int | None) -> dict[str, float]:
    from sightline.errors import UsageError

    if folds is None:
        return ratios_of(DEFAULT if ratios is None else ratios)
    if ratios is not None:
        raise UsageError(
            "folds have no ratios: each gets the same part",
            code="split.folds",
            hint="leave --ratios or --folds away",
        )
    return {f"fold-{i}": 1 / folds for i in range(1, folds + 1)}


def ratios_of(text: str) -> dict[str, float]:
    """`train=0.8,val=1/5` as name → number; UsageError `split.ratio` where it is none of these."""
    from sightline.errors import UsageError

    answer: dict[str, float] = {}
    for item in text.split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        above, _, below = value.partition("/")
        try:
            number = float(above) / float(below or 1)
        except (ValueError, ZeroDivisionError) as error:
            raise UsageError(
                f"{item.strip()!r} is not a name and a number",
                code="split.ratio",
                hint="for instance --ratios train=0.8,val=0.1,test=0.1",
            ) from error
        if name in answer:
            raise UsageError(
                f"there are two splits {name!r}", code="split.name", hint="give each its own name"
            )
        answer[name] = number
    return answer


def _format(own: str, to: str | None, names: list[str]) -> str:
    """The format to write, `own` where none is said; it must be able to hold splits of these names;
    UsageError.
    """
    from sightline.data.formats import FORMATS
    from sightline.data.formats.plan import check_split_names
    from sightline.errors import UsageError

    chosen = own if to is None else to
    able = [name for name, kind in FORMATS.items() if "splits" in kind.holds]
    if chosen not in able:
        what = (
            f"{chosen} holds no splits" if chosen in FORMATS else f"there is no format {chosen!r}"
        )
        hint = f"name one with --to: {', '.join(able)}"
        raise UsageError(what, code="split.format", hint=hint)
    check_split_names(names, chosen)
    return chosen


def _groups(dataset: Dataset, similar: bool, group_by: str | None) -> list[list[int]]:
    """Rows that stay together, for one reason or another."""
    from sightline.data.division import group_by_name
    from sightline.data.duplicates import find
    from sightline.progress import bar

    groups = [] if group_by is None else group_by_name(dataset, group_by)
    if similar:
        with bar(1.0, "compare the images") as shown:
            found = find([e.path for e in dataset], lambda n, of: shown.to(n / of))
        groups += [list(group.rows) for group in found.groups]
    return groups


def _print(division: Division) -> None:
    from sightline.cli import plain

    total = len(division.dataset)
    names = list(division.ratios)
    for name, rows in zip(names, division.rows, strict=True):
        print(f"{name}: {len(rows):,} images, {len(rows) / total:.1%}")
    if division.groups:
        together = sum(map(len, division.groups))
        print(f"{len(division.groups):,} groups of images were kept together ({together:,} images)")
    order = sorted(range(len(division.dataset.classes)), key=lambda c: -division.images[c].sum())
    titles = [plain(name) for name in (*division.dataset.classes, "(no objects)")]
    shown = [row for row in [*order[:ROWS], -1] if division.images[row].any()]
    width = max(len(titles[row]) for row in shown)
    print("\n" + " " * width + "".join(f"  {plain(name):>25}" for name in names))
    print(" " * width + f"  {'images':>8} {'':>7} {'objects':>8}" * len(names))
    for row in shown:
        images, objects = division.images[row], division.objects[row]
        cells = (
            f"  {i:>8,} {i / max(1, images.sum()):>7.1%} {o:>8,}"
            for i, o in zip(images, objects, strict=True)
        )
        print(f"{titles[row]:<{width}}" + "".join(cells))
    if len(order) > ROWS:
        print(f"… and {len(order) - ROWS} more (split.json tells all)")
    away = division.deviation()
    if away is not None:
        print(
            f"\nfarthest from its ratio: {titles[away.label]}, {away.images:,} of {away.total:,} "
            f"images in {plain(away.split)}, {away.share:.2%} instead of {away.ratio:.2%}"
        )
