"""`townlet runs compare | prune`: how runs differ, and which are old."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, note, out, print_json, safe, table, warn
from townlet_cli.pruning_options import DryRun, Keep, MaxBytes, OlderThan, Yes, pruning_rules
from townlet_cli.replay_upkeep import age
from townlet_cli.runs_scores import print_scores, read_scores, scores_json
from townlet_cli.runs_tables import Folders, Json, Status, described, figure, folders_of, short, value_text

if TYPE_CHECKING:
    from townlet_core.runs.compare import Comparison
    from townlet_core.runs.prune import Plan
    from townlet_core.runs.reading import Run


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Two or more run directories.")],
    json: Json = False,
) -> None:
    """Compare runs: the settings that differ, how they ended, and scores over seeds with intervals."""
    from townlet_core.runs.compare import UNKNOWN, compare_runs
    from townlet_core.runs.finding import disk_use
    from townlet_core.runs.reading import read_run_folder
    from townlet_core.runs.scores import compare_scores

    found = compare_runs([read_run_folder(run) for run in runs])
    for problem in (problem for run in found.runs for problem in run.problems):
        warn(problem)
    scores = compare_scores(*read_scores(found.runs))
    if not json:
        _print_comparison(found)
        print_scores(scores)
        next_step(command("runs", "show", found.runs[0].folder))
        return
    runs_described = [described(run, disk_use(run.folder)) for run in found.runs]
    differences = {
        kind: [
            {"name": one.name, "values": [None if value is UNKNOWN else value for value in one.values]}
            for one in rows
        ]
        for kind, rows in (("settings", found.settings), ("context", found.context))
    }
    print_json({"runs": runs_described, **differences, "equal_settings": found.equal, **scores_json(scores)})


def _print_comparison(found: Comparison) -> None:
    numbers = [str(number) for number in range(1, len(found.runs) + 1)]
    for number, run in zip(numbers, found.runs, strict=True):
        out.print(f"[bold]{number}[/bold]  {safe(run.folder)}")
    rows = table("", "", *numbers)
    for title, differences in (
        ("Settings that differ", found.settings),
        ("Context that differs", found.context),
    ):
        if differences:
            rows.add_row(f"[bold]{title}[/bold]")
        for one in differences:
            rows.add_row(safe(one.name), *(safe(value_text(value)) for value in one.values))
    rows.add_row("[bold]Results[/bold]")
    for name, values in _results(found.runs):
        rows.add_row(name, *map(safe, values))
    out.print(rows)
    out.print(f"{count(found.equal, 'equal setting')}")


def _results(runs: tuple[Run, ...]) -> list[tuple[str, list[str]]]:
    rows = [
        ("status", [run.status for run in runs]),
        ("cycles", [f"{run.cycles_done}/{run.cycles}" for run in runs]),
        ("environment steps", [short(run.env_steps) for run in runs]),
        ("best mean reward", [figure(run.best_reward) for run in runs]),
        ("best evaluated return", [figure(run.best_return) for run in runs]),
        ("best after cycle", ["–" if not run.best else str(run.best.cycle) for run in runs]),
    ]
    return [(name, values) for name, values in rows if any(value != "–" for value in values)]


def prune(
    folders: Folders = None,
    keep: Keep = None,
    older_than: OlderThan = None,
    max_bytes: MaxBytes = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="Remove only runs of this status; may be repeated.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """List the old runs below folders, and with --yes remove them; running ones stay."""
    from townlet_core.runs.prune import plan_prune
    from townlet_core.runs.prune import prune as remove

    rules = pruning_rules(keep, older_than, max_bytes, yes, dry_run)
    now = time.time()
    plan = plan_prune(folders_of(folders), rules, [str(one) for one in status or []], now)
    kept = {folder: reason for folder, reason in remove(plan) if reason} if yes else {}
    if json:
        print_json(_plan(plan, yes, kept))
        return
    for path, reason in plan.skipped:
        note(f"not touched: {safe(path)}: {safe(reason.removeprefix(f'{path}: '))}")
    for path, reason in kept.items():
        warn(f"{path}: not removed: {reason.removeprefix(f'{path}: ')}")
    _print_plan(plan, yes, kept, now)


def _plan(plan: Plan, yes: bool, kept: dict[Path, str]) -> dict[str, Any]:
    skipped = [*plan.skipped, *kept.items()]
    return {
        "removed": yes,
        "going": [described(one.run, one.disk) for one in plan.going if one.run.folder not in kept],
        "remains": [str(folder) for folder in plan.remains if folder not in kept],
        "staying": [described(one.run, one.disk) for one in plan.staying],
        "not_touched": [{"run": str(path), "reason": reason} for path, reason in skipped],
    }


def _print_plan(plan: Plan, yes: bool, kept: dict[Path, str], now: float) -> None:
    going = [one for one in plan.going if one.run.folder not in kept]
    remains = [folder for folder in plan.remains if folder not in kept]
    rows = table("Removed" if yes else "Would be removed", "run", "status", "cycles", "MB", "age")
    rows.columns[1].justify = "left"
    for folder in remains:
        rows.add_row(safe(folder), "remains of a removed run", "–", "–", "–")
    for one in going:
        size, old = f"{one.disk.total / 1e6:,.1f}", age(now - one.disk.modified)
        rows.add_row(
            safe(one.run.folder), one.run.status, f"{one.run.cycles_done}/{one.run.cycles}", size, old
        )
    if going or remains:
        out.print(rows)
    for one in going:
        if one.disk.others:
            files = ", ".join(one.disk.others[:3]) + (", …" if len(one.disk.others) > 3 else "")
            note(f"stays, not written by a run: {safe(one.run.folder)}: {safe(files)}")
    freed, left = (sum(one.disk.total for one in runs) / 1e6 for runs in (going, plan.staying))
    verb = "removed" if yes else "to remove"
    gone = f"{count(len(going), 'run')} {verb}, {freed:,.1f} MB"
    out.print(f"{gone}; {count(len(plan.staying), 'run')} kept, {left:,.1f} MB")
    if (going or remains) and not yes:
        note("nothing was removed; repeat the command with --yes")
