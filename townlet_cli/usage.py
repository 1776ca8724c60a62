"""Messages for wrong values on the command line, in the words of scenario mistakes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from townlet_core.errors import did_you_mean

UsageError: Any = typer.BadParameter.__mro__[1]  # Typer keeps its own Click and does not export this one


def explain_usage(error: Any) -> str:
    """Return the message for a wrong option or value, with the nearest; other messages are Typer's."""
    if getattr(error, "option_name", None) and hasattr(error, "possibilities"):
        return f"{error.message}{did_you_mean(error.option_name, _options_of(error.ctx))}"
    parameter, value = getattr(error, "param", None), _given(error)
    if parameter is None or value is None or error.ctx is None:
        return str(error.format_message())
    from townlet_core.training.wording import wrong_value

    is_option = parameter.param_type_name == "option"
    shown = parameter.opts[0] if is_option else parameter.metavar or parameter.name.upper()
    name = parameter.opts[0].lstrip("-").replace("-", " ")
    return f"{shown}: {wrong_value(name, value, _annotation_of(parameter, error.ctx))}"


def elsewhere(group: Any, word: str) -> list[str]:
    """List the commands of this name in the groups below one, as they are typed."""
    groups = ((name, getattr(inner, "commands", ())) for name, inner in group.commands.items())
    return [f"{name} {word}" for name, commands in groups if word in commands]


def _options_of(context: Any) -> list[str]:
    """List the long options of a command, and of all commands."""
    commands = (context.command, context.find_root().command)
    names = [name for command in commands for parameter in command.params for name in parameter.opts]
    return [*(name for name in names if name.startswith("--")), "--help", "--help-all"]


def _given(error: Any) -> Any:
    """Return the refused value, if it is known."""
    find = getattr(error.__cause__, "errors", None)  # pydantic's, if it is the cause
    found = find() if find else []
    return found[0]["input"] if found else None


def _annotation_of(parameter: Any, context: Any) -> Any:
    """Return the type of a parameter with its limits."""
    from townlet_cli.parameters import facts_of

    facts = facts_of(parameter, context.command)
    if facts.choices:
        return Literal[facts.choices]
    if facts.kind not in (int, float):
        return facts.kind
    from pydantic import Field

    bounds: dict[str, Any] = facts.bounds
    return Annotated[facts.kind, Field(**bounds)]
