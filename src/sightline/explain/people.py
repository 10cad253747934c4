"""How far people came that are joined from their parts: candidate parts instead of regions."""

import torch
from torch import Tensor

from sightline.detectors.bottom_up import BottomUp
from sightline.explain.records import ObjectFate
from sightline.explain.scene import Scene, answered
from sightline.explain.words import Stage
from sightline.ops.oks import TINY, fall_off
from sightline.reasons import Outcome, Outcomes


def person_fate(scene: Scene, detector: BottomUp, told: Outcomes, row: int) -> ObjectFate:
    """The furthest stage of a person: no part found → joined to nobody → too little of it, or too
    low a score → made part of a neighbour → badly localised → matched.
    """
    place = scene.judged.finder(row)
    if place >= 0:
        return answered(scene, row, place, Stage.MATCHED)
    if scene.truth.labels[row] < 0:
        return scene.tell(row, Stage.WRONG_CLASS)
    parts = _parts(scene, detector, row)
    if not len(parts):
        return scene.tell(row, Stage.NOT_PROPOSED)
    people, _ = detector.people(scene.trace.scored)
    members = torch.isin(people, told.region[parts]).sum(1)
    if not len(members) or int(members.max()) == 0:
        return _of_part(scene, told, row, parts, Stage.LOST_EARLY)
    group = people[int(members.argmax())]
    own = parts[torch.isin(told.region[parts], group)]
    outcome, by = Outcome(int(told.outcome[own[0]])), int(told.by[own[0]])
    if outcome != Outcome.KEPT:
        return _of_part(scene, told, row, own, Stage.LOW_SCORE)
    taken = scene.judged.owner[by] >= 0
    return _of_part(scene, told, row, own, Stage.SUPPRESSED if taken else Stage.BADLY_LOCALISED)


def _parts(scene: Scene, detector: BottomUp, row: int) -> Tensor:
    """The candidate parts that lie where the person's labelled points are (or, without any, in its
    box), as places among the candidates; the best first.
    """
    objects, regions = scene.truth.objects, scene.trace.scored.regions
    frame = scene.trace.batch.frames[scene.index]
    boxes = regions.boxes[scene.rows].cpu()
    middle = frame.to_original((boxes[:, :2] + boxes[:, 2:]) / 2).double()
    part = regions.level[scene.rows].cpu()
    points = None if objects.keypoints is None else objects.keypoints[row]
    if points is not None and len(points) == len(detector.points) and (points[:, 2] > 0).any():
        area = torch.tensor(max(float(objects.area[row]), TINY), dtype=torch.float64)
        sigmas = torch.tensor(detector.skeleton.sigmas, dtype=torch.float64)
        truth = torch.from_numpy(points).double()
        alike = fall_off(middle[:, None], truth[None, :, :2], area, sigmas)
        own = (part[:, None] == detector.points) & (truth[:, 2] > 0)
        rows = (own & (alike >= scene.iou)).any(dim=1).nonzero()[:, 0]
    else:
        x1, y1, x2, y2 = scene.truth.boxes[row].tolist()
        x, y = middle.unbind(1)
        rows = ((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).nonzero()[:, 0]
    values = scene.trace.scored.scores[:, 0].cpu()[scene.rows[rows]]
    return rows[values.sort(descending=True, stable=True).indices]


def _of_part(scene: Scene, told: Outcomes, row: int, parts: Tensor, stage: Stage) -> ObjectFate:
    """The record of a person, with its strongest part."""
    best = int(parts[0])
    by = int(told.by[best])
    return scene.tell(
        row,
        stage,
        why=Outcome(int(told.outcome[best])),
        region=int(told.region[best]),
        score=float(told.score[best]),
        overlap=0.0 if by < 0 else float(scene.judged.table[by, row]),
        by=by,
        iou=float(told.iou[best]),
    )
