"""A state dict meets a module: every way in which they disagree has its own typed error."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from sightline.errors import WeightsError

State = Mapping[str, Tensor]
"""Names to tensors, as `nn.Module.state_dict` gives them."""

_SHOWN = 10
_COUNTER = "num_batches_tracked"


def check_finite(state: State, path: Path | None = None) -> None:
    """Raise WeightsError weights.non_finite where a float of `state` is NaN or infinite."""
    bad = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if bad:
        raise WeightsError(
            f"{len(bad)} of {len(state)} entries hold NaN or infinity: {_listed(bad)}",
            code="weights.non_finite",
            path=path,
            pointer=bad[0],
            hint="the file was saved from a diverged training, or damaged",
        )


def load(
    module: nn.Module,
    state: State,
    *,
    ignore: Sequence[str] = (),
    path: Path | None = None,
) -> None:
    """Copy `state` into `module`, entry for entry; nothing is copied unless everything fits.

    Entries whose name starts with one of `ignore` are left as they are in `module` and skipped in
    `state`. Batch norm's counters of batches may be missing (frozen norms are saved without them).
    Values are cast to the module's own dtype. Raises WeightsError: weights.class_count where only
    the number of classes differs (both are named), weights.architecture for any other
    disagreement (the first ten of each kind), weights.non_finite.
    """
    skipped = tuple(ignore)
    own = {k: v for k, v in module.state_dict().items() if not (skipped and k.startswith(skipped))}
    given = {k: v for k, v in state.items() if not (skipped and k.startswith(skipped))}
    missing = [k for k in own if k not in given and not k.endswith(_COUNTER)]
    unexpected = [k for k in given if k not in own]
    misshaped = [k for k in own if k in given and _kind(own[k]) != _kind(given[k])]
    if misshaped and not missing and not unexpected:
        _check_classes(module, [(own[k].shape, given[k].shape) for k in misshaped], path)
    if missing or unexpected or misshaped:
        shapes = [f"{k} {_kind(given[k])} for {_kind(own[k])}" for k in misshaped]
        raise WeightsError(
            f"the weights do not fit {type(module).__name__}: "
            f"missing {len(missing)}{_listed(missing)}; "
            f"unexpected {len(unexpected)}{_listed(unexpected)}; "
            f"wrong shape {len(misshaped)}{_listed(shapes)}",
            code="weights.architecture",
            path=path,
            hint="build the model that the file was saved from",
        )
    check_finite(given, path)
    with torch.no_grad():
        for key, value in own.items():
            if key in given:
                value.copy_(given[key])


def _kind(value: Tensor) -> str:
    """The shape, and whether it holds whole numbers: quantised weights are no floats."""
    return f"{tuple(value.shape)}{'' if value.is_floating_point() else ' integers'}"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" ({', '.join(names[:_SHOWN])}{more})"


def _check_classes(
    module: nn.Module, pairs: Sequence[tuple[torch.Size, torch.Size]], path: Path | None
) -> None:
    """Raise weights.class_count where another number of classes alone explains the shapes.

    It does where the wrong shapes differ in their first dimension only (outputs), and all by the
    same ratio of K, or of K + 1 where there is a background.
    """
    classes = getattr(module, "classes", None)
    if not isinstance(classes, Sequence) or any(a[1:] != b[1:] for a, b in pairs):
        return
    ratios = {Fraction(given[0], own[0]) for own, given in pairs if own and own[0]}
    for background in (0, 1):
        found = {ratio * (len(classes) + background) - background for ratio in ratios}
        if len(found) == 1 and next(iter(found)).denominator == 1:
            raise WeightsError(
                f"the weights are for {found.pop()} classes, the model has {len(classes)}",
                code="weights.class_count",
                path=path,
                hint="give the same classes, or start with a new head on purpose",
            )


def with_eps(state: State, published: float, ours: float = 1e-5) -> dict[str, Tensor]:
    """The same function for batch norms that add `ours` to the variance instead of `published`.

    Some published detectors were trained with frozen norms that add 0. The difference goes into
    the scale: γ' = γ · √((σ² + ours) / (σ² + published)), so a checkpoint saved later keeps it.
    """
    answer = dict(state)
    for key, variance in state.items():
        if key.endswith(".running_var"):
            weight = key.removesuffix("running_var") + "weight"
            wide = variance.double()
            ratio = torch.sqrt((wide + ours) / (wide + published))
            answer[weight] = (state[weight].double() * ratio).to(state[weight].dtype)
    return answer


def keep_classes(
    state: State, layer: str, total: int, rows: tuple[int, ...], each: int = 1
) -> dict[str, Tensor]:
    """Only the outputs of classes `rows` of a layer that has `each` outputs for each of `total`
    classes, anchor by anchor.
    """
    index = torch.tensor(rows)
    answer = dict(state)
    for leaf in ("weight", "bias"):
        value = state[f"{layer}.{leaf}"]
        by_class = value.reshape(-1, total, each, *value.shape[1:])
        answer[f"{layer}.{leaf}"] = by_class[:, index].flatten(0, 2)
    return answer
