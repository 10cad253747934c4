"""Several processes run a detector over one data set: process r of n takes images r, r + n, …"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from sightline import processes
from sightline.bitmaps import Masks
from sightline.data.records import Dataset
from sightline.evaluate.predict import predict
from sightline.masks import BoxMasks
from sightline.pipeline import Detector
from sightline.skeletons import from_manifest
from sightline.types import Detections

TENSORS = ("boxes", "scores", "labels", "region", "keypoints")


def predict_shared(
    detector: Detector,
    dataset: Dataset,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    labelled: bool = False,
) -> list[Detections]:
    """`predict` by all processes that have met: every image by one of them, each gets all answers.

    Alone it is `predict`. `progress` hears of this process's own part, as if it were all.
    """
    if not processes.joined():
        return predict(detector, dataset, device=device, progress=progress, labelled=labelled)
    number = processes.world_size()
    part = replace(dataset, examples=dataset.examples[processes.rank() :: number])

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(min(len(dataset), done * number), len(dataset))

    own = predict(detector, part, device=device, progress=told, labelled=labelled)
    parts = [unpack(message) for message in processes.gathered(pack(own))]
    return [parts[i % number][i // number] for i in range(len(dataset))]


def pack(found: Sequence[Detections]) -> bytes:
    """Detections as one message; masks as bits, or as the cells they are pasted from."""
    tensors: dict[str, Tensor] = {}
    facts = []
    for i, one in enumerate(found):
        for name in TENSORS:
            value = getattr(one, name)
            if value is not None:
                tensors[f"{i}/{name}"] = value.cpu().contiguous()
        masks: list[Any] | None = None
        if isinstance(one.masks, BoxMasks):
            masks = [one.masks.size, one.masks.threshold, one.masks.published]
            tensors[f"{i}/cells"] = one.masks.cells.detach().cpu().contiguous()
            tensors[f"{i}/mask boxes"] = one.masks.boxes.detach().cpu().clone()
        elif one.masks is not None:
            pixels = one.masks.cpu().numpy()
            masks = list(pixels.shape)
            tensors[f"{i}/masks"] = torch.from_numpy(np.packbits(pixels))
        bones = None if one.skeleton is None else one.skeleton.to_json()
        facts.append([one.size, one.classes, one.category_ids, masks, bones])
    text = json.dumps(facts).encode()
    return len(text).to_bytes(8, "little") + text + safetensors.torch.save(tensors)


def unpack(message: bytes) -> list[Detections]:
    """What `pack` was given."""
    end = 8 + int.from_bytes(message[:8], "little")
    tensors = safetensors.torch.load(message[end:])
    answer = []
    for i, (size, classes, ids, told, bones) in enumerate(json.loads(message[8:end])):
        parts = {name: tensors.get(f"{i}/{name}") for name in TENSORS}
        masks: Masks | None = None
        if f"{i}/cells" in tensors:
            (height, width), threshold, published = told
            small = tensors[f"{i}/cells"], tensors[f"{i}/mask boxes"]
            masks = BoxMasks(*small, (height, width), threshold, published)
        elif told is not None:
            bits = np.unpackbits(tensors[f"{i}/masks"].numpy(), count=int(np.prod(told)))
            masks = torch.from_numpy(bits.astype(bool).reshape(told))
        answer.append(
            Detections(
                **parts,  # type: ignore[arg-type]
                size=(size[0], size[1]),
                classes=tuple(classes),
                category_ids=None if ids is None else tuple(ids),
                masks=masks,
                skeleton=from_manifest({"skeleton": bones}),
            )
        )
    return answer
