"""The options of `townlet train`, made from the table of training options, which needs no pydantic."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin

import typer

from townlet_core.ppo.options import PPOOptions, options_of
from townlet_core.training.options import TrainingOptions

ARGUMENT = "scenario"  # the one option that is given by its place


def takes_training_options(after: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a parameter for every training option, in the place of its **keywords.

    after: the training option behind which the command's own parameters stand. Options of PPO come last, as
    in the help. What is not given on the command line arrives as None.
    """

    def extend(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
        given = _parameters()
        place = next(i for i, parameter in enumerate(given, start=1) if parameter.name == after)
        every = [*given[:place], *own, *given[place:]]
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
        return command

    return extend


def _parameters() -> list[inspect.Parameter]:
    """Make a keyword parameter of every training option; those of PPO last."""
    types, of_ppo = options_of(TrainingOptions), options_of(PPOOptions)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(field.name, types[field.name], field.default),
        )
        for field in sorted(fields(TrainingOptions), key=lambda field: field.name in of_ppo)
    ]


def _annotation(name: str, annotation: Any, default: Any) -> Any:
    """Describe an option to Typer: what it takes, and its flags, help and panel."""
    kind, option = get_args(annotation)
    if name == ARGUMENT:
        return Annotated[kind | None, typer.Argument(help=option.help)]
    metavar = None
    if get_origin(kind) is UnionType:
        [kind] = [choice for choice in get_args(kind) if choice is not NoneType]
        if default is not None:  # so that null says something
            kind, metavar = str, f"{kind.__name__.upper()}|null"
    elif get_origin(kind) is tuple:
        kind = list[Path]
    flag = typer.Option(*option.flags, help=option.help, rich_help_panel=option.panel, metavar=metavar)
    return Annotated[kind | None, flag]
