"""Weighted box fusion: boxes of one object are averaged, not thrown away (Solovyev et al. 2021)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.errors import UsageError
from sightline.ops.checks import require_fraction, require_rows
from sightline.ops.nms import best_first


@dataclass(frozen=True)
class Fused:
    """M clusters of R boxes, best first.

    `best` is the row of each cluster's best box; `cluster` the cluster of each row, −1 for none.
    """

    boxes: Float[Tensor, "M 4"]
    scores: Float[Tensor, "M"]
    best: Int[Tensor, "M"]
    cluster: Int[Tensor, "R"]


def fuse(
    boxes: Float[Tensor, "R 4"],
    scores: Float[Tensor, "R"],
    groups: Int[Tensor, "R"],
    threshold: float,
    models: int = 1,
) -> Fused:
    """Clusters of overlapping boxes of one group, each as one averaged box.

    Best first, a box joins the cluster whose *averaged* box it overlaps most, if that IoU is above
    `threshold`; else it founds one. A cluster's box is the mean of its members' weighted by score,
    its score their mean score, times min(members, models) / models: what only some of `models`
    networks saw counts less. Non-finite rows and scores not above 0 take no part. Sums are taken
    in double precision.
    """
    require_rows(boxes, scores, groups)
    require_fraction("the IoU threshold", threshold)
    if models < 1:
        raise UsageError(f"models is {models}, not 1 or more", code="usage.out_of_range")
    rows = best_first(boxes, scores)
    rows = rows[scores[rows] > 0]
    weight, corners = scores.double(), boxes.double()
    sums, weights = corners.new_zeros(len(rows), 4), weight.new_zeros(len(rows))
    means, members = boxes.new_zeros(len(rows), 4).float(), weight.new_zeros(len(rows))
    best, cluster = rows.clone(), torch.full_like(groups, -1, dtype=torch.int64)
    count = 0
    for row in rows:
        overlap = geometry.iou(boxes[row][None].float(), means[:count])[0]
        overlap[groups[best[:count]] != groups[row]] = 0
        home = int(overlap.argmax()) if count else 0
        if count == 0 or not overlap[home] > threshold:
            home, count = count, count + 1
            best[home] = row
        sums[home] += weight[row] * corners[row]
        weights[home] += weight[row]
        members[home] += 1
        means[home] = (sums[home] / weights[home]).float()
        cluster[row] = home
    score = weights[:count] / members[:count] * members[:count].clamp(max=models) / models
    order = score.float().sort(descending=True, stable=True).indices
    place = torch.empty_like(order)
    place[order] = torch.arange(count, device=order.device)
    taken = cluster >= 0
    cluster[taken] = place[cluster[taken]]
    return Fused(means[order], score.float()[order], best[order], cluster)
