"""`townlet telemetry`: watch a training log, sum it up, hold it to its contract."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.console import (
    command,
    count,
    next_step,
    note,
    plain,
    plain_lines,
    print_json,
    safe,
    to_json,
    warn,
)
from townlet_cli.waiting import wait_for_more
from townlet_core.errors import CheckFailed, InputError, TownletError

if TYPE_CHECKING:
    from townlet_core.telemetry.validate import LogCheck

telemetry_app = typer.Typer(
    help="Watch, summarise and validate training logs.",
    epilog="Start with: townlet telemetry watch runs/RUN/telemetry.jsonl",
    no_args_is_help=True,
)

LogArgument = Annotated[
    Path,
    typer.Argument(
        metavar="LOG", help="A telemetry log with its rotated segments, a run folder, or - for stdin."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class Format(enum.StrEnum):
    """Output format of `summary`."""

    text = "text"
    markdown = "markdown"
    json = "json"
    html = "html"


@telemetry_app.command()
def watch(
    log: LogArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Keep watching for new records.")] = False,
    alert: Annotated[
        list[str] | None,
        typer.Option(help="Rule, such as 'kl_divergence > 0.2 for 3 in rollout'; may be repeated."),
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="YAML or JSON list of alert rules.")] = None,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit 1 if a rule triggers; with --follow, at once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a log: a dashboard on a terminal, one line per record in a pipe, NDJSON with --json."""
    from townlet_cli.telemetry_view import print_records, show_dashboard
    from townlet_core.telemetry.alerts import load_rules, parse_rule
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.watch import Watch

    wanted = [parse_rule(text) for text in alert or []] + (load_rules(rules) if rules else [])
    if fail_on_alert and not wanted:
        raise InputError(
            "--fail-on-alert has no rule to fail on", "add --alert 'kl_divergence > 0.2' or --rules"
        )
    seen = Watch(_wait_for_log(log) if follow else _find_log(log), wanted)
    # A pipe is shown as it comes, also without --follow: it ends by itself.
    wait = wait_for_more if follow or is_stream(seen.path) else None
    stop = fail_on_alert and follow
    if sys.stdout.isatty() and not as_json:
        show_dashboard(seen, wait, stop)
    else:
        print_records(seen, wait, stop, as_json)
    if fail_on_alert and seen.alerts:
        raise CheckFailed(f"{seen.path}: {count(seen.alerts, 'alert')}", command("telemetry", "summary", log))
    if fail_on_alert and (reasons := seen.not_seen()):
        what = f"{seen.path}: no alert, but not everything was looked at: {'; '.join(reasons)}"
        raise CheckFailed(what, command("telemetry", "validate", log))
    if not is_stream(seen.path):
        next_step(command("telemetry", "summary", log))


def _find_log(path: Path) -> Path:
    """Return the log that a path names; of a run folder, the run's. Raises InputError for another folder."""
    from townlet_core.telemetry.segments import descriptor_of, find_log, is_stream

    found = find_log(path)
    if found is None:
        raise InputError(
            f"{path}: is a folder without a run, expected a log or a run folder", "try one in it"
        )
    if is_stream(found) and descriptor_of(found) is None:
        note(f"waiting for a writer of {safe(found)}")
    return found


def _wait_for_log(path: Path) -> Path:
    """Wait for the log, with a note on stderr, and return it."""
    from townlet_core.telemetry.segments import find_log, is_there

    told = ""
    while (found := find_log(path)) is None or not is_there(found):
        if told != str(found or path):
            told = str(found or path)
            note(f"waiting for {safe(told)}")
        wait_for_more()
    return _find_log(path)


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
    """Summarise a log: latest values, extremes with their epochs, events by data mode, drift."""
    from townlet_core.telemetry.page import summary_page
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.summary import summarise, summary_json, summary_markdown, summary_text

    result = summarise(_find_log(log), _find_log(baseline) if baseline else None, last, warn)
    if result.damaged:
        lines = count(result.damaged, "damaged line")
        warn(f"{result.path}: {lines} left out; {command('telemetry', 'validate', log)} lists them")
    if baseline and not result.drifts:
        warn(f"{result.path}: has no field in common with {baseline}, so there is no drift to tell")
    if as_json or form is Format.json:
        print_json(summary_json(result))
    elif form is Format.markdown:
        sys.stdout.write(summary_markdown(result))
    elif form is Format.html:
        sys.stdout.write(summary_page(result))
    else:
        sys.stdout.write(plain_lines(summary_text(result)))
        if not is_stream(log):
            next_step(command("telemetry", "summary", log, "--format", "html") + " > summary.html")


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
    base = load_baseline(_find_log(baseline)) if baseline else None
    checks = [LogCheck(_find_log(log), base, drift_threshold, relative) for log in logs]
    found = _print_check_json(checks) if as_json else _print_check(checks)
    if found:
        raise CheckFailed(count(found, "problem"), "docs/telemetry.md says what each field must hold")
    if not is_stream(logs[0]):
        next_step(command("telemetry", "summary", logs[0]))


def _print_check(checks: list[LogCheck]) -> int:
    """Print problems as they are found, then a line per log, then the drift; return how many there were."""
    from townlet_core.telemetry.summary import one_line

    found = 0
    for check in checks:
        for problem in check.problems():
            if found == 0:
                print(f"{'place':40}  {'field':28}  problem")
            place = f"{problem.path}:{problem.line}" if problem.line else problem.path
            print(plain(f"{place:40}  {one_line(problem.field) or '-':28}  {one_line(problem.problem)}"))
            found += 1
    for check in checks:
        print(plain(f"{check.path}: {count(check.records, 'record')}, {count(check.found, 'problem')}"))
    for check in checks:
        _print_drifts(check)
    return found


def _print_drifts(check: LogCheck) -> None:
    from townlet_core.telemetry.summary import align, drift_table

    if check.drifts:
        print(
            plain_lines(
                f"\nDrift of {plain(check.path)} from the baseline\n{align(*drift_table(check.drifts))}"
            )
        )


def _print_check_json(checks: list[LogCheck]) -> int:
    """Print one JSON object, its problems as they are found; return how many there were.

    Where a log cannot be read to its end, the object has the `error` in the place of `logs`.
    """
    found = 0
    sys.stdout.write('{"problems": [')
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
