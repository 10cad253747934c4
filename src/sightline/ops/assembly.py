"""From candidate limbs to people: a matching a limb, then limbs that share a part are joined.

A candidate is (limb, first, second): two rows of candidate parts that may be its ends.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.dispatch import kernel


def require_candidates(candidates: Tensor, scores: Tensor, rows: int) -> None:
    """Raise UsageError (usage.shape) unless (C, 3) candidates, of which two columns are among
    `rows` parts, have (C,) scores.
    """
    if candidates.ndim != 2 or candidates.shape[1] != 3 or scores.shape != (len(candidates),):
        raise UsageError(
            f"(C, 3) candidates and (C,) scores are wanted, not {tuple(candidates.shape)} and "
            f"{tuple(scores.shape)}",
            code="usage.shape",
        )
    ends = candidates.cpu().numpy()[:, 1:]  # whose minimum costs little, however few there are
    if len(ends) and not 0 <= ends.min() <= ends.max() < rows:
        raise UsageError(
            f"candidates of rows {ends.min()} … {ends.max()} among {rows} parts", code="usage.shape"
        )


@kernel
def match_greedy(
    candidates: Int[Tensor, "C 3"], scores: Float[Tensor, "C"], rows: int
) -> Bool[Tensor, "C"]:
    """Which candidates are limbs: best first, if both ends are still free for that limb.

    Of equals the earlier. A part has one limb of each kind at most, as its first end and as its
    second. `rows` is how many parts there are. Raises UsageError (usage.shape).
    """
    require_candidates(candidates, scores, rows)
    kept = torch.zeros(len(scores), dtype=torch.bool)
    taken: set[tuple[int, int, int]] = set()
    for row in scores.sort(descending=True, stable=True).indices.tolist():
        limb, first, second = candidates[row].tolist()
        ends = {(limb, 0, first), (limb, 1, second)}
        if not ends & taken:
            kept[row] = True
            taken |= ends
    return kept


def match_optimal(
    candidates: Int[Tensor, "C 3"], scores: Float[Tensor, "C"], rows: int
) -> Bool[Tensor, "C"]:
    """Which candidates are limbs: for each kind those that together have the greatest sum of scores
    (the Hungarian method; Cao 2017, equation 13), no two of them with an end in common.

    Scores of 0 and less are never taken. Raises UsageError (usage.shape).
    """
    from scipy.optimize import linear_sum_assignment

    require_candidates(candidates, scores, rows)
    kept = torch.zeros(len(scores), dtype=torch.bool)
    limbs, values = candidates.cpu().numpy(), scores.detach().double().cpu().numpy()
    for limb in np.unique(limbs[:, 0]):
        chosen = np.flatnonzero((limbs[:, 0] == limb) & (values > 0))
        first, a = np.unique(limbs[chosen, 1], return_inverse=True)
        second, b = np.unique(limbs[chosen, 2], return_inverse=True)
        gain = np.zeros((len(first), len(second)))
        who = np.full(gain.shape, -1)
        gain[a, b], who[a, b] = values[chosen], chosen
        matched = who[linear_sum_assignment(gain, maximize=True)]
        kept[torch.from_numpy(matched[matched >= 0])] = True
    return kept


@kernel
def assemble(
    limbs: Int[Tensor, "M 3"], scores: Float[Tensor, "M"], part: Int[Tensor, "N"], parts: int
) -> Int[Tensor, "G P"]:
    """The groups of parts that limbs hold together: the row of each of `parts` parts, −1 without.

    Limbs join the groups of their two ends, best first (of equals the earlier), unless both groups
    have a part of the same kind: two noses are two people, and the weaker limb was wrong. That
    holds for any skeleton, one whose limbs make cycles included. Parts without a limb are no group.
    Groups come in the order of their first rows. `part` is the kind of each row. Raises UsageError
    (usage.shape).
    """
    require_candidates(limbs, scores, len(part))
    kinds = part.tolist()
    group = {row: {kind: row} for row, kind in enumerate(kinds)}
    for index in scores.sort(descending=True, stable=True).indices.tolist():
        first, second = limbs[index, 1:].tolist()
        one, other = group[first], group[second]
        if one is not other and not one.keys() & other.keys():
            one |= other
            group |= dict.fromkeys(other.values(), one)
    people = [one for row, one in group.items() if len(one) > 1 and row == min(one.values())]
    answer = torch.full((len(people), parts), -1)
    for row, one in enumerate(people):
        answer[row, list(one)] = torch.tensor(list(one.values()))
    return answer


def held_together(
    people: Int[Tensor, "G P"], limbs: Int[Tensor, "M 3"], scores: Float[Tensor, "M"]
) -> Float[Tensor, "G"]:
    """The sum of the scores of those limbs whose ends both belong to a person, for each person."""
    rows, ends = people.numpy(), limbs.numpy()
    owner = np.full(max(rows.max(initial=-1), ends.max(initial=-1)) + 1, -1)
    group, kind = (rows >= 0).nonzero()
    owner[rows[group, kind]] = group
    first, second = owner[ends[:, 1]], owner[ends[:, 2]]
    both = (first >= 0) & (first == second)
    total = np.bincount(first[both], scores.numpy()[both], len(rows))
    return torch.from_numpy(total.astype(np.float32))
