"""What a report says in words and tables: titles, how runs ended, alerts, settings."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from townlet_core.errors import count
from townlet_core.report.groups import MISSING, Group, differences
from townlet_core.report.log import problems_of
from townlet_core.report.report import Report
from townlet_core.report.run import Run
from townlet_core.report.scale import format_value
from townlet_core.runs.grouping import show_setting


class Table(NamedTuple):
    """A table of untrusted text. numbers: whether the columns after the first are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: bool = False


ENDINGS = {
    "finished": "finished",
    "running": "is still running",
    "interrupted": "was interrupted",
    "failed": "failed",
    "dead": "was killed",
}


def runs_of(report: Report) -> list[Run]:
    """Return the runs of all groups."""
    return [run for group in report.groups for run in group.runs]


def title_of(report: Report) -> str:
    """Name a report by its scenarios and runs: never by a path."""
    runs = runs_of(report)
    scenarios = ", ".join(dict.fromkeys(run.scenario for run in runs))
    names = ", ".join(run.name for run in runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"{scenarios}: {names}"


def sentence_of(run: Run) -> str:
    """Say what was trained and how it ended."""
    if run.stored is None:
        return f"{run.name}: a telemetry log of {count(run.log.records, 'record')}, {_steps(run)}."
    settings, stored = run.settings, run.stored
    units = count(settings["hidden_size"], "unit") if isinstance(settings.get("hidden_size"), int) else "?"
    what = f"{settings.get('source', 'unknown')} training of a network with {units} on {run.scenario}"
    took = f" after {duration}" if (duration := _duration(run)) != MISSING else ""
    reason = f" ({stored.reason})" if stored.reason else ""
    cycles = f"{stored.cycles_done} of {count(stored.cycles or stored.cycles_done, 'cycle')}"
    ended = f"{ENDINGS[stored.status]}{took}{reason}"
    return f"{run.name}: {what}, seed {run.seed}; {cycles}, {_steps(run)}; {ended}."


def tiles_of(report: Report) -> list[tuple[str, str]]:
    """Return the few numbers to see first: each with what it is."""
    tiles = []
    for chart in report.charts:
        if chart.name in ("episode_return_mean", "conflicts_per_1000"):
            for one in chart.series:
                if not one.is_faint:
                    tiles.append(
                        (format_value(float(one.curve.mean[-1])), f"last {chart.title.lower()}, {one.label}")
                    )
            tiles += [
                (format_value(level.mean), f"{chart.title.lower()}, {level.label}") for level in chart.levels
            ]
    alerts = sum(alert.times for run in runs_of(report) for alert in run.log.alerts)
    tiles.append(
        (format_value(alerts) if report.rules else MISSING, "alerts" if report.rules else "no alert rules")
    )
    return tiles[:8]


def run_table(report: Report) -> Table:
    """List the runs: seed, status, progress, duration, best checkpoint."""
    columns = (
        "run",
        "seed",
        "status",
        "cycles",
        "environment steps",
        "duration",
        "best checkpoint",
        "its reward or return",
    )
    rows = [
        (
            run.name,
            MISSING if run.seed is None else str(run.seed),
            run.stored.status if run.stored else "log only",
            f"{run.stored.cycles_done} of {run.stored.cycles or MISSING}" if run.stored else MISSING,
            _latest(run, "env_steps"),
            _duration(run),
            f"cycle {run.best.cycle}, {run.best.generation}" if run.best else MISSING,
            _score(run),
        )
        for run in runs_of(report)
    ]
    return Table("Runs", columns, rows)


def alert_table(report: Report) -> Table:
    """List each rule that a run tripped: how often, where first, with which value last."""
    rows = [
        (
            alert.rule,
            run.name,
            count(alert.times, "record"),
            _shown(alert.first["epoch"]),
            _shown(alert.first["env_steps"]),
            format_value(alert.last_value),
            alert.why,
        )
        for run in runs_of(report)
        for alert in run.log.alerts
    ]
    return Table(
        "Alerts",
        ("rule", "run", "tripped", "first epoch", "environment steps", "last value", "what it means"),
        rows,
    )


def log_problems(report: Report) -> list[str]:
    """Say what is wrong with logs and run directories."""
    return [
        f"{run.name}: {problem}"
        for run in runs_of(report)
        for problem in (*(run.stored.problems if run.stored else ()), *problems_of(run.log))
    ]


def difference_table(report: Report) -> Table:
    """List the settings that differ between groups of runs."""
    found = differences(report.groups)
    columns = ("setting", *(group.label for group in report.groups))
    return Table("Differences", columns, [(row.name, *row.values) for row in found])


def settings_table(groups: Sequence[Group]) -> Table:
    """List all settings: of one group with where each value came from, else of every group."""
    tables = [group.runs[0].settings for group in groups]
    names = [name for name in dict.fromkeys(name for table in tables for name in table) if name != "seed"]
    if len(groups) == 1:
        stored = groups[0].runs[0].stored
        sources = stored.origins if stored else {}
        rows = [(name, show_setting(tables[0][name]), sources.get(name, MISSING)) for name in names]
        return Table("All settings", ("setting", "value", "from"), rows)
    shown = [
        (name, *(show_setting(table[name]) if name in table else MISSING for table in tables))
        for name in names
    ]
    return Table("All settings", ("setting", *(group.label for group in groups)), shown)


def origin_table(report: Report) -> Table:
    """List what is needed to repeat each run: command, versions, commit, start and end."""
    rows = []
    for run in runs_of(report):
        if run.stored:
            file = run.stored.about
            facts = {
                "command": " ".join([*map(os.path.basename, file.command[:1]), *file.command[1:]]),
                "started": file.started,
                "ended": file.ended,
                "run id": file.run_id,
                "commit": file.git,
                "scenario sha256": file.scenario_sha256,
                "versions": ", ".join(f"{name} {version}" for name, version in file.versions.items()),
                "torch threads": file.torch_threads,
                "resumed": count(len(file.resumed), "time") if file.resumed else None,
            }
            rows += [(run.name, name, str(value)) for name, value in facts.items() if value is not None]
    return Table("Origin", ("run", "fact", "value"), rows)


def _steps(run: Run) -> str:
    value = run.log.latest.get("env_steps")
    return count(value, "environment step") if type(value) is int else "unknown environment steps"


def _latest(run: Run, field: str) -> str:
    value = run.log.latest.get(field)
    return _shown(float(value)) if isinstance(value, int | float) else MISSING


def _score(run: Run) -> str:
    """Return what the best checkpoint was chosen by: return of an evaluation, or reward of a rollout."""
    stored = run.stored
    if stored is None or stored.best is None:
        return MISSING
    value = stored.best_return if stored.best_return is not None else stored.best_reward
    return MISSING if value is None else format_value(value)


def _shown(value: float) -> str:
    return format_value(value) if math.isfinite(value) else MISSING


def _duration(run: Run) -> str:
    """Return the time from start to end, breaks of a resumed run included."""
    about = run.stored.about if run.stored else None
    if about is None or not about.started or not about.ended:
        return MISSING
    try:
        took = datetime.fromisoformat(about.ended) - datetime.fromisoformat(about.started)
        seconds = took.total_seconds()
    except (ValueError, TypeError):
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
