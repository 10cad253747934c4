"""CVAT for images 1.1: one `annotations.xml`, with the images in `images/` beside it.

The classes are the labels of `<meta>` in their order, those without objects too; without `<meta>`
the labels that shapes have, sorted. The subset of an image is its split, in small letters. Shapes
of one image with one label and one `group_id` are one object where there is no more than one box
and one skeleton among them: its box (else the one around the rest), its masks united, its points.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.data import masks
from sightline.data.checks import Box, Checks, OnBad, check_box
from sightline.data.coco_objects import Row, gather
from sightline.data.formats.cvat_labels import Labels, read_labels
from sightline.data.formats.cvat_shapes import LEFT_OUT, Shape, parse_shape
from sightline.data.kept import once
from sightline.data.reading import contained, is_file
from sightline.data.records import Dataset, Example, Objects, Polygons, Segment
from sightline.data.sizes import image_size, written_size
from sightline.data.split_names import rank
from sightline.data.upright import settle, upright
from sightline.data.xml import Node, XmlLimits, read_xml
from sightline.errors import AnnotationError, ImageError
from sightline.types import Size

FILE = "annotations.xml"
LIMITS = XmlLimits(elements=2_000_000, size=512 << 20)
SPLIT = re.compile(r"\w[\w .-]{0,99}")
HEAD = 4096


def is_cvat(file: Path) -> bool:
    """Whether a file begins like one of CVAT's, or is empty, which reading it tells."""
    if file.suffix.lower() != ".xml" or not is_file(file):
        return False
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD).replace(b"\0", b"")  # UTF-16 too
            return b"<annotations" in head or not head.strip()
    except OSError:
        return False


def cvat_splits(file: Path) -> tuple[str, ...]:
    """The subsets of a file, train first; none where all images are of the subset "default"."""
    names = {_split(node) for node in _read(file).each("image")} - {None}
    if names <= {"default"}:
        return ()
    return tuple(sorted((name for name in names if name is not None), key=rank))


def _split(node: Node) -> str | None:
    """An image's subset; None for one that could not be a folder's name."""
    name = (node.get("subset") or "default").strip().lower()
    return name if SPLIT.fullmatch(name) else None


def _read(file: Path) -> Node:
    root = once(file, lambda: read_xml(file, "annotations", LIMITS))
    track = root.find("track")
    if isinstance(track, Node):
        raise AnnotationError(
            "the file holds the tracks of a video",
            code="cvat.track",
            path=file,
            pointer=track.place,
            hint="export the task as “CVAT for images 1.1”, with its images",
        )
    return root


def read_cvat(
    file: Path, split: str | None, on_bad: OnBad = "error", images: Path | None = None
) -> Dataset:
    """The images of one subset of a file, or all where `split` is None; they lie in the folder
    `images`, else in `images/` beside the file, or beside it, in a folder of the subset or not.

    AnnotationError with every fault and its line; with `on_bad="skip"` bad shapes and missing
    images are dropped and told in `skipped`.
    """
    root = _read(file)
    checks = Checks(on_bad)
    labels = read_labels(root, file, checks)
    home = file.parent
    reader = _Reader(file, labels, checks, (home / "images", home) if images is None else (images,))
    nodes = [node for node in root.each("image") if split is None or split == _split(node)]
    examples = [reader.example(node) for node in nodes]
    checks.need(labels.classes, file)
    found = [example for example in examples if example is not None]
    return checks.dataset(settle(found, checks), labels.classes, (home, split), labels.skeleton)


