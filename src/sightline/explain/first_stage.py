"""The detector before the detector: where regions are the answers of a first stage."""

from dataclasses import replace

import torch

from sightline.detectors.region_proposals import RegionProposalNetwork
from sightline.detectors.selective_search import SelectiveSearch
from sightline.pipeline import Detector, Trace
from sightline.types import Batch


@torch.inference_mode()
def first_stage(trace: Trace, detector: Detector) -> tuple[Detector, Trace] | None:
    """The stage that proposed a trace's regions, and its own trace; None where there is none.

    A region proposal network reads the maps that the trace has already; a search looks at the
    prepared pixels again; a person detector before poses reads its own maps. All are deterministic,
    so that their answers are the trace's regions.
    """
    proposer, people = getattr(detector, "proposer", None), getattr(detector, "people", None)
    if isinstance(proposer, RegionProposalNetwork):
        return proposer, _after(proposer, trace.batch, trace)
    if isinstance(proposer, SelectiveSearch):
        pixels = detector.preparation.restore(trace.batch.pixels)  # type: ignore[attr-defined]
        return proposer, _after(proposer, replace(trace.batch, pixels=_as_seen(proposer, pixels)))
    if isinstance(people, Detector):
        return people, _after(people, trace.batch, trace)
    return None


def _as_seen(proposer: SelectiveSearch, pixels: torch.Tensor) -> torch.Tensor:
    return proposer.preparation.normalise(pixels.cpu())


def _after(stage: Detector, batch: Batch, trace: Trace | None = None) -> Trace:
    """The verbs that follow `prepare`, or `encode` where a trace has its maps."""
    features = stage.encode(batch) if trace is None else trace.features
    regions = stage.propose(batch, features)
    scored = stage.classify(batch, features, regions)
    return Trace(batch, features, regions, scored, stage.postprocess(batch, features, scored))
