"""Why was this lost? Told from a trace, after the fact.

Every candidate ends with exactly one reason (`reasons.Outcome`). With the truth of the image, every
object has the furthest stage that it reached. Of the candidates that lie on an object (their box,
or else the region that it was made from, overlaps it by `iou`), in this order:

    matched                  an answer found it, by COCO's rules
    no region proposed       there are no such candidates
    badly localised          an answer of its class is near (IoU ≥ 0.1), and found nothing
    suppressed               a candidate of its class gave way to an answer, or became the answer to
                             a neighbour
    low score                a candidate of its class came after the limit
    lost before suppression  candidates of its class were above the threshold, and not among the
                             best of their level or class, or too small, or outside
    wrong class              only other classes were above the threshold
    low score                nothing was above the threshold

Where a detector's regions are another one's answers, that one tells why it proposed nothing: what
fell to a limit of it counts as lost before suppression.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sightline.data.records import Objects
from sightline.detectors.bottom_up import BottomUp
from sightline.explain.fates import fates, outcomes
from sightline.explain.first_stage import first_stage
from sightline.explain.people import person_fate
from sightline.explain.records import Answer, Lost, ObjectFate
from sightline.explain.scene import Scene, answered
from sightline.explain.truth import BACKGROUND, Judged, alike, judge, truth_of
from sightline.explain.words import Stage
from sightline.pipeline import Detector, Trace
from sightline.reasons import Outcome

LIMITS = (Outcome.BEYOND_LEVEL, Outcome.BEYOND_CLASS, Outcome.BEYOND_LIMIT)


@torch.inference_mode()
def lost(
    trace: Trace,
    detector: Detector,
    truth: Objects | None = None,
    classes: Sequence[str] | None = None,
    *,
    index: int = 0,
    iou: float = 0.5,
    deep: bool = False,
) -> Lost:
    """What became of every candidate of image `index`, and of every object of `truth`.

    `classes` are those that the truth's labels index; None the detector's own. An object counts as
    found from an IoU of `iou` on (OKS for methods that learn poses, where points are labelled).
    `deep` tells of the first stage's candidates too, where there is one; else only where it has to
    be asked why it proposed nothing. Raises UsageError (usage.class_count).
    """
    found = fates(trace, detector, index)
    told = outcomes(trace, found, index)
    before = _Before(trace, detector, truth, index, iou)
    if deep:
        before.ask()
    if truth is None:
        answers = tuple(_answers(trace, index, None))
        return Lost(tuple(detector.classes), told, (), answers, before.found)
    true = truth_of(truth, classes, detector)
    shown = trace.detections[index]
    skeleton = shown.skeleton if getattr(detector, "learns_poses", False) else None
    judged = judge(shown, true, alike(shown, true, skeleton), iou)
    scene = Scene.of(trace, found, true, judged, index, iou)
    objects = []
    for row in np.flatnonzero(~truth.crowd).tolist():
        if isinstance(detector, BottomUp):
            fate = person_fate(scene, detector, told, row)
        else:
            fate = _fate(scene, row)
            if fate.stage is Stage.NOT_PROPOSED:
                fate = before.why(fate)
        objects.append(fate)
    answers = tuple(_answers(trace, index, judged))
    return Lost(tuple(detector.classes), told, tuple(objects), answers, before.found)


def _answers(trace: Trace, index: int, judged: Judged | None) -> list[Answer]:
    shown = trace.detections[index]
    count = len(shown)
    kinds = [None] * count if judged is None else judged.kinds
    owner = [-1] * count if judged is None else judged.owner.tolist()
    rows = zip(shown.names, shown.scores.tolist(), shown.boxes.tolist(), kinds, owner, strict=True)
    return [Answer(name, score, tuple(box), kind, goal) for name, score, box, kind, goal in rows]


@dataclass
class _Before:
    """The first stage's own story, told when it is asked for."""

    trace: Trace
    detector: Detector
    truth: Objects | None
    index: int
    iou: float
    found: Lost | None = None
    asked: bool = False

    def ask(self) -> Lost | None:
        """What the first stage lost; None where there is no first stage."""
        if not self.asked:
            self.asked = True
            stage = first_stage(self.trace, self.detector)
            if stage is not None:
                detector, trace = stage
                names = None if self.truth is None else ["object"] * (1 + self._most())
                self.found = lost(
                    trace, detector, self.truth, names, index=self.index, iou=self.iou
                )
        return self.found

    def _most(self) -> int:
        labels = () if self.truth is None else self.truth.labels.tolist()
        return max(labels, default=0)

    def why(self, fate: ObjectFate) -> ObjectFate:
        """An object that nothing was proposed for, with the first stage's reason."""
        story = self.ask()
        if story is None:
            return fate
        (own,) = [one for one in story.objects if one.row == fate.row]
        stage = Stage.LOST_EARLY if own.why in LIMITS else Stage.NOT_PROPOSED
        return fate.because(stage, own)


