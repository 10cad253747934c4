"""Stages and reasons of any trace, told and drawn.

model = sightline.load("retinanet")
trace = model.trace("photo.jpg")
story = sightline.explain.lost(trace, model.detector)         # why was this lost?
views = sightline.explain.stages(trace, model.detector)       # every stage: tables, figures
figure = views[0].draw()
found = sightline.explain.losses(model.detector, dataset)     # the same over a data set
print(found.ladder.values)                                    # the oracle ladder
"""

from sightline.explain.losses import Losses, losses
from sightline.explain.lost import lost
from sightline.explain.oracle import Ladder, ladder
from sightline.explain.records import Answer, Lost, ObjectFate
from sightline.explain.stages import stages
from sightline.explain.view import View
from sightline.explain.words import Stage

__all__ = [
    "Answer",
    "Ladder",
    "Losses",
    "Lost",
    "ObjectFate",
    "Stage",
    "View",
    "ladder",
    "losses",
    "lost",
    "stages",
]
