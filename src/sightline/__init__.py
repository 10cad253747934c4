"""Sightline: find things in images, with any method of the lineage, and see how it was found.

import sightline
model = sightline.load("retinanet")
for name, score, box in model("photo.jpg"):
    print(name, score, box)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sightline import explain, video
    from sightline.errors import SightlineError, SightlineWarning
    from sightline.predict import Model, load
    from sightline.types import Detections

_HOMES = {
    "load": "sightline.predict",
    "Model": "sightline.predict",
    "Detections": "sightline.types",
    "SightlineError": "sightline.errors",
    "SightlineWarning": "sightline.errors",
}

__all__ = ["Detections", "Model", "SightlineError", "SightlineWarning", "explain", "load", "video"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import sightline` costs nothing."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("explain", "video"):
        return importlib.import_module(f"sightline.{name}")
    raise AttributeError(f"module 'sightline' has no attribute {name!r}")
