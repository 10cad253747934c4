"""Where OpenImages' images lie: in folders of a split's own, or in one for all of them."""

from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.reading import contained, is_image_name, list_folder
from sightline.errors import AnnotationError


@dataclass
class Folders:
    """The data set's folder, and that of the images where it is another; each is listed once."""

    root: Path
    images: Path | None
    listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    def own(self, split: str | None) -> list[Path]:
        """The folders of a split's own."""
        if split is None:
            return []
        places = [self.images] if self.images else [self.root / "images", self.root]
        return [place / split for place in places if (place / split).is_dir()]

    def shared(self) -> list[Path]:
        """The folders that all splits have in common."""
        places = [self.images] if self.images else [self.root / "images", self.root]
        return [place for place in places if place.is_dir()]

    def stems(self, folder: Path) -> dict[str, list[Path]]:
        """The images of a folder by name without ending."""
        if folder not in self.listed:
            stems: dict[str, list[Path]] = {}
            for path in list_folder(folder):
                if is_image_name(path):
                    stems.setdefault(path.stem, []).append(path)
            self.listed[folder] = stems
        return self.listed[folder]

    def find(self, key: str, split: str | None) -> Path:
        """The image called `key`; AnnotationError where there is none, or two."""
        places = [*self.own(split), *self.shared()]
        for folder in places:
            contained(folder, key)
            found = self.stems(folder).get(key, [])
            if len(found) > 1:
                message = f"{found[0].name} and {found[1].name} are both {key!r}"
                raise AnnotationError(message, code="image.ambiguous", hint="rename one of them")
            if found:
                return contained(folder, found[0].name)
        raise AnnotationError(
            f"there is no image {key!r}",
            code="image.missing",
            hint=f"put it into {places[0] if places else self.root / 'images'}",
        )
