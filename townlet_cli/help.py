"""Help pages: usage, examples, the essential options, and the others under --help-all."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from townlet_cli.console import Display, is_coloured, out
from townlet_cli.examples import PAGES, Page
from townlet_cli.parameters import Facts, facts_of, is_switch, names_of

MAX_WIDTH = 100  # longer lines are hard to read
LEFT = 28  # columns of names, at most; longer names have a line of their own
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
BOUNDS = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}
ANYWHERE = "Options of every command, such as -q and -v: townlet --help"


class Row(NamedTuple):
    """One option, argument or command: its names on the left, what it does on the right."""

    names: str
    text: str
    facts: str = ""  # default, range, variable


def print_help(command: Any, context: Any) -> None:
    """Print the help page of a command or group on stdout."""
    width = min(out.width, MAX_WIDTH)
    console = Console(
        highlight=False,
        emoji=False,
        soft_wrap=True,
        color_system="standard" if is_coloured(forced=False) else None,
        no_color=False,
    )
    lines = Text("\n").join(help_lines(command, context, width))
    console.print(lines, end="")  # Typer ends the last line
    sys.stdout.flush()


def help_lines(command: Any, context: Any, width: int) -> Iterator[Text]:
    """Yield the lines of a help page, none wider than `width` but those of examples, which are pasted."""
    page = page_of(context)
    yield from _usage(command, context, width)
    yield Text()
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (Text(line) for line in textwrap.wrap(paragraph, width))
    yield from _section("Examples", [Text(f"  {example}") for example in page.examples])
    for heading, rows in _tables(command, context, page):
        left = min(LEFT, width // 2, max((len(row.names) for row in rows), default=0) + 4)
        yield from _section(heading, [line for row in rows for line in _row_lines(row, left, width)])
    yield Text()
    yield from (Text(line, "dim") for line in _footer(command, context, page, width))


def page_of(context: Any) -> Page:
    """Return what the table of pages has for a command; nothing for one that it lacks."""
    return PAGES.get(" ".join(context.command_path.split()[1:]), Page(()))


def _usage(command: Any, context: Any, width: int) -> Iterator[Text]:
    words = " ".join([context.command_path, *usage_words(command)])
    lines = textwrap.wrap(words, width - 7, break_on_hyphens=False)
    yield Text.assemble(("Usage:", "bold"), " ", lines[0])
    yield from (Text(f"       {line}") for line in lines[1:])


def usage_words(command: Any) -> list[str]:
    """List what follows a command's name in its usage line."""
    if hasattr(command, "commands"):
        return ["[OPTIONS]", "COMMAND", "..."]
    options = [p for p in command.params if p.param_type_name == "option" and p.required]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    return [
        "[OPTIONS]",
        *(f"{p.opts[0]} {metavar_of(p, facts_of(p, command))}" for p in options),
        *(names_of(p)[0] if p.required else f"[{names_of(p)[0]}]" for p in arguments),
    ]


def _section(heading: str, lines: Sequence[Text]) -> Iterator[Text]:
    if lines:
        yield Text()
        yield Text(f"{heading}:", "bold")
        yield from lines


def _tables(command: Any, context: Any, page: Page) -> Iterator[tuple[str, list[Row]]]:
    """Yield the headings of a page and their rows: commands, arguments, options."""
    if hasattr(command, "commands"):
        yield from _command_tables(command, page)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    yield "Arguments", [_row(parameter, command) for parameter in arguments]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    essential = [p for p in options if is_essential(p, page)]
    own = (
        [] if context.parent else [Row("-h, --help, --help-all", "Explain a command; with all its options.")]
    )
    yield "Options", [*(_row(parameter, command) for parameter in essential), *own]
    if Display.help_all:
        rest = [p for p in options if p not in essential]
        headings = dict.fromkeys(_heading(p, page) for p in rest)
        for heading in sorted(headings, key=_place_of(page)):
            yield heading, [_row(p, command) for p in rest if _heading(p, page) == heading]


def is_essential(parameter: Any, page: Page) -> bool:
    """Whether an option stands in the short help: it is listed, or all are, or the command needs it."""
    return page.essential is None or parameter.required or parameter.opts[0] in page.essential


def _heading(parameter: Any, page: Page) -> str:
    """Return the heading of an option that is not essential."""
    listed = (heading for heading, names in page.groups.items() if parameter.opts[0] in names)
    return next(listed, parameter.rich_help_panel or "More options")


