"""The `data.yaml` of a YOLO data set: read safely, nothing in it is ever run or fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sightline.data.reading import contained, list_folder, read_text
from sightline.data.yolo_pose import Pose, read_pose
from sightline.errors import AnnotationError

YAML_LIMIT = 1 << 20
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class YoloConfig:
    """Class names with the ids that label files use for them, each split's image folders, and the
    keypoints where it has some.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[int, ...]
    splits: dict[str, tuple[Path, ...]]
    pose: Pose | None = None


def find_yaml(folder: Path) -> Path | None:
    """The YAML file of a folder that names classes: `data.yaml` first, then by name."""
    files = [path for path in list_folder(folder) if path.suffix.lower() in (".yaml", ".yml")]
    files.sort(key=lambda path: path.stem != "data")
    for path in files:
        if path.stem == "data" or "names" in read_text(path, YAML_LIMIT):
            return path
    return None


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping of plain data.

    AnnotationError: `yaml.syntax`, `yaml.alias` (anchors can blow up a small file), `yaml.twice`
    for a key that stands twice, `yaml.object`, `yaml.download` for a `download` entry.
    """
    text = read_text(path, YAML_LIMIT)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise AnnotationError("aliases are refused", code="yaml.alias", path=path)
        _no_key_twice(yaml.compose(text, Loader=yaml.SafeLoader), path)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise AnnotationError(
            str(getattr(error, "problem", None) or error),
            code="yaml.syntax",
            path=path,
            pointer=None if mark is None else f"line {mark.line + 1}:{mark.column + 1}",
        ) from error
    except (RecursionError, ValueError) as error:
        raise AnnotationError(str(error), code="yaml.syntax", path=path) from error
    if not isinstance(data, dict):
        raise AnnotationError("the file holds no mapping", code="yaml.object", path=path)
    if data.get("download"):
        raise AnnotationError(
            "it asks for something to be downloaded or run, which is refused",
            code="yaml.download",
            path=path,
            pointer="download",
            hint="delete the line; put the images there yourself",
        )
    return data


def _no_key_twice(node: yaml.Node | None, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise AnnotationError("a key stands twice", code="yaml.twice", path=path)
        for _, value in node.value:
            _no_key_twice(value, path)


def read_config(path: Path) -> YoloConfig:
    """The classes, splits and keypoints of a `data.yaml`."""
    data = read_yaml(path)
    pose = read_pose(data, path)
    names, ids = _names(data, path)
    base = path.parent
    if isinstance(data.get("path"), str) and not Path(data["path"]).is_absolute():
        inner = _inside(base, data["path"], path)
        base = inner if inner.is_dir() else base
    splits = {}
    for split in SPLITS:
        value = data.get("val", data.get("valid")) if split == "val" else data.get(split)
        entries = value if isinstance(value, list) else [value]
        folders = tuple(_inside(base, entry, path) for entry in entries if entry)
        if folders:
            splits[split] = folders
    if not splits:
        splits = _by_layout(base)
    return YoloConfig(path, names, ids, splits, pose)


def _by_layout(base: Path) -> dict[str, tuple[Path, ...]]:
    """The splits by folder, where the file names none."""
    found: dict[str, tuple[Path, ...]] = {}
    for split in SPLITS:
        for name in (f"images/{split}", f"{split}/images"):
            if (base / name).is_dir():
                found[split] = (base / name,)
    return found


def _inside(base: Path, entry: object, path: Path) -> Path:
    """A folder or list named in the file. A leading "../" is dropped: some exporters write it of
    folders that lie beside the file."""
    name = entry
    if isinstance(name, str):
        while name.startswith(("../", "./")):
            name = name.split("/", 1)[1]
        if name in (".", "", ".."):
            return base
    try:
        return contained(base, name)
    except AnnotationError as error:
        raise AnnotationError(
            error.message, code=error.code, path=path, pointer=str(entry)[:80], hint=error.hint
        ) from error


def _names(data: dict[str, Any], path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names, in the order of their ids, and the ids: 0 … K−1 for a list."""

    def refuse(message: str, code: str = "category.name") -> AnnotationError:
        return AnnotationError(message, code=code, path=path, pointer="names")

    value = data.get("names")
    pairs = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(pairs, dict) or not pairs:
        raise refuse("there are no class names", "category.none")
    if not all(type(key) is int and 0 <= key < 2**31 for key in pairs):
        raise refuse("class ids are whole numbers from 0", "category.id")
    names = [str(pairs[key]).strip() for key in sorted(pairs) if pairs[key] is not None]
    if len(names) < len(pairs) or not all(names):
        raise refuse("a class has no name")
    if len(set(names)) < len(names):
        raise refuse("two classes have one name", "category.duplicate_name")
    if "nc" in data and data["nc"] != len(names):
        raise refuse(f"nc is {data['nc']}, but there are {len(names)} names", "category.count")
    return tuple(names), tuple(sorted(pairs))
