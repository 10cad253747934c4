"""From candidate limbs to people: a matching a limb, then limbs that share a part are joined.

A candidate is (limb, first, second): two rows of candidate parts that may be its ends. Both
matchings give the rows of those that are kept, best first, as `assemble` wants them.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import Numbers
from sightline.ops.dispatch import kernel


def require_candidates(candidates: Numbers, scores: Numbers) -> None:
    """Raise UsageError (usage.shape) unless (C, 3) candidates have (C,) scores."""
    if candidates.ndim != 2 or candidates.shape[1] != 3 or scores.shape != (len(candidates),):
        raise UsageError(
            f"(C, 3) candidates and (C,) scores are wanted, not {tuple(candidates.shape)} and "
            f"{tuple(scores.shape)}",
            code="usage.shape",
        )


def require_ends(candidates: Tensor, rows: int) -> None:
    """Raise UsageError (usage.shape) unless both ends of the candidates are among `rows` parts, and
    their limbs are counted from 0.
    """
    ends = candidates.cpu().numpy()[:, 1:]  # whose minimum costs little, however few there are
    if len(ends) and not 0 <= ends.min() <= ends.max() < rows:
        raise UsageError(
            f"candidates of rows {ends.min()} … {ends.max()} among {rows} parts", code="usage.shape"
        )
    if len(ends) and int(candidates[:, 0].min()) < 0:
        raise UsageError(f"limb {int(candidates[:, 0].min())} is none", code="usage.shape")


def require_kinds(part: Tensor, parts: int) -> None:
    """Raise UsageError (usage.shape) unless every row is one of `parts` kinds of parts."""
    if part.ndim != 1 or (len(part) and not 0 <= int(part.min()) <= int(part.max()) < parts):
        raise UsageError(
            f"a column of kinds from 0 to {parts - 1} is wanted, not {tuple(part.shape)} from "
            f"{int(part.min())} to {int(part.max())}",
            code="usage.shape",
        )


def require_values(values: Numbers, part: Numbers) -> None:
    """Raise UsageError (usage.shape) unless all parts have a value and a kind."""
    if values.ndim != 1 or values.shape != part.shape:
        raise UsageError(
            f"(N,) values and (N,) kinds are wanted, not {tuple(values.shape)} and "
            f"{tuple(part.shape)}",
            code="usage.shape",
        )


@kernel
def match_greedy(
    candidates: Int[Tensor, "C 3"], scores: Float[Tensor, "C"], rows: int
) -> Int[Tensor, "M"]:
    """Which candidates are limbs, best first: those whose ends are both still free for that limb.

    Of equals the earlier. A part has one limb of each kind at most, as its first end and as its
    second. `rows` is how many parts there are. Raises UsageError (usage.shape).
    """
    require_candidates(candidates, scores)
    require_ends(candidates, rows)
    kept: list[int] = []
    taken: set[tuple[int, int, int]] = set()
    for row in scores.sort(descending=True, stable=True).indices.tolist():
        limb, first, second = candidates[row].tolist()
        ends = {(limb, 0, first), (limb, 1, second)}
        if not ends & taken:
            kept.append(row)
            taken |= ends
    return torch.tensor(kept, dtype=torch.int64)


def match_optimal(
    candidates: Int[Tensor, "C 3"], scores: Float[Tensor, "C"], rows: int
) -> Int[Tensor, "M"]:
    """Which candidates are limbs, best first: for each kind those that together have the greatest
    sum of scores (the Hungarian method; Cao 2017, equation 13), no two with an end in common.

    Scores of 0 and less are never taken. Raises UsageError (usage.shape).
    """
    from scipy.optimize import linear_sum_assignment

    require_candidates(candidates, scores)
    require_ends(candidates, rows)
    limbs, values = candidates.cpu().numpy(), scores.detach().double().cpu().numpy()
    kept = [np.zeros(0, np.int64)]
    for limb in np.unique(limbs[:, 0]):
        chosen = np.flatnonzero((limbs[:, 0] == limb) & (values > 0))
        first, a = np.unique(limbs[chosen, 1], return_inverse=True)
        second, b = np.unique(limbs[chosen, 2], return_inverse=True)
        gain = np.zeros((len(first), len(second)))
        who = np.full(gain.shape, -1)
        gain[a, b], who[a, b] = values[chosen], chosen
        matched = who[linear_sum_assignment(gain, maximize=True)]
        kept.append(matched[matched >= 0])
    every = np.concatenate(kept)
    return torch.from_numpy(every[np.argsort(-values[every], kind="stable")])


@kernel
def assemble(
    limbs: Int[Tensor, "M 3"], scores: Float[Tensor, "M"], part: Int[Tensor, "N"], parts: int
) -> tuple[Int[Tensor, "G P"], Float[Tensor, "G"]]:
    """The groups of parts that limbs hold together: the row of each of `parts` parts, −1 without,
    and the sum of the scores of the limbs whose ends are both in it.

    Limbs come best first, and join the groups of their two ends, unless both have a part of the
    same kind: two noses are two people, and the weaker limb was wrong. That holds for any skeleton,
    one whose limbs make cycles included. Parts without a limb are no group. Groups come in the
    order of their first rows. `part` is the kind of each row. Raises UsageError (usage.shape).
    """
    require_candidates(limbs, scores)
    require_ends(limbs, len(part))
    require_kinds(part, parts)
    group = {row: {kind: row} for row, kind in enumerate(part.tolist())}
    for _, first, second in limbs.tolist():
        one, other = group[first], group[second]
        if one is not other and not one.keys() & other.keys():
            one |= other
            group |= dict.fromkeys(other.values(), one)
    people = [one for row, one in group.items() if len(one) > 1 and row == min(one.values())]
    rows, total = torch.full((len(people), parts), -1), torch.zeros(len(people))
    for index, one in enumerate(people):
        rows[index, list(one)] = torch.tensor(list(one.values()))
        own = [group[a] is one and group[b] is one for _, a, b in limbs.tolist()]
        total[index] = scores.float()[torch.tensor(own)].sum()
    return rows, total


def strengths(
    candidates: Int[Tensor, "C 3"], integrals: Float[Tensor, "C"], values: Float[Tensor, "N"]
) -> Float[Tensor, "C"]:
    """How strong candidate limbs are: the integral times the value of the weaker end.

    Of peaks that are hardly there only those remain that a field leads to, and that no better one
    competes with.
    """
    return integrals * torch.minimum(values[candidates[:, 1]], values[candidates[:, 2]])


def fullness(total: Float[Tensor, "G"], limbs: int) -> Float[Tensor, "G"]:
    """The mean score of a group's limbs, 0 for those that it lacks, and 1 at most."""
    return (total / limbs).clamp(max=1)


@kernel
def group_greedily(
    candidates: Int[Tensor, "C 3"],
    integrals: Float[Tensor, "C"],
    values: Float[Tensor, "N"],
    part: Int[Tensor, "N"],
    size: tuple[int, int],
) -> tuple[Int[Tensor, "G P"], Float[Tensor, "G"]]:
    """Groups of parts as `assemble` gives them, of the limbs that `match_greedy` takes by their
    `strengths`, and their `fullness`: little is done, which is best done in one go. `size` are the
    numbers of kinds of parts and of limbs. Raises UsageError (usage.shape).
    """
    require_candidates(candidates, integrals)
    require_values(values, part)
    require_ends(candidates, len(values))
    order = match_greedy.reference(
        candidates, strengths(candidates, integrals, values), len(values)
    )
    people, total = assemble.reference(candidates[order], integrals[order], part, size[0])
    return people, fullness(total, size[1])
