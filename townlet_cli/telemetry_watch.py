"""`townlet telemetry watch`: show a log as it is, or as it grows, and evaluate alert rules on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from townlet_cli.console import command, count, next_step, note, safe
from townlet_cli.telemetry_options import JsonOption, LogArgument, find_log
from townlet_cli.waiting import wait_for_more
from townlet_core.errors import CheckFailed, InputError


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
    from townlet_core.telemetry.alerts import load_alert_rules, parse_alert_rule
    from townlet_core.telemetry.segments import is_stream
    from townlet_core.telemetry.watch import Watch

    wanted = [parse_alert_rule(text) for text in alert or []] + (load_alert_rules(rules) if rules else [])
    if fail_on_alert and not wanted:
        raise InputError(
            "--fail-on-alert has no rule to fail on", "add --alert 'kl_divergence > 0.2' or --rules"
        )
    seen = Watch(_wait_for_log(log) if follow else find_log(log), wanted)
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


def _wait_for_log(path: Path) -> Path:
    """Wait for the log, with a note on stderr, and return it."""
    from townlet_core.telemetry.segments import find_log as log_of
    from townlet_core.telemetry.segments import is_there

    told = ""
    while (found := log_of(path)) is None or not is_there(found):
        if told != str(found or path):
            told = str(found or path)
            note(f"waiting for {safe(told)}")
        wait_for_more()
    return find_log(path)
