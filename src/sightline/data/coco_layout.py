"""Where the files of a COCO data set lie: the labels of each split, and the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.json_head import json_head
from sightline.data.reading import contained, is_file, list_folder
from sightline.data.split_names import APART, rank
from sightline.errors import AnnotationError, DatasetError

ROBOFLOW = "_annotations.coco.json"
SINGLE = ("annotations/instances.json", ROBOFLOW, "annotations.json", "instances.json")
SAMPLE = 50


@dataclass(frozen=True)
class CocoSource:
    """Which files make one COCO data set; `images` is None where their folder is to be found."""

    annotations: Path
    images: Path | None
    root: Path
    split: str | None


def coco_files(root: Path) -> dict[str | None, Path]:
    """The label file of each split; under None that of a data set without splits.

    Looked for, in this order: `annotations/instances_{split}.json`, Roboflow's
    `{split}/_annotations.coco.json`, `annotations/{split}.json`, then one file for all.
    """
    home = root / "annotations"
    files = [path for path in list_folder(home) if path.suffix == ".json"]
    found: dict[str | None, Path] = {
        path.stem.removeprefix("instances_"): path
        for path in files
        if path.stem.startswith("instances_")
    }
    if not found:
        found = {s: path for s in APART if (path := root / s / ROBOFLOW).is_file()}
    if not found:
        found = {path.stem: path for path in files if path.stem in APART}
    if not found:
        single = next((path for name in SINGLE if _is_single(path := root / name)), None)
        found = {} if single is None else {None: single}
    return dict(sorted(found.items(), key=lambda item: rank(item[0])))


def _is_single(path: Path) -> bool:
    """Whether there is such a file; a list called `annotations.json` is another tool's."""
    return path.is_file() and not (path.name == "annotations.json" and json_head(path).is_list)


def image_folder(source: CocoSource, names: Sequence[str]) -> Path:
    """The folder that holds the images a label file lists.

    The one given; else of the usual folders the one with most of the first files listed. The split
    may be read off the label file's own name (`person_masks_val.json`).
    DatasetError `dataset.images` where none of them is anywhere.
    """
    if source.images is not None:
        if not source.images.is_dir():
            raise DatasetError(
                "there is no such folder of images", code="dataset.images", path=source.images
            )
        return source.images
    hits = [(_hits(folder, names[:SAMPLE]), folder) for folder in _candidates(source)]
    best, folder = max(hits, key=lambda item: item[0])
    if names and not best:
        raise DatasetError(
            f"none of the images it lists ({names[0][:80]!r}, …) is in any of the usual folders",
            code="dataset.images",
            path=source.annotations,
            hint="name their folder with images=… (--images DIR)",
        )
    return folder


def _candidates(source: CocoSource) -> list[Path]:
    """Folders where images usually lie, likeliest first."""
    home = source.annotations.parent
    splits = [source.split, source.annotations.stem.split("_")[-1]]
    answer = []
    for base in dict.fromkeys((source.root, home, home.parent)):
        for split in filter(None, splits):
            for name in (f"images/{split}", split, f"{split}2017", f"images/{split}2017"):
                answer += [base / name, base / name / "images"]
        answer += [base / "images", base / "data", base / "JPEGImages", base]
    return [folder for folder in dict.fromkeys(answer) if folder.is_dir()] or [source.root]


def _hits(folder: Path, names: Sequence[str]) -> int:
    count = 0
    for name in names:
        try:
            count += is_file(contained(folder, name))
        except AnnotationError:
            continue
    return count
