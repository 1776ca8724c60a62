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
from pathlib import Path
from typing import Any, Literal

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from townlet_core.errors import count as count  # for the commands, which talk through this module


class Display:
    """What --color, --no-progress and --help-all say, and the words of the command that runs."""

    colour: Literal["auto", "always", "never"] = "auto"
    progress = True
    help_all = False
    command = "townlet"


class TownletConsole(Console):
    """A console without emoji codes, because a path may contain :100:, and with colour as people asked."""

    def __init__(self, stderr: bool = False) -> None:
        self.set_up(stderr)

    def set_up(self, stderr: bool) -> None:
        """Look at the streams, the environment and `Display` again."""
        system: Literal["standard", "auto"] | None = "auto" if is_coloured(stderr) else None
        if system and not is_terminal(stderr):
            system = "standard"  # Rich would find none
        # Rich's own NO_COLOR leaves bold letters, and its FORCE_COLOR makes a terminal of a pipe.
        super().__init__(
            stderr=stderr,
            highlight=False,
            soft_wrap=True,
            emoji=False,
            color_system=system,
            no_color=False,
            force_terminal=is_terminal(stderr),
        )


def is_terminal(stderr: bool = False) -> bool:
    """Whether a stream is a terminal that can move its cursor. TERM=dumb says that it cannot."""
    stream = sys.stderr if stderr else sys.stdout
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def is_coloured(stderr: bool = False, forced: bool = True) -> bool:
    """Whether to colour a stream: --color decides, then NO_COLOR, then FORCE_COLOR, then the terminal.

    forced: whether FORCE_COLOR counts. Help is read by programs in CI, where it is set for the messages.
    """
    if Display.colour != "auto":
        return Display.colour == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(forced and os.environ.get("FORCE_COLOR")) or is_terminal(stderr)


out, err = TownletConsole(), TownletConsole(stderr=True)

# C0 and C1 controls, line separators, bidi overrides, lone surrogates (undecodable bytes of file names):
# they could move the cursor, break a line, reorder text, or fail to print.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# ASCII for the characters of drawings, curves and tables.
_STAND_INS = {
    **dict(zip("·×–−░▁▂▃▄▅▆▇█", ".x---_.-:=+*#", strict=True)),
    "²": "^2",
    "…": "...",
    **dict(zip("↑→↓", "^>v", strict=True)),
    "∞": "inf",
    "γ": "gamma",
    "ε": "epsilon",
    "λ": "lambda",
}


class Verbosity:
    """Level of -q and -v: 0 quiet, 1 normal, 2 verbose. Set once, in the app's callback."""

    level = 1


def prepare_streams() -> None:
    """Let stdout and stderr write any text, whatever their encoding, and colour what is a terminal."""
    # They are None where the caller has closed them.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("townlet", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="townlet")
    set_up_consoles()


def set_up_consoles() -> None:
    """Let both consoles look at their streams, the environment and the options again."""
    out.set_up(stderr=False)
    err.set_up(stderr=True)


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


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout for machines, with its schema first."""
    sys.stdout.write(to_json(with_schema(value), orjson.OPT_INDENT_2) + "\n")


def with_schema(value: dict[str, Any]) -> dict[str, Any]:
    """Put what an object is before what it holds."""
    return {"schema": schema_name(), **value}


def schema_name() -> str:
    """Name what the running command prints as JSON: `townlet.replay.list/1`.

    The number rises when a key changes its meaning or is no longer there.
    """
    return f"{Display.command.replace(' ', '.')}/1"


def to_json(value: Any, option: int = 0) -> str:
    """Serialise for machines: UTF-8, or ASCII with escapes where stdout is something else."""
    if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8":
        try:
            return orjson.dumps(value, option=option | orjson.OPT_SERIALIZE_NUMPY).decode()
        except TypeError:  # half surrogates, which stand for bytes of a file name that are no text
            pass
    return json.dumps(value, indent=2 if option else None, default=lambda number: number.item())


def write_output(path: Path, data: bytes, written: str) -> None:
    """Write a file and say what was `written`; to stdout for `-`; compressed if its name ends in .gz.

    written: markup. What goes to stdout is not talked about there.
    """
    from townlet_core import inputs
    from townlet_core import io as disk

    if path == inputs.STDIN:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    disk.write_file(path, inputs.compress(data) if path.suffix == inputs.GZIP else data)
    out.print(written)


def print_or_write(text: str, output: Path | None, force: bool) -> None:
    """Print text, or write it to a file."""
    from townlet_core import inputs
    from townlet_core.io import refuse_existing

    if output is None or output == inputs.STDIN:
        sys.stdout.write(text)
        return
    refuse_existing(output, force)
    write_output(output, text.encode(), f"wrote {safe(output)}")


def table(title: str, *columns: str) -> Table:
    """Start a short table; the first column is left-aligned text, the others are figures."""
    result = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        result.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return result


def shows_progress() -> bool:
    """Whether bars may be drawn: on a terminal, without -q and --no-progress."""
    return Verbosity.level > 0 and Display.progress and is_terminal(stderr=True)


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