@dataclass
class _Reader:
    """Reads the images of one file, one after the other."""

    file: Path
    labels: Labels
    checks: Checks
    folders: tuple[Path, ...]

    def __post_init__(self) -> None:
        self.index = {name: i for i, name in enumerate(self.labels.classes)}
        bones = self.labels.skeleton
        self.points: tuple[str, ...] = () if bones is None else bones.points
        self.seen: dict[Path, str] = {}

    def example(self, node: Node) -> Example | None:
        """An image with its objects; None where it cannot be used, which is told."""
        try:
            path, key = self._path(node)
            size = image_size(written_size(node.get("height"), node.get("width")), path)
            upright(
                Example(path, key, size, Objects.of([], []))
            )  # a size that is none is told here
        except (AnnotationError, ImageError) as error:
            self.checks.add(error.code, error.message, self.file, node.place, error.hint)
            return None
        shapes = []
        for child in node:
            if isinstance(child, Node):
                found = self._shape(child, size)
                shapes += [] if found is None else [found]
        every = [self._row(group, size) for group in _groups(shapes)]
        kept = [row for row in every if row is not None]
        rows = [replace(row, id=number) for number, row in enumerate(kept, 1)]
        objects = gather(rows, self.labels.skeleton)
        return Example(path, key, size, objects)

    def _path(self, node: Node) -> tuple[Path, str]:
        name, subset = node.get("name") or "", node.get("subset") or ""
        if _split(node) is None:
            raise AnnotationError(f"{subset[:80]!r} is no name of a subset", code="file.name")
        places = [place for folder in self.folders for place in (folder / subset, folder)]
        paths = [contained(place, name) for place in places]
        path = next((path for path in paths if is_file(path)), None)
        if path is None:
            raise AnnotationError(f"there is no image {name!r}", code="image.missing")
        if path in self.seen:
            raise AnnotationError(
                f"the image {name!r} stands in {self.seen[path]} already",
                code="image.duplicate_file",
            )
        self.seen[path] = node.place
        return path, Path(name.replace("\\", "/")).with_suffix("").as_posix()

    def _shape(self, node: Node, size: Size) -> Shape | None:
        if node.tag == "tag":
            message = f"the tag {node.get('label')!r} belongs to the whole image; it is not read"
            self.checks.note("shape.tag", message, self.file, node.place)
            return None
        if node.tag in LEFT_OUT:
            message = f"<{node.tag}> encloses nothing: left out"
            self.checks.repair("shape.left_out", message, self.file, node.place)
            return None
        try:
            shape = parse_shape(node, self.points, size)
            if shape.label not in self.index:
                raise AnnotationError(
                    f"there is no label {shape.label!r}",
                    code="annotation.category",
                    hint="name it among the labels of <meta>",
                )
        except AnnotationError as error:
            self.checks.add_error(error, self.file, node.place)
            return None
        return shape

    def _row(self, shapes: Sequence[Shape], size: Size) -> Row | None:
        place = shapes[0].place
        segment = _united([s.segment for s in shapes if s.segment is not None], size)
        points = next((s.keypoints for s in shapes if s.keypoints is not None), None)
        try:
            drawn = next((s.box for s in shapes if s.box is not None), None)
            box, excess = check_box(drawn or _around(segment, points, size), size)
        except AnnotationError as error:
            self.checks.add_error(error, self.file, place)
            return None
        for shape in shapes:
            for code, message in shape.mends:
                self.checks.repair(code, message, self.file, shape.place)
        self.checks.clipped(excess, self.file, place)
        sides = box[2] - box[0], box[3] - box[1]
        return Row(
            box=box,
            crowd=any(shape.crowd for shape in shapes),
            area=sides[0] * sides[1] if segment is None else float(masks.area(segment, size)),
            difficult=any(shape.difficult for shape in shapes),
            segment=segment,
            keypoints=points,
            label=self.index[shapes[0].label],
            id=0,
        )


def _groups(shapes: Iterable[Shape]) -> list[list[Shape]]:
    """The shapes that are one object each, in the order of their first."""
    groups: dict[tuple[str, str], list[Shape]] = {}
    for i, shape in enumerate(shapes):
        key = (shape.label, shape.group) if shape.group else (str(i), "")
        groups.setdefault(key, []).append(shape)
    answer = []
    for group in groups.values():
        boxes = sum(shape.box is not None for shape in group)
        bones = sum(shape.keypoints is not None for shape in group)
        answer += [group] if boxes <= 1 and bones <= 1 else [[shape] for shape in group]
    return answer


def _united(segments: Sequence[Segment], size: Size) -> Segment | None:
    """Several masks as one: all rings, or the pixels of all."""
    if len(segments) <= 1:
        return segments[0] if segments else None
    rings = [ring for s in segments if isinstance(s, Polygons) for ring in s.rings]
    if all(isinstance(segment, Polygons) for segment in segments):
        return Polygons(tuple(rings))
    pixels = np.zeros(size, bool)
    for segment in segments:
        pixels |= masks.rasterise(segment, size)
    return masks.encode(pixels)


def _around(segment: Segment | None, points: np.ndarray | None, size: Size) -> Box:
    """The box around an object's mask, or where it has none around its labelled points."""
    if segment is not None:
        return masks.box_of(segment, size)
    seen = np.zeros((0, 2)) if points is None else points[points[:, 2] > 0, :2]
    if not len(seen):
        raise AnnotationError(
            "no point of the skeleton is labelled, and there is no box",
            code="box.degenerate",
            hint="delete the skeleton, or group it with a box",
        )
    (x1, y1), (x2, y2) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    return x1, y1, x2, y2