def _place_of(page: Page) -> Any:
    order = [*page.groups]
    return lambda heading: order.index(heading) if heading in order else len(order)


def _command_tables(group: Any, page: Page) -> Iterator[tuple[str, list[Row]]]:
    shown = {name: command for name, command in group.commands.items() if not command.hidden}
    grouped = [name for names in page.groups.values() for name in names]
    rest = [name for name in shown if name not in grouped]
    for heading, names in {**page.groups, ("More" if grouped else "Commands"): rest}.items():
        yield heading, [Row(name, _first_sentence(shown[name])) for name in names if name in shown]


def _first_sentence(command: Any) -> str:
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def _row(parameter: Any, command: Any) -> Row:
    facts = facts_of(parameter, command)
    names = names_of(parameter)
    if parameter.param_type_name == "option":
        names = sorted(names, key=lambda name: name.startswith("--"))  # -o before --output
    text = ", ".join(names)
    if parameter.param_type_name == "option" and not is_switch(parameter):
        text += f" {metavar_of(parameter, facts)}"
    return Row(text, parameter.help or "", facts_text(parameter, facts))


def metavar_of(parameter: Any, facts: Facts) -> str:
    """Return what stands for the value of an option."""
    return parameter.metavar or "|".join(facts.choices) or METAVARS[facts.kind]


def facts_text(parameter: Any, facts: Facts) -> str:
    """Say default, range and variable of a parameter, as far as its own sentence does not."""
    default = "" if "y default" in (parameter.help or "") else _default_text(parameter, facts)
    parts = (
        "required" if facts.is_required else default and f"default: {default}",
        facts.bounds and f"range: {bounds_text(facts.bounds)}",
        facts.variable and f"env: {facts.variable}",
    )
    said = "; ".join(part for part in parts if part)
    return f"[{said}]" if said else ""


def _default_text(parameter: Any, facts: Facts) -> str:
    if isinstance(facts.default, bool) or is_switch(parameter):
        return ("on" if facts.default else "off") if parameter.secondary_opts or facts.is_setting else ""
    return "none" if facts.default in (None, ()) else str(facts.default)


def bounds_text(bounds: dict[str, float]) -> str:
    """Say a range in words: `1 to 10`, `above 0, at most 1`."""
    if set(bounds) == {"ge", "le"}:
        return f"{_number(bounds['ge'])} to {_number(bounds['le'])}"
    return ", ".join(BOUNDS[name].format(_number(bound)) for name, bound in bounds.items())


def _number(bound: float) -> str:
    return {2**63: "2^63", 2**63 - 1: "2^63 - 1"}.get(int(bound)) or f"{bound:,}"


def _row_lines(row: Row, left: int, width: int) -> Iterator[Text]:
    """Lay a row out: names, then its text beside them or, where they are long, below."""
    right = max(width - left, 20)
    text = f"{row.text} {row.facts}".strip()
    lines = textwrap.wrap(text, right, break_on_hyphens=False, break_long_words=False)
    names = _name_lines(row.names, width - 2)
    if len(names) == 1 and len(names[0]) + 4 <= left:
        yield Text.assemble("  ", (names[0].ljust(left - 2), "cyan"), *lines[:1])
        lines = lines[1:]
    else:
        yield from (Text.assemble("  ", (name, "cyan")) for name in names)
    yield from (Text(" " * left + line) for line in lines)


def _name_lines(names: str, width: int) -> list[str]:
    """Break names between options only: a name that is cut helps nobody."""
    if len(names) <= width:
        return [names]
    first, *rest = names.split(", ")
    return [f"{name}," for name in [first, *rest[:-1]]] + rest[-1:] if rest else [first]


def _footer(command: Any, context: Any, page: Page, width: int) -> Iterator[str]:
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    hidden = [p for p in options if not is_essential(p, page)]
    if hidden and not Display.help_all:
        yield from textwrap.wrap(
            f"{len(hidden)} more options: {context.command_path} --help-all", width, break_on_hyphens=False
        )
    if hasattr(command, "commands"):
        yield from textwrap.wrap(
            f"Help on one: {context.command_path} COMMAND --help", width, break_on_hyphens=False
        )
    else:
        yield from textwrap.wrap(ANYWHERE, width, break_on_hyphens=False)
