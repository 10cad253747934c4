"""OpenPose's published COCO networks of 2017 (`body_pose_model`): Caffe's layer names to ours.

Their parts come in OpenPose's order with the background last, their fields in an order of their
own, and they read blue, green, red. Ours: the data set's order of parts with the neck last.
"""

import torch

from sightline.nets.layouts import Layout, Order
from sightline.nets.openpose import FRONT
from sightline.skeletons import OPENPOSE_ORDER, PERSON, with_neck

FIELDS = (6, 10, 7, 8, 11, 12, 0, 1, 2, 3, 4, 5, 14, 15, 17, 16, 18, 9, 13)
"""Limb of `with_neck(PERSON)` → the place of its field, x and y, among the published channels."""

FEATURES = 128
"""Channels of F, which the published stages see last and ours first."""


def parts_order() -> list[int]:
    """The published map of each of our parts, then of the background."""
    ours = with_neck(PERSON).points
    return [*(OPENPOSE_ORDER.index(name) for name in ours), len(ours)]


def _rows(published: list[int]) -> Order:
    """Ours is row `published[i]` of theirs."""
    index = torch.tensor(published)
    return Order(lambda x: x[index], lambda x: x[index.argsort()])


def _columns(published: list[int]) -> Order:
    """The same for the input channels of a convolution; biases have none."""
    index = torch.tensor(published)
    back = index.argsort()
    return Order(
        lambda x: x if x.ndim == 1 else x[:, index], lambda x: x if x.ndim == 1 else x[:, back]
    )


def layout() -> Layout:
    """The whole network. Names with the modules of the common PyTorch port before them
    (`model0.conv1_1`, `model2_1.Mconv1_stage2_L1`) are known too.
    """
    names, old = {}, {}

    def add(module: str, theirs: str, ours: str) -> None:
        names[theirs] = ours
        old[f"{module}.{theirs}"] = ours

    for stage, (_, count) in enumerate(FRONT):
        for conv in range(count):
            place = f"encoder.backbone.stages.{stage}.{2 * conv}"
            add("model0", f"conv{stage + 1}_{conv + 1}", place)
    for row in range(2):
        add("model0", f"conv4_{row + 3}_CPM", f"encoder.narrow.{row}")
    limbs, maps = [2 * k + xy for k in FIELDS for xy in (0, 1)], parts_order()
    seen = [
        *range(len(limbs) + len(maps), len(limbs) + len(maps) + FEATURES),
        *limbs,
        *(len(limbs) + row for row in maps),
    ]
    orders = {"encoder.backbone.stages.0.0": _columns([2, 1, 0])}
    for number, (branch, order) in enumerate((("fields", limbs), ("maps", maps)), start=1):
        for stage in range(6):
            layers = 5 if stage == 0 else 7
            for row in range(layers):
                name = f"Mconv{row + 1}_stage{stage + 1}_L{number}"
                if stage == 0:
                    name = f"conv5_{row + 1}_CPM_L{number}"
                add(f"model{stage + 1}_{number}", name, f"stages.{branch}.{stage}.{2 * row}")
            if stage > 0:
                orders[f"stages.{branch}.{stage}.0"] = _columns(seen)
            orders[f"stages.{branch}.{stage}.{2 * (layers - 1)}"] = _rows(order)
    return Layout(names, old, orders)
