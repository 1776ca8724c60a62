"""The `townlet` command: global options, the error door, and where each subcommand lives."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from townlet_cli.capture import capture
from townlet_cli.console import Verbosity, err, safe
from townlet_cli.replay import replay_app
from townlet_cli.scenario import scenario_app
from townlet_cli.telemetry import telemetry_app
from townlet_cli.train import train
from townlet_core import __version__
from townlet_core.errors import TownletError

GLOBAL_FLAGS = ("-q", "--quiet", "-v", "--verbose", "--debug")
UsageError: Any = typer.BadParameter.__mro__[1]  # Typer keeps its own Click and does not export this one

app = typer.Typer(
    name="townlet",
    help="A small town of learning agents who queue, quarrel, work and remember.",
    epilog="Start with: townlet capture queue_conflict",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command()(capture)
app.command()(train)
app.add_typer(scenario_app, name="scenario")
app.add_typer(replay_app, name="replay")
app.add_typer(telemetry_app, name="telemetry")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"townlet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only results, warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Set what every command shares."""
    Verbosity.level = 0 if quiet else 2 if verbose else 1


def run() -> None:
    """Run the app; turn every error into one line, one hint and the documented exit code."""
    arguments = _globals_first(sys.argv[1:])
    debug = "--debug" in arguments
    try:
        code = app(arguments, prog_name="townlet", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except BrokenPipeError:
        # The reader left (`| head`): point stdout at nothing, so that the exit flush stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", "", 130)
    except UsageError as error:
        message = error.format_message()
        if not message:  # a group without a command has printed its help already
            sys.exit(2)
        _fail(message, f"{error.ctx.command_path if error.ctx else 'townlet'} --help", 2)
    except TownletError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.hint, error.exit_code)
    except Exception as error:  # the last door: anything else is our bug, and must not look like a user's
        if debug:
            traceback.print_exc()
        _fail(
            f"this is a bug in townlet: {type(error).__name__}: {error}",
            "run it again with --debug and send us the traceback",
            70,
        )


def _globals_first(arguments: list[str]) -> list[str]:
    """Let -q, -v and --debug stand anywhere on the line, not only before the subcommand."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved = [a for a in arguments[:end] if a in GLOBAL_FLAGS]
    return moved + [a for a in arguments[:end] if a not in GLOBAL_FLAGS] + arguments[end:]


def _fail(message: str, hint: str, code: int) -> NoReturn:
    err.print(f"[red]error:[/red] {safe(message)}")
    if hint:
        err.print(f"[cyan]hint:[/cyan] {safe(hint)}")
    sys.exit(code)


if __name__ == "__main__":
    run()
