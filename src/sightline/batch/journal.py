"""What a model found in a video so far, on disk: an interrupted run goes on where it was.

One line of JSON a frame, each complete before the next frame is looked at. Results are made from
what stands there: a run that was interrupted, even killed, reads its journal again, and asks the
model only from the first frame on that is missing. Numbers keep all their digits, so the results
are those of an uninterrupted run.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.data.masks import decode, from_text
from sightline.errors import ResourceError, SightlineError
from sightline.files import flocked, make_folder, refuse
from sightline.skeletons import Skeleton, from_manifest
from sightline.types import Detections


def fingerprint(path: Path, module: torch.nn.Module, said: dict[str, Any]) -> str:
    """What must be the same for a journal to be gone on with: file, weights, what was `said`."""
    status = path.stat()
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + str(tuple(value.shape)).encode())
        plain = value.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy() if plain.numel() else b"")
    known = {**said, "path": str(path.resolve()), "size": status.st_size}
    known["changed"] = status.st_mtime_ns
    digest.update(json.dumps(known, sort_keys=True, default=str).encode())
    return digest.hexdigest()


class Journal:
    """The journal at `path` of the run with this fingerprint: `known` first, `add` what it lacks.

    One of another run is begun anew. Raises ResourceError: resource.locked where another process
    writes it, and what the disk says.
    """

    def __init__(self, path: Path, mark: str, classes: tuple[str, ...]) -> None:
        self.path, self.classes = path, classes
        self.resumed = 0
        self._bones: Skeleton | None = None
        make_folder(path.parent)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            self._file = os.fdopen(handle, "rb+")
            flocked(handle)
            self._reading = self._file.readline() == _line({"journal": mark})
            if not self._reading:
                self._begin(mark)
        except BlockingIOError as error:
            self._file.close()
            raise ResourceError(
                "another process is at this video with the same folder for results",
                code="resource.locked",
                path=path,
                hint="wait for it, or name another folder: --out DIR",
            ) from error
        except OSError as error:
            refuse(error, path)

    def _begin(self, mark: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(_line({"journal": mark}))
        self._file.flush()

    def known(self, index: int) -> Detections | None:
        """What was found in frame `index`; None from the first frame on that is not there."""
        if not self._reading:
            return None
        place = self._file.tell()
        found = self._parsed(self._file.readline(), index)
        if found is None:  # the end, or half a line
            self._reading = False
            self._file.seek(place)
            self._file.truncate()
        else:
            self.resumed += 1
        return found

    def add(self, index: int, found: Detections) -> None:
        """Keep what was found in frame `index`; it is there when this returns."""
        values: dict[str, Any] = {"frame": index, "size": list(found.size)}
        values |= {name: getattr(found, name).tolist() for name in ("boxes", "scores", "labels")}
        values["region"] = found.region.tolist()
        values["ids"] = found.category_ids
        if found.keypoints is not None:
            values["keypoints"] = found.keypoints.tolist()
        if found.masks is not None:
            values["masks"] = [rle["counts"] for rle in found.run_lengths()]
        if found.skeleton != self._bones:
            bones = None if found.skeleton is None else found.skeleton.to_json()
            values["skeleton"], self._bones = bones, found.skeleton
        try:
            self._file.write(_line(values))
            self._file.flush()
        except OSError as error:
            refuse(error, self.path)

    def _parsed(self, line: bytes, index: int) -> Detections | None:
        try:
            values = json.loads(line) if line.endswith(b"\n") else {}
            if values.get("frame") != index:
                return None
            if "skeleton" in values:
                self._bones = from_manifest(values)
            return self._detections(values)
        except (ValueError, KeyError, TypeError, RuntimeError, SightlineError):
            return None

    def _detections(self, values: dict[str, Any]) -> Detections:
        height, width = values["size"]
        count = len(values["scores"])
        points = values.get("keypoints")
        ids = values["ids"]
        return Detections(
            torch.tensor(values["boxes"], dtype=torch.float32).view(-1, 4),
            torch.tensor(values["scores"], dtype=torch.float32),
            torch.tensor(values["labels"], dtype=torch.int64),
            torch.tensor(values["region"], dtype=torch.int64),
            (height, width),
            self.classes,
            None if ids is None else tuple(ids),
            masks=_masks(values["masks"], (height, width)) if "masks" in values else None,
            keypoints=None if points is None else _points(points, count, self._bones),
            skeleton=self._bones,
        )

    def close(self, finished: bool) -> None:
        """Let go of the file; when all is `finished` it is not needed any more."""
        self._file.close()
        if finished:
            self.path.unlink(missing_ok=True)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _points(values: list[Any], count: int, bones: Skeleton | None) -> Tensor:
    parts = 0 if bones is None else len(bones.points)
    return torch.tensor(values, dtype=torch.float32).view(count, -1 if count else parts, 3)


def _masks(texts: list[str], size: tuple[int, int]) -> Tensor:
    answer = torch.zeros(len(texts), *size, dtype=torch.bool)
    for row, text in enumerate(texts):
        answer[row] = torch.from_numpy(decode(from_text(text, size)))
    return answer
