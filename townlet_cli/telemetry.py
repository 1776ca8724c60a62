"""`townlet telemetry`: the group, and its commands that summarise and validate a log."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.console import (
    command,
    count,
    next_step,
    plain,
    plain_lines,
    print_json,
    print_or_write,
    schema_name,
    to_json,
    warn,
)
from townlet_cli.telemetry_export import export
from townlet_cli.telemetry_options import JsonOption, LogArgument, find_log
from townlet_cli.telemetry_rules import print_rules
from townlet_cli.telemetry_watch import watch
from townlet_core.errors import CheckFailed, InputError, TownletError

if TYPE_CHECKING:
    from townlet_core.telemetry.validate import LogCheck

telemetry_app = typer.Typer(
    help="Watch, summarise and validate training logs.",
    no_args_is_help=True,
)
telemetry_app.command()(watch)
telemetry_app.command("rules")(print_rules)
telemetry_app.command()(export)


class Format(enum.StrEnum):
    """Output format of `summary`."""

    text = "text"
    markdown = "markdown"
    json = "json"


@telemetry_app.command()
def summary(
    log: LogArgument,
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.text,
    as_json: JsonOption = False,
    baseline: Annotated[
        Path | None, typer.Option(help="Baseline of the drift: a log, or one record as JSON.")
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, max=1_000_000_000, help="Only the last N records.")
    ] = None,
) -> None:
    """Summarise a log by data mode: curves, trends, extremes with their epochs, events, drift."""
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.summary import summarise, summary_json
    from townlet_core.telemetry.summary_text import summary_markdown, summary_text

    result = summarise(find_log(log), find_log(baseline) if baseline else None, last, warn)
    if result.damaged:
        lines = count(result.damaged, "damaged line")
        warn(f"{result.path}: {lines} left out; {command('telemetry', 'validate', log)} lists them")
    if baseline and not result.drifts:
        warn(f"{result.path}: has no field in common with {baseline}, so there is no drift to tell")
    if as_json or form is Format.json:
        print_json(summary_json(result))
    elif form is Format.markdown:
        sys.stdout.write(summary_markdown(result))
    else:
        sys.stdout.write(plain_lines(summary_text(result)))
        if not is_stream(log):
            next_step(command("report", _run_of(log), "-o", "report.html"))


def _run_of(log: Path) -> Path:
    """Return the run directory that a log lies in; the log itself where it lies elsewhere."""
    from townlet_core.io import kind_of
    from townlet_core.telemetry.segments import RUN_FILE

    return log.parent if kind_of(log.parent / RUN_FILE) == "file" else log


@telemetry_app.command()
def validate(
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG...", help="Telemetry logs, run folders, or - for stdin.")
    ],
    baseline: Annotated[
        Path | None, typer.Option(help="Baseline of the drift: a log, or one record as JSON.")
    ] = None,
    drift_threshold: Annotated[
        float | None, typer.Option(help="Report a field whose mean drifts by more than this.")
    ] = None,
    relative: Annotated[bool, typer.Option("--relative", help="Drift is relative to the baseline.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Report every problem of every line; exit 1 if there is one."""
    from townlet_core.telemetry.drift import load_baseline
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.validate import LogCheck

    if baseline is None and (drift_threshold is not None or relative):
        raise InputError("--drift-threshold and --relative compare with a baseline", "add --baseline FILE")
    if drift_threshold is not None and not 0 <= drift_threshold < float("inf"):
        raise InputError(f"--drift-threshold {drift_threshold}: expected 0 or more", "such as 0.2")
    base = load_baseline(find_log(baseline)) if baseline else None
    checks = [LogCheck(find_log(log), base, drift_threshold, relative) for log in logs]
    found = _print_check_json(checks) if as_json else _print_check(checks)
    if found:
        raise CheckFailed(
            count(found, "problem"), "townlet docs telemetry#fields says what each field must hold"
        )
    if not is_stream(logs[0]):
        next_step(command("telemetry", "summary", logs[0]))


@telemetry_app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option(help="File to write to, also .gz; by default stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Print the JSON Schema of a telemetry record, for editors, other languages and pipelines."""
    from townlet_core.telemetry.schema import telemetry_schema

    print_or_write(json.dumps(telemetry_schema(), indent=2) + "\n", output, force)


def _print_check(checks: list[LogCheck]) -> int:
    """Print problems as they are found, then a line per log, then the drift; return how many there were."""
    from townlet_core.telemetry.summary import one_line

    found = 0
    for check in checks:
        for problem in check.problems():
            if found == 0:
                print(f"{'place':40}  {'field':28}  problem")
            place = f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path
            print(plain(f"{place:40}  {one_line(problem.field) or '-':28}  {one_line(problem.problem)}"))
            found += 1
    for check in checks:
        print(plain(f"{check.path}: {count(check.records, 'record')}, {count(check.found, 'problem')}"))
    for check in checks:
        _print_drifts(check)
    return found


def _print_drifts(check: LogCheck) -> None:
    from townlet_core.telemetry.summary_text import drift_table
    from townlet_core.telemetry.tables import text_of

    if check.drifts:
        table = drift_table(f"Drift of {plain(check.path)} from the baseline", check.drifts)
        print(plain_lines(f"\n{table.title}\n{text_of(table)}"))


def _print_check_json(checks: list[LogCheck]) -> int:
    """Print one JSON object, its problems as they are found; return how many there were.

    Where a log cannot be read to its end, the object has the `error` in the place of `logs`.
    """
    found = 0
    sys.stdout.write(f'{{"schema": "{schema_name()}", "problems": [')
    try:
        for check in checks:
            for problem in check.problems():
                sys.stdout.write(",\n" if found else "\n")
                sys.stdout.write(to_json(problem._asdict()))
                found += 1
    except TownletError as error:
        sys.stdout.write(f'],\n"error": {to_json(str(error))}}}\n')
        raise
    logs = [
        {
            "path": str(check.path),
            "records": check.records,
            "problems": check.found,
            "drift": [drift._asdict() for drift in check.drifts],
        }
        for check in checks
    ]
    sys.stdout.write(f'],\n"logs": {to_json(logs)}}}\n')
    return found
