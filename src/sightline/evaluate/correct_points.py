"""PCK: the percentage of correct keypoints, beside OKS AP (Yang & Ramanan 2013; Andriluka 2014).

A labelled point is correct if its answer lies within a share of a length of its person:

    PCK         0.2 of the longer side of the person's box
    PCK_torso   0.2 of its torso, from the left shoulder to the right hip, or right to left (LSP)
    PCKh        0.5 of its head, from the head's top to the neck (MPII)

A figure is of the people whose length is known: both ends labelled, and apart. People are not said
whose they are: the answers of an image, best first, at most 20, each take the person not yet taken
that they are most like by OKS. The points of a person whom nobody took are missed; answers that
took nobody do no harm: PCK is a recall. Crowds, and people without a labelled point, do not count.

Letters: G people, P points.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from sightline.evaluate.columns import Columns
from sightline.evaluate.report import CORRECT_FIGURES
from sightline.ops.oks import oks_with_truth
from sightline.skeletons import Skeleton

MOST = 20
"""So many answers of an image count, as for OKS AP."""

SHARES = dict(zip(CORRECT_FIGURES, (0.2, 0.2, 0.5), strict=True))
"""Figure → the share of its length within which a point is correct."""

TORSO = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
HEAD = tuple(
    (top, neck)
    for top in ("head_top", "top_of_head", "head")
    for neck in ("neck", "upper_neck", "thorax")
)


def correct_points(columns: Columns, skeleton: Skeleton) -> dict[str, float | None]:
    """Each figure of `SHARES` in [0, 1]; None where nobody's length is known."""
    truth, points = columns.truth, columns.truth.shapes.keypoints
    guesses = columns.found.shapes.keypoints
    assert points is not None and guesses is not None  # the caller has looked
    counted = (points[..., 2] > 0).any(axis=1) & ~truth.crowd
    taker = _takers(columns, counted, skeleton)
    seen = (points[..., 2] > 0) & counted[:, None]
    away = np.full(seen.shape, np.inf)
    taken = taker >= 0
    answers = guesses[taker[taken]]
    apart = np.linalg.norm(answers[..., :2] - points[taken, :, :2], axis=2)
    away[taken] = np.where(answers.any(axis=2), apart, np.inf)  # (0, 0, 0) was not found
    lengths = {
        "PCK": (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(axis=1, initial=0),
        "PCK_torso": _length(points, skeleton, TORSO),
        "PCKh": _length(points, skeleton, HEAD),
    }
    answer: dict[str, float | None] = {}
    for name, share in SHARES.items():
        known = seen & (lengths[name] > 0)[:, None]
        right = known & (away <= share * lengths[name][:, None])
        answer[name] = float(right.sum() / known.sum()) if known.any() else None
    return answer


def _takers(
    columns: Columns, counted: Bool[ndarray, "G"], skeleton: Skeleton
) -> Int64[ndarray, "G"]:
    """The answer that takes each person; −1 for none."""
    truth, found = columns.truth, columns.found
    taker = np.full(len(truth), -1, np.int64)
    for answers, people in columns.image_rows():
        order = answers[np.argsort(-found.scores[answers], kind="stable")]
        for label in np.unique(truth.label[people]):
            free = people[counted[people] & (truth.label[people] == label)]
            best = order[found.label[order] == label][:MOST]
            if len(free) and len(best):
                alike = _likeness(columns, best, free, skeleton)
                for row, values in zip(best, alike, strict=True):
                    place = int(values.argmax())
                    if values[place] > 0:
                        taker[free[place]] = row
                        alike[:, place] = 0  # taken
    return taker


def _likeness(
    columns: Columns, answers: Int64[ndarray, "D"], people: Int64[ndarray, "G"], skeleton: Skeleton
) -> Float[ndarray, "D G"]:
    """COCO's OKS of these answers with these people."""
    truth = columns.truth
    points, guesses = truth.shapes.keypoints, columns.found.shapes.keypoints
    assert points is not None and guesses is not None
    alike: ndarray = oks_with_truth(
        torch.from_numpy(guesses[answers, :, :2]),
        torch.from_numpy(points[people]),
        torch.from_numpy(truth.area[people]),
        torch.tensor(skeleton.sigmas, dtype=torch.float64),
    ).numpy()
    return alike


def _length(
    points: Float[ndarray, "G P 3"], skeleton: Skeleton, ends: Sequence[tuple[str, str]]
) -> Float[ndarray, "G"]:
    """The distance between the first pair of these points that is labelled; 0 without one."""
    answer = np.zeros(len(points))
    index = {name: row for row, name in enumerate(skeleton.points)}
    for a, b in ends:
        if a in index and b in index:
            first, second = points[:, index[a]], points[:, index[b]]
            known = (first[:, 2] > 0) & (second[:, 2] > 0) & (answer == 0)
            answer[known] = np.linalg.norm(first[known, :2] - second[known, :2], axis=1)
    return answer
