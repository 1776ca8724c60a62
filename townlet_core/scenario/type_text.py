"""What the model expects at a place of the file, in plain words: for messages, and for docs/scenarios.md."""

from __future__ import annotations

import json
import types
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from townlet_core.scenario.model import Scenario
from townlet_core.vocab import NAME_PATTERN
from townlet_core.yaml.tree import MAX_SHOWN, Path, quoted

NAME_WORDS = "a name (1 to 64 letters, digits, '_', '.' or '-')"


def expected(annotation: Any) -> str:
    """Say what values an annotation of the model takes, such as `a whole number from 0 to 10`."""
    base, limits = _unwrap(annotation)
    if base is int or base is float:
        return ("a whole number" if base is int else "a number") + _range_words(limits)
    if base is str:
        return NAME_WORDS if NAME_PATTERN.pattern in limits.get("pattern", "") else "text"
    if base is bool:
        return "true or false"
    if _is_model(base):
        return "a block of keys"
    if base is Any:
        return "any value"
    if isinstance(base, type) and issubclass(base, FilePath):
        return "a path"
    origin, arguments = get_origin(base), get_args(base)
    if origin is Literal:
        return _either([json.dumps(a).replace('"', "'") for a in arguments])
    if origin is tuple and Ellipsis in arguments:
        return f"a list, each {expected(arguments[0])}"
    if origin is tuple:
        null = " or null" if types.NoneType in get_args(arguments[0]) else ""
        return f"a pair, each {expected(arguments[0])}{null}"
    if origin is list:
        most = f"at most {limits['max_length']}" if "max_length" in limits else "any number"
        return f"a list of {most}"
    if origin is dict:
        return "a block with a name for each key"
    return _either([expected(a) for a in arguments if a is not types.NoneType])


def annotation_at(path: Path) -> tuple[Any, int]:
    """Walk from Scenario along `path`; returns the annotation there and how many steps had one."""
    annotation: Any = Scenario
    for steps, part in enumerate(path):
        inner = child(annotation, part)
        if inner is None:
            return annotation, steps
        annotation = inner
    return annotation, len(path)


def child(annotation: Any, part: str | int) -> Any:
    """Return the annotation one step down, or None where the model branches or ends."""
    base, _ = _unwrap(annotation)
    if _is_model(base):
        return base.model_fields[part].rebuild_annotation() if part in base.model_fields else None
    origin, arguments = get_origin(base), get_args(base)
    if origin is list and isinstance(part, int):
        return arguments[0]
    if origin is tuple and Ellipsis in arguments:
        return arguments[0]
    if origin is tuple and part in (0, 1):
        return arguments[part]
    if origin is dict:
        return arguments[1]
    return None


def known_keys(annotation: Any) -> list[str]:
    """Name the keys that a block of this annotation may have; none where any name may be a key."""
    base, _ = _unwrap(annotation)
    return list(base.model_fields) if _is_model(base) else []


def show(value: Any) -> str:
    """Show a value of the file in a message, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "a block of keys"
    text = json.dumps(value)
    return f"a list of {len(value):,}" if len(text) > MAX_SHOWN and isinstance(value, list) else text


def _unwrap(annotation: Any) -> tuple[Any, dict[str, Any]]:
    """Return what is inside Annotated and `| None`, and the limits written beside it."""
    limits: dict[str, Any] = {}
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *notes = get_args(annotation)
            for note in notes:
                for inner in note.metadata if isinstance(note, FieldInfo) else [note]:
                    limits |= _limits_of(inner)
            continue
        choices = [a for a in get_args(annotation) if a is not types.NoneType]
        if get_origin(annotation) in (Union, types.UnionType) and len(choices) == 1:
            annotation = choices[0]
            continue
        return annotation, limits


def _limits_of(note: Any) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "pattern", "max_length")
    return {name: getattr(note, name) for name in names if getattr(note, name, None) is not None}


def _range_words(limits: dict[str, Any]) -> str:
    if "ge" not in limits and "gt" not in limits:
        return ""
    low = limits.get("ge", limits.get("gt"))
    if "lt" not in limits and "le" not in limits:
        return f" above {low:,}" if "gt" in limits else f" of at least {low:,}"
    high = limits["lt"] - 1 if "lt" in limits else limits["le"]
    return f" above {low:,}, up to {high:,}" if "gt" in limits else f" from {low:,} to {high:,}"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _is_model(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, BaseModel)
