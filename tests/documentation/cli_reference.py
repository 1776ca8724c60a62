"""Describe every command as a table, from the app itself, for docs/cli.md."""

import inspect
import typing
from enum import Enum
from pathlib import Path

import typer

from townlet_cli.main import app
from townlet_core.ppo.options import options_of
from townlet_core.training.options import TrainingOptions

BEGIN = "<!-- From here on, the page is made by: make docs -->\n"
ANYWHERE = """\
`-q`, `-v`, `--debug` and `--no-progress` may stand anywhere on the line. `-h` or `--help` after any command
explains it."""
WORDS = {int: "whole number", float: "number", str: "text", Path: "path"}
BOUNDS = {"gt": ">", "ge": "≥", "le": "≤", "lt": "<"}


def with_commands(page):
    """Return docs/cli.md with its generated part as the app has it now."""
    kept, begin, _ = page.partition(BEGIN)
    return kept + begin + reference()


def reference():
    """Describe the global options and every command."""
    root = typer.main.get_command(app)
    parts = [f"\n## Global options\n\n{ANYWHERE}\n\n{_table(root, {})}"]
    for words, command in walk(root, ("townlet",)):
        options = options_of(TrainingOptions) if words[1:] in (("train",), ("config", "show")) else {}
        left_out = tuple(options) if words[-1] == "show" else ()
        also = "\n\nIt also takes every setting of `townlet train`." if left_out else ""
        table = _table(command, options, left_out)
        parts.append(f"## {' '.join(words)}\n\n{command.help.strip()}{also}\n\n{table}")
    return "\n".join(parts)


def walk(group, words):
    """Yield (words, command) for every command that is not a group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk(command, (*words, name))
        else:
            yield (*words, name), command


def _table(command, options, left_out=()):
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    rows = ["| | value | default | |", "| --- | --- | --- | --- |"]
    for parameter in command.params:
        option = options.get(parameter.name)
        if parameter.name in left_out:
            continue
        cells = (
            _names(parameter),
            _value(parameter, hints[parameter.name], option),
            _default(parameter, option),
            parameter.help,
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _names(parameter):
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    return " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _value(parameter, hint, option):
    """Say what may be given: choices, or a kind of value with its bounds; nothing for a switch."""
    kind = _without_wrapping(hint)
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    if kind is bool:
        return ""
    if issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    bounds = {"ge": parameter.min, "le": parameter.max}
    if option is not None:
        bounds = {name: getattr(option.__metadata__[0], name) for name in BOUNDS}
    said = [f"{BOUNDS[name]} {_number(bound)}" for name, bound in bounds.items() if bound is not None]
    word = "number or `null`" if parameter.metavar == "FLOAT|null" else WORDS[kind]
    return " ".join([word, ", ".join(said)]).strip()


def _number(bound):
    return {2**63: "2⁶³", 2**63 - 1: "2⁶³ − 1"}.get(bound) or f"{bound:,}"


def _without_wrapping(hint):
    """Strip Annotated, `| None` and list from a type."""
    while (inner := typing.get_args(hint)) and typing.get_origin(hint) is not typing.Literal:
        hint = inner[0]
    return hint


def _default(parameter, option):
    if parameter.required:
        return "required"
    default = parameter.default if option is None else getattr(TrainingOptions, parameter.name)
    if isinstance(default, bool):
        return "on" if default else "off" if parameter.secondary_opts else ""
    if default is None or default == ():
        return ""
    return f"`{default.value if isinstance(default, Enum) else default}`"
