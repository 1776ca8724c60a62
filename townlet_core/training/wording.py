"""Messages for values that a model refuses, in the words of scenario mistakes."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from townlet_core.errors import did_you_mean
from townlet_core.scenario.type_text import child, expected, show
from townlet_core.yaml.tree import Path


def explain(fields: Mapping[str, Any], item: Any) -> tuple[Path, str]:
    """Return the path and the message, found and expected, of an error of pydantic.

    fields: the annotation of each field of the model, by name.
    """
    annotation: Any = None
    place: list[str | int] = []
    for part in item["loc"]:
        inner = child(annotation, part) if place else fields.get(part)
        if inner is None:
            break
        annotation = inner
        place.append(part)
    if item["type"] == "missing":
        return tuple(place), f"missing, expected {wanted(annotation)}"
    if item["type"] == "value_error":  # of a validator of ours, which has its own words
        return tuple(place), item["msg"].removeprefix("Value error, ")
    whole = len(place) == len(item["loc"])
    return tuple(place), wrong_value(str(place[-1]), item["input"] if whole else None, annotation, whole)


def wrong_value(name: str, value: Any, annotation: Any, shown: bool = True) -> str:
    """Return the message for a value that does not fit its annotation, with the nearest choice."""
    choices = [choice for choice in choices_of(annotation) if isinstance(choice, str)]
    if isinstance(value, str) and choices:
        return f"unknown {name} {show(value)}{did_you_mean(value, choices)}, expected {wanted(annotation)}"
    return (
        f"found {show(value)}, expected {wanted(annotation)}" if shown else f"expected {wanted(annotation)}"
    )


def wanted(annotation: Any) -> str:
    """Describe the values of an annotation, including null."""
    text = expected(annotation)
    return f"{text} or null" if types.NoneType in get_args(_bare(annotation)) else text


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """Return the choices of a Literal, also of one that may be null; nothing for anything else."""
    annotation = _bare(annotation)
    for inner in (annotation, *get_args(annotation)):
        if get_origin(inner) is Literal:
            return get_args(inner)
    return ()


def _bare(annotation: Any) -> Any:
    """Take off Annotated."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return annotation
