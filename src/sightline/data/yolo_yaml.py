"""The `data.yaml` of a YOLO data set: read safely, nothing in it is ever run or fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sightline.data.checks import Checks
from sightline.data.reading import contained, is_folder, list_folder, read_text
from sightline.data.yolo_names import class_names
from sightline.data.yolo_pose import Pose, read_pose
from sightline.errors import AnnotationError

YAML_LIMIT = 1 << 20
DEPTH_LIMIT, NODE_LIMIT = 20, 100_000
EXAMPLE = "write train: images/train and names: [cat, dog]"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class YoloConfig:
    """Class names with the ids that label files use for them, each split's image folders, and the
    keypoints where it has some; `flawed` where what it says of them is at fault.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[int, ...]
    splits: dict[str, tuple[Path, ...]]
    pose: Pose | None = None
    flawed: bool = False


def find_yaml(folder: Path) -> Path | None:
    """The YAML file of a folder that names classes: `data.yaml` first, then by name."""
    files = [path for path in list_folder(folder) if path.suffix.lower() in (".yaml", ".yml")]
    files.sort(key=lambda path: path.stem != "data")
    for path in files:
        if path.stem == "data" or "names" in read_text(path, YAML_LIMIT):
            return path
    return None


class _Plain(yaml.SafeLoader):
    """Plain data without aliases, not nested deeply, no key twice; faults have their lines."""

    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, "yaml.alias", "aliases are refused", "write the value out")
        self.depth, self.nodes = self.depth + 1, self.nodes + 1
        if self.depth > DEPTH_LIMIT or self.nodes > NODE_LIMIT:
            raise _at(event, "yaml.size", "nested too deeply, or too long", "is it a data.yaml?")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    message = f"the key {key.value[:80]!r} stands twice"
                    raise _at(key, "yaml.twice", message, "keep one of the two")
                seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # the 41st of a 13th month, 5,000 digits
            raise _at(node, "yaml.syntax", str(error), "put it in quotes") from error


class _Quoted(yaml.SafeDumper):
    """Texts with one of Unicode's line breaks are written with escapes: outside double quotes
    PyYAML writes a next line (U+0085) that it reads as a space.
    """

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """The text as YAML."""
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Quoted.add_representer(str, _Quoted.represent_str)


def to_yaml(data: dict[str, Any]) -> str:
    """The text of a `data.yaml`, which is read back as it was."""
    text: str = yaml.dump(data, Dumper=_Quoted, allow_unicode=True, sort_keys=False)
    return text


def _at(place: yaml.Node | yaml.Event, code: str, message: str, hint: str) -> AnnotationError:
    mark = place.start_mark
    pointer = None if mark is None else f"line {mark.line + 1}:{mark.column + 1}"
    return AnnotationError(message, code=code, pointer=pointer, hint=hint)


def read_yaml(path: Path) -> tuple[dict[str, Any], yaml.MappingNode]:
    """A YAML file's mapping of plain data, and the nodes it was made of, which know their lines.

    AnnotationError: `yaml.syntax`, `yaml.alias` (anchors can blow up a small file), `yaml.size`
    (depth, masses of entries), `yaml.twice` for a key that stands twice, `yaml.object`.
    """
    text = read_text(path, YAML_LIMIT)
    try:
        loader = _Plain(text)
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
    except AnnotationError as error:
        error.path = str(path)
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise AnnotationError(
            str(getattr(error, "problem", None) or error),
            code="yaml.syntax",
            path=path,
            pointer=None if mark is None else f"line {mark.line + 1}:{mark.column + 1}",
            hint=EXAMPLE,
        ) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise AnnotationError(str(error), code="yaml.syntax", path=path, hint=EXAMPLE) from error
    if not isinstance(data, dict) or not isinstance(node, yaml.MappingNode):
        raise AnnotationError(
            "the file holds no mapping", code="yaml.object", path=path, hint=EXAMPLE
        )
    return data, node


def read_config(path: Path, checks: Checks) -> YoloConfig:
    """The classes, splits and keypoints of a `data.yaml`; its faults, told to `checks`, make all of
    it unusable.
    """
    data, node = read_yaml(path)
    pose, flawed = None, False
    try:
        pose = read_pose(data, path)
    except AnnotationError as error:
        flawed = True
        checks.ruin(error, path, None)
    if data.get("download"):
        asks = AnnotationError(
            "it asks for something to be downloaded or run, which is refused",
            code="yaml.download",
            hint="delete the line; put the images there yourself",
        )
        checks.ruin(asks, path, "download")
    names, ids = class_names(node, (checks, path))
    if "nc" in data and data["nc"] != len(names) and names:
        message = f"nc is {str(data['nc'])[:40]}, but there are {len(names)} names"
        hint = "correct nc, or leave it out"
        checks.ruin(AnnotationError(message, code="category.count", hint=hint), path, "nc")
    return YoloConfig(path, names, ids, _splits(data, (checks, path)), pose, flawed)


def yolo_splits(path: Path) -> tuple[str, ...]:
    """The names of a `data.yaml`'s splits, whatever else is wrong with it."""
    return tuple(_splits(read_yaml(path)[0], (Checks("skip"), path)))


def _splits(data: dict[str, Any], report: tuple[Checks, Path]) -> dict[str, tuple[Path, ...]]:
    base = report[1].parent
    if isinstance(data.get("path"), str) and not Path(data["path"]).is_absolute():
        inner = _inside(base, data["path"], report)
        base = inner if inner is not None and is_folder(inner) else base
    splits = {}
    for split in SPLITS:
        value = data.get("val", data.get("valid")) if split == "val" else data.get(split)
        entries = value if isinstance(value, list) else [value]
        places = [_inside(base, entry, report) for entry in entries if entry]
        folders = tuple(place for place in places if place is not None)
        if places:
            splits[split] = folders
    return splits or _by_layout(base)


def _by_layout(base: Path) -> dict[str, tuple[Path, ...]]:
    """The splits by folder, where the file names none."""
    found: dict[str, tuple[Path, ...]] = {}
    for split in SPLITS:
        for name in (f"images/{split}", f"{split}/images"):
            if (base / name).is_dir():
                found[split] = (base / name,)
    return found


def _inside(base: Path, entry: object, report: tuple[Checks, Path]) -> Path | None:
    """A folder or list named in the file; None where it is at fault. A leading "../" is dropped:
    some exporters write it of folders that lie beside the file."""
    checks, path = report
    name = entry
    if isinstance(name, str):
        while name.startswith(("../", "./")):
            name = name.split("/", 1)[1]
        if name in (".", "", ".."):
            return base
    try:
        return contained(base, name)
    except AnnotationError as error:
        checks.ruin(error, path, str(entry)[:80])
        return None
