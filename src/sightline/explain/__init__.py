"""Stages and reasons of any trace, told and drawn.

model = sightline.load("retinanet")
trace = model.trace("photo.jpg")
story = sightline.explain.lost(trace, model.detector)
print(story.reasons())
"""

from sightline.explain.lost import lost
from sightline.explain.records import Answer, Lost, ObjectFate
from sightline.explain.words import Stage

__all__ = ["Answer", "Lost", "ObjectFate", "Stage", "lost"]
