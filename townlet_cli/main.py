"""The `townlet` command: global options, the error door, and where each subcommand lives."""

from __future__ import annotations

import enum
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer

import townlet_core
from townlet_cli.capture import capture
from townlet_cli.commands import adopt
from townlet_cli.compile import compile_command
from townlet_cli.completion import is_completing
from townlet_cli.config import config_app
from townlet_cli.console import (
    Display,
    TownletConsole,
    Verbosity,
    prepare_streams,
    print_json,
    safe,
    safe_lines,
    set_up_consoles,
    warn,
)
from townlet_cli.docs import docs
from townlet_cli.doctor import doctor
from townlet_cli.evaluate import evaluate
from townlet_cli.replay import replay_app
from townlet_cli.report import report
from townlet_cli.runs import runs_app
from townlet_cli.scenario import scenario_app
from townlet_cli.study import study
from townlet_cli.telemetry import telemetry_app
from townlet_cli.train import train
from townlet_cli.usage import UsageError, explain_usage
from townlet_core import __version__
from townlet_core.errors import (
    DISK_HINT,
    DiskError,
    InputError,
    ScenarioError,
    SettingsError,
    TownletError,
    TownletWarning,
)

GLOBAL_FLAGS = ("-q", "--quiet", "-v", "--verbose", "--debug", "--no-progress")
HERE, CORE = Path(__file__).parent, Path(townlet_core.__file__).parent
INTERRUPTED = 130  # Typer swallows Ctrl-C inside a command and returns this

app = typer.Typer(
    name="townlet",
    help="A small town of learning agents who queue, quarrel, work and remember.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help", "--help-all"]},
    pretty_exceptions_enable=False,
)
app.command()(capture)
app.command()(train)
app.command()(evaluate)
app.command()(study)
app.command()(report)
app.add_typer(config_app, name="config")
app.add_typer(scenario_app, name="scenario")
app.add_typer(replay_app, name="replay")
app.add_typer(telemetry_app, name="telemetry")
app.add_typer(runs_app, name="runs")
app.command("compile")(compile_command)
app.command()(doctor)
app.command()(docs)


class Colour(enum.StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


def _set_colour(wanted: Colour) -> Colour:
    """Set colour before anything else is done, so that it holds for help and for errors as well."""
    Display.colour = wanted.value
    set_up_consoles()
    return wanted


def _print_version(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    if context.params.get("as_json"):
        from townlet_cli.doctor import versions

        Display.command = "townlet version"
        print_json(versions())
    else:
        print(f"townlet {__version__}")
    raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print results, warnings and errors only.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", is_eager=True, help="With --version: print it and those of libraries as JSON."
        ),
    ] = False,
    color: Annotated[
        Colour,
        typer.Option(
            callback=_set_colour,
            is_eager=True,
            help="Colour the output; auto: on a terminal, without NO_COLOR and TERM=dumb.",
        ),
    ] = Colour.auto,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="Show no progress: neither bars nor lines per cycle.")
    ] = False,
) -> None:
    """Set the options that every command shares."""
    if as_json:
        raise InputError("--json belongs behind a command, or to --version", "townlet --help")
    Verbosity.level = 0 if quiet else 2 if verbose else 1
    Display.progress = not no_progress


adopt(app)


@cache
def root() -> Any:
    """Build the tree of commands, once."""
    return typer.main.get_command(app)


def run() -> None:
    """Run the app; turn every error into one line, one hint and the documented exit code."""
    Display.colour = "auto"
    prepare_streams()
    arguments = _globals_first(sys.argv[1:])
    Display.help_all = "--help-all" in arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, warnings.showwarning)
            code = root()(arguments, prog_name="townlet", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as left:
        if isinstance(left, SystemExit) and (left.code == 0 or is_completing()):
            raise
        # The reader left (`| head`); Rich turns that into SystemExit(1).
        _silence(sys.stdout)
        sys.exit(141)
    except (Exception, KeyboardInterrupt) as error:  # the last door: every error leaves through it
        if "--debug" in arguments:
            _try_to_print(safe_lines(traceback.format_exc()))
        # Only the mistakes of a scenario or of settings are several lines.
        _fail(*_describe(error), safe_lines if isinstance(error, ScenarioError | SettingsError) else safe)
    if code == INTERRUPTED:
        _fail("interrupted", "", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(
    otherwise: Callable[..., Any], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print our own warnings like those of commands; leave those of libraries to Python."""
    if issubclass(category, TownletWarning):
        warn(str(message))
    else:
        otherwise(message, category, *place)


def _describe(error: BaseException) -> tuple[str, str, int]:
    """Turn an error into its line, its hint and its exit code."""
    if isinstance(error, TownletError):
        return str(error), error.hint, error.exit_code
    if isinstance(error, UsageError):
        if not error.format_message():  # a group without a command, which has printed its help
            print()
        return explain_usage(error), f"{error.ctx.command_path if error.ctx else 'townlet'} --help", 2
    if isinstance(error.__cause__, EOFError):  # Typer takes it for a user who typed Ctrl-D
        error = error.__cause__
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted", "", INTERRUPTED
    # torch says it in a RuntimeError, on the CPU as on a GPU.
    if isinstance(error, MemoryError) or re.search("can't allocate memory|out of memory", str(error)):
        first = str(error).partition("\n")[0]
        return (
            f"not enough memory: {first}",
            "ask for fewer towns or ticks, or for a smaller --hidden-size",
            4,
        )
    if isinstance(error, OSError):  # it passed by townlet_core.io, which has its own words
        where = "the disk" if error.filename is None else os.fsdecode(error.filename)
        if error.filename is None and _was_met_here(error):
            where = "stdout"
            _silence(sys.stdout)
        return f"{where}: {error.strerror or error}", DISK_HINT, DiskError.exit_code
    bug = f"this is a bug in townlet: {type(error).__name__}: {' '.join(str(error).split())}"
    return bug, "run it again with --debug and send us the traceback", 70


def _was_met_here(error: OSError) -> bool:
    """Whether an error was raised by the command line, which only writes to streams, and not by the core."""
    rooms = [Path(frame.filename).parent for frame in traceback.extract_tb(error.__traceback__)]
    ours = [room for room in rooms if HERE in (room, *room.parents) or CORE in (room, *room.parents)]
    return ours[-1] == HERE


def _globals_first(arguments: list[str]) -> list[str]:
    """Move the options of every command to the front, so that they may stand anywhere on the line.

    What --version prints as JSON is asked for before it, wherever --json stands.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word == "--color":
            front += [word, *islice(words, 1)]
        else:
            (front if word in GLOBAL_FLAGS or word.startswith("--color=") else rest).append(word)
    if "--version" in rest:
        return [*front, *(["--json"] if "--json" in rest else []), "--version"]
    return front + rest + arguments[end:]


def _fail(message: str, hint: str, code: int, shown: Callable[[object], str] = safe) -> NoReturn:
    if message:
        _try_to_print(f"[red]error:[/red] {shown(message)}")
        if hint:
            _try_to_print(f"[cyan]hint:[/cyan] {safe(hint)}")
    sys.exit(code)


def _try_to_print(markup: str) -> None:
    """Print on stderr; the exit code stays correct if stderr is closed."""
    try:
        # A new console: one that a signal interrupted in the middle of a line may print it again, or nothing.
        TownletConsole(stderr=True).print(markup)
    except (OSError, SystemExit):
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Redirect a broken stream to the null device, so that the flush at exit is silent."""
    with suppress(io.UnsupportedOperation):  # one that writes into memory is left alone
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    run()
