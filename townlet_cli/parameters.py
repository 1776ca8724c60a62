"""What a parameter of a command takes: kind of value, choices, range, default and environment variable."""

from __future__ import annotations

import inspect
import typing
from enum import Enum
from functools import cache
from typing import Any, Literal, NamedTuple

from townlet_core.ppo.options import options_of
from townlet_core.training.options import TrainingOptions

VARIABLE = "TOWNLET_{}"  # of a training option
_BOUNDS = ("gt", "ge", "lt", "le")


class Facts(NamedTuple):
    """What help and documentation say about a parameter beside its own sentence."""

    kind: type  # bool, int, float, str or Path; of a list that of its entries
    choices: tuple[str, ...]
    bounds: dict[str, float]  # by gt, ge, lt, le
    default: Any
    is_required: bool
    is_setting: bool  # of training, so that a file and a variable set it as well
    variable: str  # empty if none sets it


def facts_of(parameter: Any, command: Any) -> Facts:
    """Look at a parameter of a command, in its annotations and, for training, in the table of options."""
    hints = _hints(inspect.unwrap(command.callback)) if command.callback else {}
    kind = without_wrapping(hints.get(parameter.name, bool))
    setting = _settings().get(parameter.name) if takes_settings(command) else None
    if setting is None:
        bounds = {"ge": getattr(parameter, "min", None), "le": getattr(parameter, "max", None)}
        default = parameter.default
    else:
        bounds = {name: getattr(setting.__metadata__[0], name) for name in _BOUNDS}
        default = getattr(TrainingOptions, parameter.name)
    choices: tuple[str, ...] = ()
    if typing.get_origin(kind) is Literal:
        choices, kind = typing.get_args(kind), str
    elif issubclass(kind, Enum):
        choices, kind = tuple(choice.value for choice in kind), str
    return Facts(
        kind,
        choices,
        {name: bound for name, bound in bounds.items() if bound is not None},
        default.value if isinstance(default, Enum) else default,
        bool(parameter.required),
        setting is not None,
        VARIABLE.format(parameter.name.upper()) if setting else "",
    )


def takes_settings(command: Any) -> bool:
    """Whether a command takes every training option."""
    names = {parameter.name for parameter in command.params}
    return names.issuperset(_settings())


@cache
def _hints(function: Any) -> dict[str, Any]:
    return typing.get_type_hints(function)


@cache
def _settings() -> dict[str, Any]:
    return options_of(TrainingOptions)


def without_wrapping(hint: Any) -> Any:
    """Strip Annotated, `| None`, tuple and list from a type."""
    while (inner := typing.get_args(hint)) and typing.get_origin(hint) is not Literal:
        hint = next(kind for kind in inner if kind is not type(None))
    return hint


def is_switch(parameter: Any) -> bool:
    """Whether an option is on or off and takes no value."""
    return parameter.param_type_name == "option" and bool(parameter.is_flag)


def names_of(parameter: Any) -> list[str]:
    """List the names of an option, those that turn it off last; of an argument the one in its usage line."""
    if parameter.param_type_name == "option":
        return [*parameter.opts, *parameter.secondary_opts]
    return [parameter.metavar or parameter.name.upper() + ("..." if parameter.nargs != 1 else "")]
