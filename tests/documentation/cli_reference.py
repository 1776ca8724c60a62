"""Describe every command as a table, from the app itself, for docs/cli.md."""

from pathlib import Path

import typer

from townlet_cli.examples import PAGES, Page
from townlet_cli.main import app
from townlet_cli.parameters import facts_of, is_switch, names_of

BEGIN = "<!-- From here on, the page is made by: make docs -->\n"
ANYWHERE = """\
They may stand anywhere on the line. `-h` or `--help` after any command explains it, `--help-all` with all its
options.
"""
WORDS = {int: "whole number", float: "number", str: "text", Path: "path"}
BOUNDS = {"gt": ">", "ge": "≥", "le": "≤", "lt": "<"}


def with_commands(page):
    """Return docs/cli.md with its generated part as the app has it now."""
    kept, begin, _ = page.partition(BEGIN)
    return kept + begin + reference()


def reference():
    """Describe the global options and every command."""
    root = typer.main.get_command(app)
    parts = [f"\n## Global options\n\n{ANYWHERE}\n{_table(root)}"]
    for words, command in walk(root, ("townlet",)):
        examples = "\n".join(PAGES.get(" ".join(words[1:]), Page(())).examples)
        is_settings = words[1:] == ("config", "show")  # which stand in the table of train
        also = "\n\nIt also takes every setting of `townlet train`." if is_settings else ""
        text = f"{command.help.strip()}{also}\n\n```sh\n{examples}\n```"
        parts.append(f"## {' '.join(words)}\n\n{text}\n\n{_table(command, is_settings)}")
    return "\n".join(parts)


def walk(group, words):
    """Yield (words, command) for every command that is not a group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk(command, (*words, name))
        else:
            yield (*words, name), command


def _table(command, without_settings=False):
    rows = ["| | value | default | |", "| --- | --- | --- | --- |"]
    for parameter in command.params:
        facts = facts_of(parameter, command)
        if without_settings and facts.is_setting:
            continue
        cells = (
            _names(parameter),
            "" if is_switch(parameter) else _value(parameter, facts),
            _default(parameter, facts),
            parameter.help,
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _names(parameter):
    if parameter.param_type_name == "argument":
        return names_of(parameter)[0]
    return " ".join(f"`{name}`" for name in names_of(parameter))


def _value(parameter, facts):
    """Say what may be given: choices, or a kind of value with its bounds."""
    if facts.choices:
        return ", ".join(f"`{choice}`" for choice in facts.choices)
    said = [f"{BOUNDS[name]} {_number(bound)}" for name, bound in facts.bounds.items()]
    word = "number or `null`" if parameter.metavar == "FLOAT|null" else WORDS[facts.kind]
    return " ".join([word, ", ".join(said)]).strip()


def _number(bound):
    return {2**63: "2⁶³", 2**63 - 1: "2⁶³ − 1"}.get(bound) or f"{bound:,}"


def _default(parameter, facts):
    if facts.is_required:
        return "required"
    if isinstance(facts.default, bool) or is_switch(parameter):
        return "on" if facts.default else "off" if parameter.secondary_opts else ""
    return "" if facts.default in (None, ()) else f"`{facts.default}`"
