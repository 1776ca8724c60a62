"""`townlet telemetry watch`: show logs as they are, or as they grow, and evaluate alert rules on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.alert_options import BUNDLED, AlertOption, RulesOption, choose_rules
from townlet_cli.console import command, count, is_terminal, next_step
from townlet_cli.telemetry_options import JsonOption, find_log
from townlet_core.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from townlet_core.telemetry.watch import Watch


def watch(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...", help="Telemetry logs with their rotated segments, run folders, or - for stdin."
        ),
    ],
    follow: Annotated[bool, typer.Option("--follow", help="Keep watching for new records.")] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Show these fields, such as 'loss_*'; may be repeated."),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="start|end|EPOCH", help="First record to show and to judge.")
    ] = "start",
    alert: AlertOption = None,
    rules: RulesOption = None,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit 1 if a rule triggers; with --follow, at once.")
    ] = False,
    stale_after: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Exit 4 after so long without a record, such as 60s or 5m."),
    ] = None,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="Follow until the run ends; exit 4 if it failed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show logs: a dashboard on a terminal, one line per record in a pipe, NDJSON with --json."""
    from townlet_cli.telemetry_session import Ends, Session
    from townlet_cli.telemetry_view import Dashboard, Lines
    from townlet_core.telemetry.board import Board
    from townlet_core.telemetry.pace import parse_duration
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.watch import END, Watch, choose_metrics, parse_start

    wanted = choose_rules(alert, rules)
    if fail_on_alert and not (wanted.own or rules == BUNDLED):
        raise InputError(
            "--fail-on-alert has no rule to fail on",
            "add --alert 'kl_divergence > 0.2', --rules FILE or --rules bundled",
        )
    metrics, first = choose_metrics(metric or []), parse_start(start)
    follow = follow or exit_when_done
    if first == END and not follow:
        raise InputError("--from end shows what comes, and without --follow nothing does", "add --follow")
    seconds = parse_duration(stale_after, "--stale-after") if stale_after else None
    epoch = first if isinstance(first, int) else None
    _refuse_twice(logs)
    found = logs if follow else [find_log(log) for log in logs]
    watches = [Watch(path, wanted.own, wanted.bundled, epoch) for path in found]
    boards = [Board(str(log), one, metrics) for log, one in zip(logs, watches, strict=True)]
    if is_terminal() and not as_json:
        view: Dashboard | Lines = Dashboard(boards)
    else:
        view = Lines(boards, as_json, metrics if metric else None)
    ends = Ends(fail_on_alert and follow, exit_when_done, seconds)
    session = Session(boards, found if follow else logs, view, ends, first == END)
    # A pipe is shown as it comes, also without --follow: it ends by itself.
    if follow or any(map(is_stream, found)):
        session.follow()
    else:
        session.show()
    if fail_on_alert:
        _judge(watches, logs)
    if not is_stream(watches[0].path):
        next_step(command("telemetry", "summary", logs[0]))


def _refuse_twice(logs: list[Path]) -> None:
    """Refuse a log that was given twice: of a pipe, each would get a part."""
    twice = next((log for n, log in enumerate(logs) if log in logs[:n]), None)
    if twice is not None:
        raise InputError(f"{twice}: is given twice", "give each log once")


def _judge(watches: list[Watch], logs: list[Path]) -> None:
    """Raise CheckFailed where a rule tripped, or where not everything was looked at."""
    for watch, log in zip(watches, logs, strict=True):
        if watch.alerts:
            raise CheckFailed(
                f"{watch.path}: {count(watch.alerts, 'alert')}", command("telemetry", "summary", log)
            )
    for watch, log in zip(watches, logs, strict=True):
        if reasons := watch.not_seen():
            what = f"{watch.path}: no alert, but not everything was looked at: {'; '.join(reasons)}"
            raise CheckFailed(what, command("telemetry", "validate", log))
