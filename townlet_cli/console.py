"""Output of the command line: data on stdout, everything else on stderr, outside text escaped."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from townlet_core.errors import count as count  # for the commands, which talk through this module


def make_console(stderr: bool = False) -> Console:
    """Make a console without emoji codes: a path may contain :100:."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


out, err = make_console(), make_console(stderr=True)

# C0 and C1 controls, line separators, bidi overrides, lone surrogates (undecodable bytes of file names):
# they could move the cursor, break a line, reorder text, or fail to print.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# ASCII for the characters of drawings, curves and tables.
_STAND_INS = {
    **dict(zip("·×–−░▁▂▃▄▅▆▇█", ".x---_.-:=+*#", strict=True)),
    "²": "^2",
    "…": "...",
    "γ": "gamma",
    "ε": "epsilon",
    "λ": "lambda",
}


class Display:
    """What --no-progress says. Set once, in the app's callback."""

    progress = True


class Verbosity:
    """Level of -q and -v: 0 quiet, 1 normal, 2 verbose. Set once, in the app's callback."""

    level = 1


def prepare_streams() -> None:
    """Let stdout and stderr write any text, whatever their encoding."""
    # They are None where the caller has closed them.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("townlet", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="townlet")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that a stream cannot encode: ours by ASCII, others by escapes."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    shown = (_STAND_INS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in letters)
    return "".join(shown), error.end


def safe(text: object) -> str:
    """Escape control characters and markup of outside text, and keep it on one line."""
    return escape(plain(text))


def safe_lines(text: object) -> str:
    """Escape text of several lines."""
    return escape(plain_lines(text))


def plain(text: object) -> str:
    """Escape control characters, including line ends, of text that is printed without markup."""
    return _CONTROLS.sub(lambda match: match.group().encode("unicode_escape").decode(), str(text))


def plain_lines(text: object) -> str:
    """Escape line by line."""
    return "\n".join(map(plain, str(text).split("\n")))


def note(message: str) -> None:
    """Print progress on stderr, unless -q was given. `message` may contain markup; escape data first."""
    if Verbosity.level >= 1:
        err.print(message)


def detail(message: str) -> None:
    """Print details on stderr, with -v only."""
    if Verbosity.level >= 2:
        err.print(message)


def warn(message: str) -> None:
    """Warn on stderr, also with -q. `message` is plain text."""
    err.print(f"[yellow]warning:[/yellow] {safe(message)}")


def command(*words: object) -> str:
    """Quote a townlet command for the shell."""
    return shlex.join(("townlet", *map(str, words)))


def next_step(step: str) -> None:
    """Suggest the next command."""
    note(f"[dim]next:[/dim] {safe(step)}")


def print_json(value: Any) -> None:
    """Print one JSON object on stdout for machines."""
    sys.stdout.write(to_json(value, orjson.OPT_INDENT_2) + "\n")


def to_json(value: Any, option: int = 0) -> str:
    """Serialise for machines: UTF-8, or ASCII with escapes where stdout is something else."""
    if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8":
        try:
            return orjson.dumps(value, option=option | orjson.OPT_SERIALIZE_NUMPY).decode()
        except TypeError:  # half surrogates, which stand for bytes of a file name that are no text
            pass
    return json.dumps(value, indent=2 if option else None, default=lambda number: number.item())


def table(title: str, *columns: str) -> Table:
    """Start a short table; the first column is left-aligned text, the others are figures."""
    result = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        result.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return result


def shows_progress() -> bool:
    """Whether bars may be drawn: on a terminal, without -q and --no-progress."""
    # Not err.is_terminal: FORCE_COLOR makes that true in a pipe, where a bar is a page of control codes.
    return Verbosity.level > 0 and Display.progress and sys.stderr.isatty()


@contextmanager
def progress(what: str, total: int, unit: str = "", done: int = 0) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr for the length of a block, on a terminal only; yields a function to advance it.

    The function takes a number of steps, by default 1. unit: of what is counted, to show a rate. done: steps
    that were taken before.
    """
    if not shows_progress():
        yield lambda steps=1: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    left = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *left, TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task(safe(what), total=total, completed=done, rate="")

        def advance(steps: int = 1) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f} {unit}/s" if unit and speed else ""
            bar.update(task, advance=steps, rate=rate)

        yield advance
