"""Recipes from plain data and from `KEY=VALUE` texts."""

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any

from sightline.data.augment import Augmentation
from sightline.errors import UsageError
from sightline.train.recipes import Recipe


def from_json(plain: Mapping[str, Any]) -> Recipe:
    """The recipe that `to_json` gave, also after its way through a file; UsageError.

    A setting that did not exist yet when it was written gets its default.
    """
    rest = {k: _frozen(v) for k, v in plain.items() if k != "augmentation"}
    inner = {k: _frozen(v) for k, v in dict(plain.get("augmentation") or {}).items()}
    try:
        return Recipe(
            **{k: _value(Recipe, k, repr(v)) for k, v in rest.items()},
            augmentation=Augmentation(
                **{k: _value(Augmentation, k, repr(v)) for k, v in inner.items()}
            ),
        )
    except TypeError as error:
        raise UsageError(f"not a recipe: {error}", code="train.recipe") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def changed(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `KEY=VALUE` settings; `augmentation.KEY` reaches into the augmentation.

    Values are Python literals or bare words; setting one of epochs, steps and minutes clears the
    others. Raises UsageError (`usage.unknown_setting`, `usage.bad_setting`).
    """
    own: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found:
            raise UsageError(
                f"{setting!r} is no KEY=VALUE", code="usage.bad_setting", hint="--set batch=4"
            )
        if key.startswith("augmentation."):
            name = key.removeprefix("augmentation.")
            inner[name] = _value(Augmentation, name, text)
        else:
            own[key] = _value(Recipe, key, text)
    if {"epochs", "steps", "minutes"} & own.keys():
        own = {"epochs": None, "steps": None, "minutes": None, **own}
    if inner:
        own["augmentation"] = dataclasses.replace(recipe.augmentation, **inner)
    return dataclasses.replace(recipe, **own)


def _value(record: type, key: str, text: str) -> Any:
    """`text` as the type that field `key` of a dataclass has."""
    hints = _types(record)
    names = [f.name for f in dataclasses.fields(record)]
    if key not in names or dataclasses.is_dataclass(hints[key]):
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        raise UsageError(f"no setting is called {key!r}", code="usage.unknown_setting", hint=hint)
    import ast

    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if isinstance(value, dict):  # pairs, in the way that Python and YAML write them
        value = tuple(value.items())
    value = _tuples(value)
    wanted = hints[key]
    options = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
    bare = tuple(typing.get_origin(option) or option for option in options)
    if isinstance(value, int) and not isinstance(value, bool) and int not in bare:
        value = float(value)
    if not _matches(value, wanted):
        raise UsageError(
            f"{key} cannot be {text!r}", code="usage.bad_setting", hint=f"it is a {wanted}"
        )
    return value


@functools.cache
def _types(record: type) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _tuples(value: Any) -> Any:
    """Lists as tuples, as deep as they go: a record written as JSON has lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _matches(value: Any, wanted: Any) -> bool:
    """Whether a value has the type that is wanted, as deep as that goes; ints are floats too."""
    inner = typing.get_args(wanted)
    if isinstance(wanted, types.UnionType):
        return any(_matches(value, one) for one in inner)
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, tuple) or (inner[-1] is not ... and len(value) != len(inner)):
            return False
        parts = [inner[0]] * len(value) if inner[-1] is ... else inner
        return all(_matches(part, one) for part, one in zip(value, parts, strict=True))
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)
