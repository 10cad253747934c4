"""How good is an answer: one evaluator for every detector."""

from sightline.evaluate.confusion import Confusion, confusion
from sightline.evaluate.curves import Curves, curves
from sightline.evaluate.detection import evaluate
from sightline.evaluate.errors import Errors, tide
from sightline.evaluate.predict import predict, stream
from sightline.evaluate.proposals import ProposalReport, evaluate_proposals
from sightline.evaluate.report import Report
from sightline.evaluate.results import from_results, stream_results, write_results
from sightline.evaluate.speed import Latency, latency, measure
from sightline.evaluate.voc import VocReport, evaluate_voc

__all__ = [
    "Confusion",
    "Curves",
    "Errors",
    "Latency",
    "ProposalReport",
    "Report",
    "VocReport",
    "confusion",
    "curves",
    "evaluate",
    "evaluate_proposals",
    "evaluate_voc",
    "from_results",
    "latency",
    "measure",
    "predict",
    "stream",
    "stream_results",
    "tide",
    "write_results",
]
