"""Images that label files name by an address of another machine, found by name in a folder."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from sightline.data.reading import contained, is_image_name
from sightline.errors import AnnotationError

UPLOAD = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


class ImageSearch:
    """The images below a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if is_image_name(path):
                self.by_name[path.name].append(path)

    def find(self, address: object) -> Path:
        """The image that an address means: of the images of its name the one whose folders are
        called as in the address, as far up as possible.

        AnnotationError: `file.name`, `image.missing`, `image.ambiguous` (two fit alike),
        `file.outside` for a link out of the folder.
        """
        parts = address_parts(address)
        names = [parts[-1]]
        if UPLOAD.match(parts[-1]):
            names.append(UPLOAD.sub("", parts[-1], count=1))
        for name in names:
            known = self.by_name.get(name, [])
            if known:
                path = self._closest(known, (*parts[:-1], name))
                return contained(self.folder, path.relative_to(self.folder).as_posix())
        raise AnnotationError(
            f"there is no image {parts[-1][:200]!r} in {self.folder}",
            code="image.missing",
            hint="name the folder with images=… (--images DIR)",
        )

    def _closest(self, known: list[Path], parts: tuple[str, ...]) -> Path:
        scores = [_shared(path.relative_to(self.folder).parts, parts) for path in known]
        best = [path for path, score in zip(known, scores, strict=True) if score == max(scores)]
        if len(best) > 1:
            raise AnnotationError(
                f"{len(best)} images could be {'/'.join(parts)[-200:]!r}: "
                f"{best[0].relative_to(self.folder)}, {best[1].relative_to(self.folder)}",
                code="image.ambiguous",
                hint="rename one, or name their folder with images=… (--images DIR)",
            )
        return best[0]


def _shared(path: tuple[str, ...], parts: tuple[str, ...]) -> int:
    """How many names the ends of two paths share."""
    count = 0
    for mine, other in zip(reversed(path), reversed(parts), strict=False):
        if mine != other:
            break
        count += 1
    return count


def address_parts(address: object) -> tuple[str, ...]:
    """The folders and the name in an address: a plain path, a URL of any kind (`s3://`), or Label
    Studio's `/data/local-files/?d=…`. AnnotationError `file.name` where there is none.
    """
    text = address.replace("\\", "/") if isinstance(address, str) else ""
    try:
        url = urlsplit(text)
        if url.path.endswith("/local-files/") and "d" in parse_qs(url.query):
            text = parse_qs(url.query)["d"][0]
        elif "://" in text or text.startswith("/data/"):
            text = unquote(url.path)
    except ValueError:  # an address no URL can have is still a path
        pass
    parts = tuple(part for part in PurePosixPath(text).parts if part not in ("/", "."))
    if not parts or parts[-1] == ".." or "\0" in text:
        raise AnnotationError(f"{str(address)[:80]!r} is no address of an image", code="file.name")
    return parts