def _fate(scene: Scene, row: int) -> ObjectFate:
    """How far an object came."""
    judged, label = scene.judged, int(scene.truth.labels[row])
    place = judged.finder(row)
    if place >= 0:
        return answered(scene, row, place, Stage.MATCHED)
    reach = scene.reach(row)
    if not bool((reach >= scene.iou).any()):
        most = float(reach.max()) if len(reach) else 0.0
        return scene.tell(row, Stage.NOT_PROPOSED, overlap=most)
    labels = scene.trace.detections[scene.index].labels.cpu().numpy()
    idle = (judged.owner < 0) & (np.array(judged.kinds) != "ignored") & (labels == label)
    table = np.where(idle, judged.table[:, row], 0.0)
    if len(table) and table.max() >= BACKGROUND:
        return answered(scene, row, int(table.argmax()), Stage.BADLY_LOCALISED)
    own = scene.found.pairs.label == label
    rows = scene.near(row, own)
    if len(rows):
        return _of_its_class(scene, row, rows)
    others = scene.near(row, ~own)
    if len(others):
        best = others[scene.found.pairs.scores[others].argmax()]
        return scene.of_pair(row, Stage.WRONG_CLASS, int(best))
    return _unscored(scene, row, reach)


REACHED = {
    Outcome.BELOW_SCORE: Stage.LOW_SCORE,
    Outcome.SUPPRESSED: Stage.SUPPRESSED,
    Outcome.MERGED: Stage.SUPPRESSED,
    Outcome.BEYOND_LIMIT: Stage.LOW_SCORE,
    Outcome.KEPT: Stage.BADLY_LOCALISED,
}
"""How far an object came of whose candidates one ended so; by all other ends LOST_EARLY."""


def _of_its_class(scene: Scene, row: int, rows: Tensor) -> ObjectFate:
    """Pairs of the right class lie on the object: the one that came furthest tells.

    A candidate that became the answer to a neighbour gave way to it, and is named last.
    """
    found, judged = scene.found, scene.judged
    outcome, by = found.outcome[rows], found.by[rows]
    table = torch.tensor([REACHED.get(end, Stage.LOST_EARLY) for end in Outcome])
    stage, kept = table[outcome], outcome == Outcome.KEPT
    if len(judged.owner):
        taken = torch.from_numpy(judged.owner >= 0)[by.clamp(min=0)]
        capped = torch.tensor([kind == "ignored" for kind in judged.kinds])[by.clamp(min=0)]
        stage[kept & taken] = int(Stage.SUPPRESSED)
        stage[kept & capped] = int(Stage.LOW_SCORE)  # after the 100th of its class
    rank = 2 * stage - kept.long()
    best = rows[rank == rank.max()]
    pair = int(best[found.pairs.scores[best].argmax()])
    reached = Stage(int(stage.max()))
    late = reached is Stage.LOW_SCORE and int(found.outcome[pair]) == Outcome.KEPT
    return scene.of_pair(row, reached, pair, Outcome.BEYOND_LIMIT if late else None)


def _unscored(scene: Scene, row: int, reach: Tensor) -> ObjectFate:
    """Regions lie on the object, and no score of any of them is above the threshold."""
    label = int(scene.truth.labels[row])
    if label < 0:
        return scene.tell(row, Stage.WRONG_CLASS, overlap=float(reach.max()))
    scores = scene.trace.scored.scores[:, label].cpu()[scene.rows].float()
    near = (reach >= scene.iou) & scores.isfinite()
    best = int(torch.where(near, scores, -torch.inf).argmax())
    return scene.tell(
        row,
        Stage.LOW_SCORE,
        why=Outcome.BELOW_SCORE,
        region=int(scene.rows[best]),
        score=float(scores[best]) if bool(scores[best].isfinite()) else None,
        overlap=float(reach[best]),
    )
