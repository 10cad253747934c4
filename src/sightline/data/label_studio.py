"""Label Studio's JSON export: a list of tasks, an image each.

Images are addresses of another machine (`/data/upload/…`, `s3://…`): they are found by name in the
folder (`sightline.data.image_search`). A task's result is the annotation marked as ground truth,
else the first that was not cancelled; that there are others is told. Tasks that nobody has labelled
are left out and told; an annotation without regions makes an image without objects. Predictions are
not read.

A file `tasks_{split}.json` is a split; so is each of several files, called like the file. The
classes are those of all files, sorted.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.data.checks import Checks, OnBad
from sightline.data.image_search import ImageSearch, address_parts
from sightline.data.json_head import json_head
from sightline.data.label_studio_regions import POINTS, objects_of
from sightline.data.pages import Names, Page, to_dataset
from sightline.data.reading import is_image_name, read_json
from sightline.data.records import Dataset
from sightline.data.sizes import image_size, said_size
from sightline.data.split_names import rank
from sightline.errors import AnnotationError

SAMPLE = 20
"""JSON files of a folder that are looked into to recognise it."""

PREFIX = "tasks_"
LISTS = ("annotations", "completions")
"""Where a task's results are; the second in the first versions."""


def is_label_studio(file: Path) -> bool:
    """Whether a file is an export of Label Studio, by its first keys."""
    if file.suffix.lower() != ".json" or file.name.startswith("."):
        return False
    head = json_head(file)
    if not head.is_list or not head.keys & {*LISTS}:
        return False
    return "data" in head.keys or not head.keys & {"image", "filename", "class"}


def task_files(root: Path) -> dict[str | None, Path]:
    """The file of each split; under None that of a data set without splits."""
    known = [path for path in sorted(root.glob("*.json")) if path.is_file()]
    if not any(is_label_studio(path) for path in known[:SAMPLE]):
        return {}
    # what is called like a split's file is one, whatever is in it: reading it tells
    files = [path for path in known if path.stem.startswith(PREFIX) or is_label_studio(path)]
    if len(files) == 1 and not files[0].stem.startswith(PREFIX):
        return {None: files[0]}
    names = [path.stem.removeprefix(PREFIX) for path in files]
    if len(set(names)) < len(names):  # tasks_a.json beside a.json
        names = [path.stem for path in files]
    found = dict(zip(names, files, strict=True))
    return {name: found[name] for name in sorted(found, key=rank)}


def read_label_studio(
    root: Path, which: Path | str | None, images: Path | None = None, on_bad: OnBad = "error"
) -> Dataset:
    """The images of one split, of one file, or of all where `which` is None.

    They are looked for below `images`, else below `root`. AnnotationError with every fault and JSON
    pointer; with `on_bad="skip"` bad regions and missing images are dropped and told in `skipped`.
    """
    checks = Checks(on_bad)
    taken = _Taken(ImageSearch(root if images is None else images))
    split = which if isinstance(which, str) else None
    names = Names()
    files = {None: which} if isinstance(which, Path) else task_files(root)
    for name, file in files.items():
        try:
            tasks = _tasks(file)
        except AnnotationError as error:
            checks.add_error(error, file, None)
            continue
        if split is not None and name != split:
            _name(tasks, names)
            continue
        for i, task in enumerate(tasks):
            _take(task, f"/{i}", taken, (checks, file))
    pages = list(taken.pages.values())
    return to_dataset(pages, names, (root, split), checks)


def _tasks(file: Path) -> list[Any]:
    tasks = read_json(file)
    if not isinstance(tasks, list):
        raise AnnotationError("the file holds no list of tasks", code="json.object")
    return tasks


def _name(tasks: list[Any], names: Names) -> None:
    """Add what tasks of another split name, whatever else is in them."""
    for task in tasks:
        found, _, _ = _annotation(task) if isinstance(task, dict) else (None, 0, 0)
        rows = found.get("result") if found is not None else None
        for row in rows if isinstance(rows, list) else ():
            value = row.get("value") if isinstance(row, dict) else None
            for key, words in value.items() if isinstance(value, dict) else ():
                if not key.endswith("labels") or not isinstance(words, list):
                    continue
                labels = {word for word in words if isinstance(word, str) and word.strip()}
                if key != POINTS:
                    names.classes |= labels
                elif row.get("parentID") is not None:
                    names.points |= labels


def _annotation(task: dict[str, Any]) -> tuple[dict[str, Any] | None, int, int]:
    """The annotation that counts, its place in the list, and how many others could."""
    key = LISTS[0] if LISTS[0] in task else LISTS[1]
    rows = task.get(key)
    valid = [
        (i, row)
        for i, row in enumerate(rows if isinstance(rows, list) else ())
        if isinstance(row, dict) and row.get("was_cancelled") is not True
    ]
    valid.sort(key=lambda pair: pair[1].get("ground_truth") is not True)
    if not valid:
        return None, 0, 0
    place, found = valid[0]
    return found, place, len(valid) - 1


@dataclass
class _Taken:
    """The images of the tasks so far, by id."""

    search: ImageSearch
    pages: dict[int | str, Page] = field(default_factory=dict)
    paths: set[Path] = field(default_factory=set)

    def add(self, page: Page) -> None:
        """AnnotationError for an id that is none, or an id or an image that was there before."""
        key = page.image_id
        if type(key) is not int and not isinstance(key, str):
            raise AnnotationError(f"{str(key)[:40]!r} is no id", code="image.id", pointer="/id")
        if key in self.pages:
            message = f"two tasks have the id {key!r}"
            raise AnnotationError(message, code="image.duplicate_id", pointer="/id")
        if page.path in self.paths:
            message = "two tasks are of one image"
            raise AnnotationError(message, code="image.duplicate_file", pointer="/data")
        self.pages[key] = page
        self.paths.add(page.path)


def _take(task: Any, pointer: str, taken: _Taken, report: tuple[Checks, Path]) -> None:
    """Add a task's image to those taken; faults go to `report`."""
    checks, file = report
    try:
        data = _checked(task)
        found, place, others = _annotation(task)
        if found is None:
            message = "nobody has labelled this image: left out"
            checks.repair("annotation.none", message, file, pointer)
            return
        list_name = LISTS[0] if LISTS[0] in task else LISTS[1]
        at = f"{pointer}/{list_name}/{place}"
        if others:
            message = f"{others + 1} annotations of one image: this one is taken"
            checks.repair("annotation.several", message, file, at)
        results = found.get("result")
        if not isinstance(results, list):
            raise AnnotationError(
                "there is no list of results",
                code="json.missing_key",
                pointer=f"{at.removeprefix(pointer)}/result",
            )
        path = taken.search.find(_address(data))
        key = task.get("id", path.relative_to(taken.search.folder).as_posix())
        sized = next((r for r in results if isinstance(r, dict) and "original_width" in r), {})
        said = said_size(sized.get("original_height"), sized.get("original_width"))
        size = image_size(said, path)
        page = Page(path, key, size)
        taken.add(page)
        page.objects += objects_of(results, size, report, f"{at}/result")
    except AnnotationError as error:
        own = task.get("id") if isinstance(task, dict) else None
        checks.add_error(error, file, pointer, own if isinstance(own, int | str) else None)


def _checked(task: Any) -> dict[str, Any]:
    """A task's data; AnnotationError where it is no task."""
    if not isinstance(task, dict):
        raise AnnotationError("a task is no JSON object", code="json.object")
    if not any(isinstance(task.get(key), list) for key in LISTS):
        raise AnnotationError(
            "there is no list 'annotations'",
            code="json.missing_key",
            pointer="/annotations",
            hint="export as JSON, not as JSON-MIN",
        )
    data = task.get("data")
    if not isinstance(data, dict):
        raise AnnotationError("there is no 'data'", code="json.missing_key", pointer="/data")
    return data


def _address(data: dict[str, Any]) -> str:
    """The image's address among a task's data: `image`, else the only text that ends as images do.

    AnnotationError `file.name` where there is none, or more than one.
    """
    own = data.get("image")
    if isinstance(own, str) and own:
        return own
    found = {text for text in data.values() if isinstance(text, str) and _is_image(text)}
    if len(found) != 1:
        raise AnnotationError(
            f"{len(found) or 'none'} of the task's data are addresses of an image",
            code="file.name",
            pointer="/data",
        )
    return found.pop()


def _is_image(text: str) -> bool:
    try:
        return is_image_name(Path(address_parts(text)[-1]))
    except AnnotationError:
        return False
